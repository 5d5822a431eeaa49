"""A project is closed over HTTP: its final statement, late usage, and how it goes on."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from os_credits.domain.access import Scope
from tests.acceptance.accounts import (
    BOOK_AT_ONCE,
    HOUR_SECONDS,
    current_hour,
    grant,
    push,
    server,
    shown,
    vcpu,
    wait_until,
)
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.documented import Documented, documented
from tests.acceptance.program import Program

PROJECT = "/api/v1/projects/alpha"
STATEMENT = f"{PROJECT}/statement"
WAIT_SECONDS_MAX = 20
# A flavor that a spreadsheet would take for a formula.
FORMULA = '=HYPERLINK("https://evil.example")'


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[Documented]:
    """Give a service that books at once."""
    async with running(settings_for(database_url, **BOOK_AT_ONCE)) as service:
        yield await documented(service)


def hour_ago(count: int) -> int:
    return current_hour() - count * HOUR_SECONDS


async def opened(client: Documented) -> None:
    """Make a project with 100 credits, of which 10 and 6 are used."""
    lines = [
        vcpu("alpha", hour_ago(5), 0), vcpu("alpha", hour_ago(4), 10),
        server("alpha", hour_ago(4), "s1", "m1.large"),
        server("alpha", hour_ago(4) + 1800, "s1", "m1.large"),
        server("alpha", hour_ago(3), "s1", "m1.large"),
    ]  # fmt: skip
    await push(client.service, lines)
    await grant(client, "alpha", "100")
    await wait_until(client, "alpha", tally=Decimal(0), used=Decimal("16.4"))


async def closed(client: Documented, ago: int, **more: Any) -> Any:
    body = {"hour": shown(hour_ago(ago)), "reason": "over", **more}
    return await client.ask("POST", f"{PROJECT}/closing", key="admin", json=body)


async def wait_for(client: Documented, *kinds: str) -> list[dict[str, Any]]:
    """Wait until notices of these kinds are there, the first one first; gives them."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            found: list[dict[str, Any]] = (await client.get(f"{PROJECT}/notices"))["notices"][::-1]
            if [one["kind"] for one in found] == list(kinds):
                return found
            await asyncio.sleep(0.05)


def rows_of(statement: Any) -> list[tuple[str, str | None, str | None, str]]:
    return [(one["kind"], one["meter"], one["flavor"], one["credits"]) for one in statement["rows"]]


def adds_up(statement: Any) -> bool:
    after = statement["after_closing"]
    rows = sum(Decimal(one["credits"]) for one in statement["rows"])
    later = [Decimal(one["credits"]) for one in after["rows"]] if after else []
    return rows == Decimal(statement["balance"]) and rows + sum(later) == Decimal(
        statement["current"]
    )


async def test_the_end_of_a_project(client: Documented) -> None:
    await opened(client)
    interim = await client.get(STATEMENT)
    assert (interim["state"], interim["is_final"], interim["after_closing"]) == (
        "open",
        False,
        None,
    )
    assert adds_up(interim)

    done = await closed(client, 2)
    again = await closed(client, 2)
    other = await closed(client, 1)
    assert (done.status, again.status, other.status) == (201, 200, 409)
    assert (done.json["state"], done.json["closing"]["author"]) == ("closed", "test")
    project = await client.get(PROJECT)
    assert (project["state"], project["closed_from"]) == ("closed", shown(hour_ago(2)))
    listed = (await client.get("/api/v1/projects"))["projects"]
    assert [one["state"] for one in listed] == ["closed"]
    refused = await client.ask(
        "POST", f"{PROJECT}/grants", key="admin", json={"amount": "1", "reason": "more"}
    )
    assert refused.status == 409
    assert "closed since" in refused.json["message"]

    [notice] = await wait_for(client, "closed")
    final = await client.get(STATEMENT)
    assert (final["is_final"], final["final_at"]) == (True, notice["created_at"])
    assert sorted(rows_of(final)) == [
        ("granted", None, None, "100.000000"),
        ("used", "openstack_nova_server_status", "m1.large", "-6.400000"),
        ("used", "project_vcpu_usage", None, "-10.000000"),
    ]
    assert (final["balance"], final["after_closing"]["rows"]) == ("83.600000", [])
    entries = (await client.get(f"{PROJECT}/entries"))["entries"]
    assert (final["head_sequence"], final["head_hash"]) == (
        entries[-1]["sequence"], entries[-1]["hash"],
    )  # fmt: skip

    await push(client.service, [vcpu("alpha", hour_ago(2), 10), vcpu("alpha", hour_ago(1), 13)])
    await wait_for(client, "closed", "late_usage")
    late = await client.get(STATEMENT)
    assert rows_of(late) == rows_of(final)
    assert (late["after_closing"]["used"], late["current"]) == ("3.000000", "80.600000")
    assert adds_up(late)

    reopening = {"reason": "extended"}
    path = f"{PROJECT}/reopening"
    replies = [await client.ask("POST", path, key="admin", json=reopening) for _ in range(2)]
    assert [reply.status for reply in replies] == [201, 200]
    assert (await client.get(PROJECT))["state"] == "open"
    open_again = await client.get(STATEMENT)
    assert (open_again["is_final"], open_again["balance"]) == (False, "80.600000")
    assert [one["is_closed"] for one in open_again["decisions"]] == [False, True]
    await grant(client, "alpha", "1")


BAD_CLOSINGS: list[tuple[dict[str, Any], str]] = [
    ({}, "reason"),
    ({"reason": ""}, "reason"),
    ({"reason": "a\nb"}, "reason"),
    ({"reason": "x", "hour": "2026-01-01T00:30Z"}, "hour"),
    ({"reason": "x", "hour": "9999-12-31T23:00Z"}, "hour"),
    ({"reason": "x", "hour": "0001-01-01T00:00Z"}, "hour"),
    ({"reason": "x", "hour": "soon"}, "hour"),
    ({"reason": "x", "colour": "red"}, "colour"),
]


async def test_a_bad_closing_is_refused(client: Documented, subtests: pytest.Subtests) -> None:
    await client.ask("POST", "/api/v1/projects", key="admin", json={"name": "alpha"})
    for body, place in BAD_CLOSINGS:
        with subtests.test(body=body):
            reply = await client.ask("POST", f"{PROJECT}/closing", key="admin", json=body)

            assert reply.status == 400
            assert reply.json["message"].startswith(f"{place}:")
    early = await client.ask("POST", f"{PROJECT}/reopening", key="admin", json={"reason": "x"})
    assert early.status == 409
    ancient = {"reason": "x", "hour": "1970-01-01T00:00Z"}
    assert (await client.ask("POST", f"{PROJECT}/closing", key="admin", json=ancient)).status == 201


async def test_a_statement_is_read_and_a_closing_is_not_made_by_any_member(
    client: Documented,
) -> None:
    for name in ("alpha", "beta"):
        await client.ask("POST", "/api/v1/projects", key="admin", json={"name": name})
    member = await client.service.new_key(Scope.READ, projects=("alpha",))

    assert (await client.ask("GET", STATEMENT, key=member)).status == 200
    hidden = await client.ask("GET", "/api/v1/projects/beta/statement", key=member)
    assert hidden.status == 404
    for path in ("closing", "reopening"):
        for key, status in ((member, 403), ("read", 403), (None, 401)):
            reply = await client.ask("POST", f"{PROJECT}/{path}", key=key, json={"reason": "x"})
            assert reply.status == status


async def test_a_statement_for_spreadsheets_holds_no_formula(client: Documented) -> None:
    flavor = FORMULA.replace(" ", r"\ ").replace("=", r"\=").replace(",", r"\,")
    lines = [server("alpha", hour_ago(3) + 600 * place, "s1", flavor) for place in range(3)]
    await push(client.service, lines)
    price = {
        "meter": "openstack_nova_server_status", "flavor": FORMULA, "credits_per_unit": "3",
        "valid_from": shown(hour_ago(3)),
    }  # fmt: skip
    assert (await client.ask("POST", "/api/v1/prices", key="admin", json=price)).status == 201
    await wait_until(client, "alpha", used=Decimal(1), tally=Decimal(0))

    reply = await client.ask("GET", f"{STATEMENT}?format=csv")

    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert reply.headers["Content-Disposition"].startswith("attachment;")
    table = list(csv.reader(io.StringIO(reply.text)))
    assert table == [
        ["part", "kind", "meter", "flavor", "credits"],
        ["statement", "used", "openstack_nova_server_status", f"'{FORMULA}", "-1.000000"],
        ["statement", "balance", "", "", "-1.000000"],
        ["all", "current", "", "", "-1.000000"],
    ]
    assert (await client.ask("GET", f"{STATEMENT}?format=pdf")).status == 400


# --- The program


def test_the_program_ends_a_project_and_lets_it_go_on(program: Program) -> None:
    program("project", "add", "alpha")
    hour = shown(hour_ago(2))
    words = ("project", "close", "alpha", "--from", hour, "--reason", "over")

    done = program.json(*words)
    assert (done["state"], done["created"], done["closing"]["hour"]) == ("closed", True, hour)
    assert "as it was before" in program(*words).stdout
    assert "closed, from" in program("project", "show", "alpha").stdout
    grant_words = ("grant", "alpha", "1", "--reason", "more")
    assert "closed since" in program.refuse(*grant_words)
    assert "interim statement; the project is closed" in program(
        "project", "statement", "alpha"
    ).stdout  # fmt: skip
    shape = program.json("project", "statement", "alpha")
    assert (shape["state"], shape["balance"]) == ("closed", "0.000000")
    assert program("project", "statement", "alpha", "--csv").stdout.startswith("part,kind,meter")

    assert program("project", "reopen", "alpha", "--reason", "extended").stdout.startswith("open,")
    program(*grant_words)
    later = program("project", "close", "alpha", "--reason", "over").stdout
    assert later.startswith("closing, from")
    program(*grant_words)
    refused = program.refuse(
        "project", "close", "alpha", "--from", "2026-01-01T00:30Z", "--reason", "x", status=2
    )
    assert "not a full hour" in refused
