"""Exclusions, settlements and revised meters as administrators ask for them, over HTTP and CLI."""

import asyncio
from typing import Any

import pytest

from tests.acceptance.accounts import (
    HOUR_SECONDS,
    current_hour,
    moment,
    push,
    server,
    shown,
    vcpu,
)
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.documented import Documented, documented
from tests.acceptance.program import Program

SERVERS = "openstack_nova_server_status"
PROJECT = "/api/v1/projects/alpha"
WHY = {"reason": "the exporter counted twice"}


@pytest.fixture
async def client(service: Service) -> Documented:
    """Give a service that knows a project with a vCPU counter and a server seen with a gap."""
    first = current_hour() - 6 * HOUR_SECONDS
    lines = [vcpu("alpha", first + at * HOUR_SECONDS, value) for at, value in enumerate((0, 5, 9))]
    lines += [server("alpha", first + at * HOUR_SECONDS, "s1", "m1.small") for at in (0, 1, 3)]
    await push(service, lines)
    return await documented(service)


async def used(client: Documented) -> str:
    await client.service.rated()
    text: str = (await client.get(PROJECT, key="admin"))["balance"]["used"]
    return text


async def test_bad_samples_are_taken_out_and_let_in_again(client: Documented) -> None:
    hour = current_hour() - 5 * HOUR_SECONDS
    wish = {"meter": "project_vcpu_usage", "starts_at": shown(hour), **WHY}
    assert "10.600000" == await used(client)

    seen = await client.ask(
        "POST", f"{PROJECT}/exclusions", key="admin", json={**wish, "preview": True}
    )
    made = await client.ask("POST", f"{PROJECT}/exclusions", key="admin", json=wish)

    assert (200, 201) == (seen.status, made.status)
    change = {"hour_count": 2, "project_count": 1, "credits": "-9.000000"}
    known = {"exclusion_id": None, "sample_count": 2, "change": change, "is_new": True}
    assert known == {name: one for name, one in seen.json.items() if name != "effect"}
    assert "1.600000" == await used(client)
    (listed,) = (await client.get(f"{PROJECT}/exclusions"))["exclusions"]
    assert (made.json["exclusion_id"], shown(hour), None, WHY["reason"]) == (
        listed["id"], listed["starts_at"], listed["ends_at"], listed["reason"],
    )  # fmt: skip

    path = f"/api/v1/exclusions/{listed['id']}/lift"
    lifted = await client.ask("POST", path, key="admin", json=WHY)
    assert {"sample_count": 2} == lifted.json
    assert "10.600000" == await used(client)
    assert 409 == (await client.ask("POST", path, key="admin", json=WHY)).status
    assert [] == (await client.get(f"{PROJECT}/exclusions"))["exclusions"]


async def test_unmetered_time_is_shown_with_its_price_and_settled(client: Documented) -> None:
    first = current_hour() - 5 * HOUR_SECONDS

    (gap,) = (await client.get(f"{PROJECT}/unsettled"))["unsettled"]
    assert ("unmetered", SERVERS, "s1", "m1.small", 2, "2", "3.200000") == tuple(
        gap[name]
        for name in (
            "kind", "meter", "resource", "flavor", "hour_count", "quantity", "credits_if_billed",
        )
    )  # fmt: skip
    assert (shown(first), shown(first + 2 * HOUR_SECONDS)) == (gap["first_hour"], gap["end_hour"])

    wish = {
        "kind": "unmetered", "series_id": gap["series_id"], "first_hour": gap["first_hour"],
        "end_hour": shown(first + HOUR_SECONDS), "verdict": "bill", **WHY,
    }  # fmt: skip
    reply = await client.ask("POST", f"{PROJECT}/settlements", key="admin", json=wish)

    assert (201, "1.600000") == (reply.status, reply.json["change"]["credits"])
    assert "12.200000" == await used(client)
    (left,) = (await client.get(f"{PROJECT}/unsettled"))["unsettled"]
    assert "1.600000" == left["credits_if_billed"]
    (kept,) = (await client.get(f"{PROJECT}/settlements"))["settlements"]
    assert ("bill", WHY["reason"], reply.json["settlement_id"]) == (
        kept["verdict"], kept["reason"], kept["id"],
    )  # fmt: skip


async def test_a_meter_is_revised_for_the_past(client: Documented) -> None:
    path, first = f"/api/v1/meters/{SERVERS}/revisions", current_hour() - 6 * HOUR_SECONDS
    wish: dict[str, Any] = {"valid_from": shown(first), "max_gap_seconds": 7200, **WHY}

    seen = await client.ask("POST", path, key="admin", json={**wish, "preview": True})
    made = await client.ask("POST", path, key="admin", json=wish)

    assert (200, 201) == (seen.status, made.status)
    assert "3.200000" == seen.json["change"]["credits"] == made.json["change"]["credits"]
    assert "13.800000" == await used(client)
    assert [] == (await client.get(f"{PROJECT}/unsettled"))["unsettled"]


BAD: list[tuple[str, dict[str, Any], int, str]] = [
    (f"{PROJECT}/exclusions", {}, 400, "reason"),
    (f"{PROJECT}/exclusions", {"reason": ""}, 400, "reason"),
    (f"{PROJECT}/exclusions", {**WHY, "meter": "nothing"}, 404, "no meter 'nothing'"),
    (f"{PROJECT}/exclusions", {**WHY, "series_id": 9999}, 404, "no series 9999"),
    (f"{PROJECT}/exclusions", {**WHY, "starts_at": "9999-12-31"}, 400, "starts_at"),
    (f"{PROJECT}/exclusions", {**WHY, "starts_at": "2026-01-02", "ends_at": "2026-01-01"}, 400,
     "ends_at"),
    ("/api/v1/projects/nobody/exclusions", WHY, 404, "no project"),
    ("/api/v1/exclusions/99/lift", WHY, 404, "no exclusion 99"),
    ("/api/v1/exclusions/9x/lift", WHY, 404, "no exclusion '9x'"),
    (f"{PROJECT}/settlements", {**WHY, "kind": "billed"}, 400, "kind"),
    (f"{PROJECT}/settlements",
     {**WHY, "kind": "suspect", "verdict": "bill", "first_hour": "2026-01-01T00:30Z",
      "end_hour": "2026-01-02"}, 400, "full hour"),
    (f"{PROJECT}/settlements",
     {**WHY, "kind": "suspect", "verdict": "bill", "first_hour": "2026-01-02",
      "end_hour": "2026-01-02"}, 400, "end_hour"),
    ("/api/v1/meters/nothing/revisions", {**WHY, "valid_from": "2026-01-01", "on_reset": "absorb"},
     404, "no meter"),
    (f"/api/v1/meters/{SERVERS}/revisions", {**WHY, "valid_from": "2026-01-01"}, 400, "changes"),
    (f"/api/v1/meters/{SERVERS}/revisions",
     {**WHY, "valid_from": "2026-01-01", "max_gap_seconds": 0}, 400, "max_gap_seconds"),
    (f"/api/v1/meters/{SERVERS}/revisions",
     {**WHY, "valid_from": "2126-01-01", "max_gap_seconds": 9}, 400, "lies ahead"),
]  # fmt: skip


async def test_a_bad_decision_is_refused_and_says_why(
    client: Documented, subtests: pytest.Subtests
) -> None:
    for path, wish, status, place in BAD:
        with subtests.test(path=path, wish=wish):
            reply = await client.ask("POST", path, key="admin", json=wish)
            assert (status, True) == (reply.status, place in reply.text), reply.text
            assert 403 == (await client.ask("POST", path, key="read", json=wish)).status
    assert "10.600000" == await used(client)


async def a_gap(database_url: str, first: int) -> None:
    lines = [server("alpha", first + at * HOUR_SECONDS, "s1", "m1.small") for at in (0, 1, 3)]
    async with running(settings_for(database_url)) as service:
        await push(service, lines)


def test_an_operator_decides_at_the_terminal(program: Program) -> None:
    first = current_hour() - 6 * HOUR_SECONDS
    asyncio.run(a_gap(program.database_url, first))
    gap = [f"{moment(first + at * HOUR_SECONDS):%Y-%m-%dT%H:%MZ}" for at in (1, 3)]
    dates = ["--from", gap[0], "--until", gap[1], "--reason", "ours"]

    assert "3.2" in program("unsettled", "alpha").stdout
    said = program("settle", "alpha", "unmetered", "bill", *dates, "--dry-run").stdout
    assert "would change the charges of 2 hours of 1 projects by +3.200000 credits\n" == said
    assert "settlement" in program("settle", "alpha", "unmetered", "bill", *dates).stdout
    assert "Nothing waits for a verdict.\n" == program("unsettled", "alpha").stdout

    said = program("exclusion", "add", "alpha", "--meter", SERVERS, *dates).stdout
    assert "took 1 samples out" in said
    assert "-1.600000" in said  # the first hour's end is unmetered now, and no verdict is on it
    (row,) = program.json("exclusion", "list", "alpha")["exclusions"]
    assert "1 samples" in program("exclusion", "lift", str(row["id"]), "--reason", "right").stdout
    assert "No samples" in program("exclusion", "list", "alpha").stdout

    said = program(
        "meter", "revise", SERVERS, "--from", gap[0], "--max-gap-seconds", "7200",
        "--reason", "slow", "--dry-run",
    ).stdout  # fmt: skip
    assert "by +0.000000 credits" in said
    assert "name what is to change" in program.refuse(
        "meter", "revise", SERVERS, "--from", gap[0], "--reason", "x", status=2
    )
    assert "must be suspect or unmetered" in program.refuse(
        "settle", "alpha", "billed", "bill", *dates, status=2
    )
