"""What a project owner's script reads: history, balance, entries, usage, notices, costs."""

from collections.abc import AsyncIterator
from decimal import Decimal
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest

from os_credits.domain.access import Scope
from tests.acceptance.accounts import (
    BOOK_AT_ONCE,
    HOUR_SECONDS,
    OPEN,
    USED,
    current_hour,
    grant,
    open_account,
    push,
    shown,
    vcpu,
    wait_until,
)
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.documented import Documented, documented

VCPU = "project_vcpu_usage"
SERVERS = "openstack_nova_server_status"


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[Documented]:
    """Give a service that books hours as soon as they are over."""
    async with running(settings_for(database_url, **BOOK_AT_ONCE)) as service:
        yield await documented(service)


def _lines(rows: list[dict[str, Any]]) -> list[tuple[str, str | None, str | None, str, str]]:
    names = ("kind", "meter", "flavor", "credits", "quantity")
    return [tuple(row[name] for name in names) for row in rows]


async def test_history_adds_up_from_its_opening_to_the_balance(client: Documented) -> None:
    hour = await open_account(client)
    await grant(client, "alpha", "100", reason="first budget")

    history = await client.get("/credits_history/alpha")

    assert history["project"]["external_id"] == "id/alpha"
    assert _lines(history["rows"]) == [
        ("usage", VCPU, None, "-10.000000", "10"),
        ("usage", SERVERS, "m1.large", "-6.400000", "1"),
        ("usage", VCPU, None, "-10.500000", "10.5"),
        ("grant", None, None, "100.000000", None),
        ("open", SERVERS, "m1.small", "-0.133333", "0.083333333"),
    ]
    assert [row["time"] for row in history["rows"]][:3] == [
        shown(hour - 4 * HOUR_SECONDS),
        shown(hour - 4 * HOUR_SECONDS),
        shown(hour - 3 * HOUR_SECONDS),
    ]
    assert history["opening"] == {"used": "0.000000", "balance": "0.000000"}
    used = [row["used"] for row in history["rows"]]
    assert used == ["10.000000", "16.400000", "26.900000", "26.900000", "27.033333"]
    assert history["rows"][-1]["balance"] == history["balance"]["current"] == "72.966667"
    assert history["balance"]["tally"] == str(OPEN)
    assert history["next"] is None


async def test_history_of_a_period_starts_from_what_was_before(client: Documented) -> None:
    hour = await open_account(client)
    start, end = shown(hour - 3 * HOUR_SECONDS), shown(hour - 2 * HOUR_SECONDS)

    history = await client.get(f"/credits_history/alpha?start_date={start}&end_date={end}")

    assert history["period"] == {"start": start, "end": end}
    assert history["opening"] == {"used": "16.400000", "balance": "-16.400000"}
    assert _lines(history["rows"]) == [("usage", VCPU, None, "-10.500000", "10.5")]


async def test_pages_of_the_history_put_together_are_the_history(client: Documented) -> None:
    await open_account(client)
    await grant(client, "alpha", "100")
    whole = (await client.get("/credits_history/alpha"))["rows"]

    rows: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await client.get(f"/credits_history/alpha?limit=2{after}")
        assert rows == [] or page["opening"]["balance"] == rows[-1]["balance"]
        rows += page["rows"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"

    assert rows == whole


async def test_a_price_changed_for_the_past_shows_as_corrections(client: Documented) -> None:
    hour = await open_account(client)
    reply = await client.ask(
        "POST",
        "/api/v1/prices",
        key="admin",
        json={
            "meter": VCPU,
            "credits_per_unit": "1.5",
            "valid_from": shown(hour - 4 * HOUR_SECONDS),
        },
    )
    assert reply.json["credits"] == "10.250000"
    account = await wait_until(client, "alpha", used=USED + Decimal("10.25"), tally=OPEN)

    history = await client.get("/credits_history/alpha")

    assert _lines(history["rows"])[:5] == [
        ("usage", VCPU, None, "-10.000000", "10"),
        ("usage", SERVERS, "m1.large", "-6.400000", "1"),
        ("correction", VCPU, None, "-5.000000", None),
        ("usage", VCPU, None, "-10.500000", "10.5"),
        ("correction", VCPU, None, "-5.250000", None),
    ]
    assert history["rows"][-1]["balance"] == account["balance"]["current"]


async def test_without_booking_everything_is_open_and_adds_up_all_the_same(
    database_url: str,
) -> None:
    settings = settings_for(database_url, book_interval_seconds=3600)
    async with running(settings) as service:
        client = await documented(service)
        hour = current_hour() - 10 * HOUR_SECONDS
        await push(service, [vcpu("alpha", hour, 0), vcpu("alpha", hour + HOUR_SECONDS, 3)])
        await wait_until(client, "alpha", used=Decimal(3), tally=Decimal(3))

        history = await client.get("/credits_history/alpha")

    assert _lines(history["rows"]) == [("open", VCPU, None, "-3.000000", "3")]
    assert history["rows"][0]["balance"] == history["balance"]["current"] == "-3.000000"


BAD_QUERIES: list[tuple[str, str]] = [
    ("start_date=yesterday", "start_date"),
    ("start_date=2026-13-01", "start_date"),
    ("end_date=20260101", "end_date"),
    ("start_date=2026-01-02&end_date=2026-01-02", "end_date"),
    ("start_date=2026-01-01&start_date=2026-01-02", "start_date"),
    ("end_date=0001-01-01", "end_date"),
    ("limit=0", "limit"),
    ("limit=many", "limit"),
    ("after=somewhere", "after"),
    ("after=1767225600000.3.1.0", "after"),
    ("format=xml", "format"),
    ("site=%00", "site"),
]


async def test_a_bad_query_is_refused_by_its_name(
    client: Documented, subtests: pytest.Subtests
) -> None:
    for query, place in BAD_QUERIES:
        with subtests.test(query=query, place=place):
            reply = await client.ask("GET", f"/credits_history/alpha?{query}")

            assert reply.status == 400
            assert reply.json["message"].startswith(f"{place}:"), reply.text


async def test_unknown_projects_are_not_found_whatever_their_name(client: Documented) -> None:
    for name in ("nobody", "%2F", "%00", "%23", "%239999", "%E2%82%AC", "a%2520b"):
        assert (await client.ask("GET", f"/api/v1/projects/{name}")).status == 404


async def test_a_name_of_two_projects_asks_which(client: Documented) -> None:
    hour = current_hour()
    await push(
        client.service,
        [vcpu("twin", hour, 1, site="north"), vcpu("twin", hour, 1, site="south")],
    )

    reply = await client.ask("GET", "/api/v1/projects/twin")

    assert reply.status == 409
    candidates = reply.json["candidates"]
    assert [one["site"] for one in candidates] == ["north", "south"]
    south = await client.get("/api/v1/projects/twin?site=south")
    by_number = await client.get(f"/api/v1/projects/{candidates[1]['number'].replace('#', '%23')}")
    assert (south["id"], south["site"]) == (by_number["id"], "south")


async def test_a_key_of_one_project_sees_no_other(client: Documented) -> None:
    for name in ("alpha", "beta"):
        await push(client.service, [vcpu(name, current_hour(), 1)])
    owner = await client.service.new_key(Scope.READ, projects=("alpha",))

    listed = await client.get("/api/v1/projects", key=owner)

    assert [one["name"] for one in listed["projects"]] == ["alpha"]
    for path in ("", "/entries", "/usage", "/grants", "/notices"):
        assert (await client.ask("GET", f"/api/v1/projects/alpha{path}", key=owner)).status == 200
        assert (await client.ask("GET", f"/api/v1/projects/beta{path}", key=owner)).status == 404
    assert (await client.ask("GET", "/credits_history/beta", key=owner)).status == 404
    assert (await client.ask("GET", "/api/current_credits/beta", key=owner)).status == 404


async def test_projects_are_listed_in_pages(client: Documented) -> None:
    hour = current_hour()
    await push(client.service, [vcpu(f"p{number}", hour, 1) for number in range(5)])

    first = await client.get("/api/v1/projects?limit=3")
    second = await client.get(f"/api/v1/projects?limit=3&after={first['next']}")
    one = await client.get("/api/v1/projects?name=id%2Fp4")

    assert (len(first["projects"]), len(second["projects"]), second["next"]) == (3, 2, None)
    names = {project["name"] for project in first["projects"] + second["projects"]}
    assert names == {"p0", "p1", "p2", "p3", "p4"}
    assert [project["name"] for project in one["projects"]] == ["p4"]


async def test_entries_can_be_followed_by_their_hashes(client: Documented) -> None:
    await open_account(client)
    await grant(client, "alpha", "100")

    page = await client.get("/api/v1/projects/id%2Falpha/entries?limit=3")
    entries = page["entries"]
    rest = await client.get(f"/api/v1/projects/id%2Falpha/entries?after={page['next']}")
    entries += rest["entries"]

    assert [one["sequence"] for one in entries] == [1, 2, 3, 4]
    assert entries[0]["previous_hash"] == "00" * 32
    for before, after in pairwise(entries):
        assert after["previous_hash"] == before["hash"]
        assert Decimal(after["balance"]) == Decimal(before["balance"]) + Decimal(after["amount"])


async def test_usage_names_every_resource_of_every_hour(client: Documented) -> None:
    hour = await open_account(client)

    page = await client.get("/api/v1/projects/alpha/usage?limit=2")
    rest = await client.get(f"/api/v1/projects/alpha/usage?after={page['next']}")

    rows = page["usage"] + rest["usage"]
    columns = ("hour", "meter", "flavor", "resource", "quantity", "unit", "credits")
    assert {tuple(row[name] for name in columns) for row in rows} == {
        (shown(hour - 4 * HOUR_SECONDS), VCPU, None, "", "10", "vCPU-hour", "10.000000"),
        (
            shown(hour - 4 * HOUR_SECONDS), SERVERS, "m1.large", "s1", "1", "server-hour",
            "6.400000",
        ),
        (shown(hour - 3 * HOUR_SECONDS), VCPU, None, "", "10.5", "vCPU-hour", "10.500000"),
        (shown(hour), SERVERS, "m1.small", "s2", "0.083333333", "server-hour", "0.133333"),
    }  # fmt: skip
    early = f"end={shown(hour - 3 * HOUR_SECONDS)}"
    assert len((await client.get(f"/api/v1/projects/alpha/usage?{early}"))["usage"]) == 2


async def test_a_crossed_threshold_is_listed_as_a_notice(client: Documented) -> None:
    await open_account(client)
    await grant(client, "alpha", "30")

    notices: list[dict[str, Any]] = []
    while not notices:
        notices = (await client.get("/api/v1/projects/alpha/notices"))["notices"]

    told = [(one["percent"], one["balance"], one["granted"]) for one in notices]
    assert told == [("20", "2.966667", "30.000000")]


async def test_a_flavor_costs_what_its_price_says(client: Documented) -> None:
    cost = await client.get("/cost_per_hour?flavor=m1.large&count=2")

    assert cost["credits_per_hour"] == "12.800000"
    [line] = cost["breakdown"]
    assert (line["meter"], line["count"], line["credits_per_unit"]) == (SERVERS, "2", "6.4")


async def test_specs_cost_the_sum_of_their_parts(client: Documented) -> None:
    specs = {"flavors": {"m1.large": 2, "m1.small": 1.5}, "meters": {VCPU: 16, "cpu": "0.5"}}

    cost = (await client.ask("POST", "/cost_per_hour", json=specs)).json

    assert cost["credits_per_hour"] == "31.700000"
    assert sum(Decimal(line["credits"]) for line in cost["breakdown"]) == Decimal("31.7")
    flat = (await client.ask("POST", "/cost_per_hour", json={VCPU: 16})).json
    assert flat["credits_per_hour"] == "16.000000"


async def test_a_cost_is_told_by_the_prices_of_the_hour_that_is_asked_for(
    client: Documented,
) -> None:
    await client.ask(
        "POST", "/api/v1/prices", key="admin", json={"meter": VCPU, "credits_per_unit": "3"}
    )
    later = shown(current_hour() + 2 * HOUR_SECONDS)

    now = (await client.ask("POST", "/cost_per_hour", json={VCPU: 1})).json
    then = (await client.ask("POST", f"/cost_per_hour?at={later}", json={VCPU: 1})).json

    assert (now["credits_per_hour"], then["credits_per_hour"]) == ("1.000000", "3.000000")


BAD_SPECS: list[tuple[object, int, str]] = [
    ({"flavors": {"m9.huge": 1}}, 404, "m9.huge"),
    ({"meters": {"nothing": 1}}, 404, "nothing"),
    ({"meters": {SERVERS: 1}}, 404, SERVERS),
    ({"project_vcpu_usage": "many"}, 400, "meters.project_vcpu_usage"),
    ({"project_vcpu_usage": -1}, 400, "meters.project_vcpu_usage"),
    ({"project_vcpu_usage": True}, 400, "meters.project_vcpu_usage"),
    ({"project_vcpu_usage": 0.1234567}, 400, "six digits"),
    ({"flavors": {"m1.large": 1}, "extra": 1}, 400, "extra"),
    ({}, 400, "at least one"),
    ([], 400, "object"),
]


async def test_bad_specs_are_refused_with_what_is_wrong(
    client: Documented, subtests: pytest.Subtests
) -> None:
    for specs, status, words in BAD_SPECS:
        with subtests.test(specs=specs, status=status, words=words):
            reply = await client.ask("POST", "/cost_per_hour", json=specs)

            assert reply.status == status
            assert words in reply.json["message"]


async def test_the_flavor_of_a_cost_must_be_named_once(client: Documented) -> None:
    for query in ("", "?count=2", "?flavor=", "?flavor=m1.large&flavor=m1.small"):
        reply = await client.ask("GET", f"/cost_per_hour{query}")
        assert reply.status == 400
        assert reply.json["message"].startswith("flavor:")
    assert (await client.ask("GET", "/cost_per_hour?flavor=m9.huge")).status == 404


async def test_broken_json_is_told_where(client: Documented) -> None:
    for body in (b"{", b"", b"\xff", b"[" * 10_000, b'{"a": NaN}', b'{"a": 1e999}'):
        reply = await client.ask("POST", "/cost_per_hour", data=body)
        assert (reply.status, reply.json["error"]) == (400, "invalid"), body


async def test_a_huge_body_is_refused(client: Documented) -> None:
    reply = await client.ask("POST", "/cost_per_hour", data=BytesIO(b" " * (1024 * 1024 + 1)))

    assert reply.status == 413
