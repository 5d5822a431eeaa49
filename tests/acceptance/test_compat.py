"""The de.NBI service's shapes, as its portal reads them: without a key, from a named network."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from os_credits.domain.access import Scope
from tests.acceptance.accounts import (
    BOOK_AT_ONCE,
    HOUR_SECONDS,
    current_hour,
    grant,
    moment,
    open_account,
    push,
    vcpu,
)
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.documented import Documented, documented

VCPU = "project_vcpu_usage"
MB = "project_mb_usage"
SERVERS = "openstack_nova_server_status"
HISTORY = "/api/credits_history/alpha"


@pytest.fixture
async def portal(database_url: str) -> AsyncIterator[Documented]:
    """Give a service that lets this machine read these shapes without a key."""
    settings = settings_for(database_url, **BOOK_AT_ONCE, open_compat_networks="127.0.0.0/8")
    async with running(settings) as service:
        yield await documented(service)


def _time(seconds: int) -> str:
    return moment(seconds).strftime("%Y-%m-%d %H:%M:%S")


async def test_history_tells_what_was_used_in_total_oldest_first(portal: Documented) -> None:
    hour = await open_account(portal)
    await grant(portal, "alpha", "100")

    history = await portal.get(HISTORY, key=None)

    first, second = _time(hour - 4 * HOUR_SECONDS), _time(hour - 3 * HOUR_SECONDS)
    assert history == {
        "timestamps": [first, first, second, _time(hour)],
        "credits": [10.0, 16.4, 26.9, 27.033333],
        "metrics": [VCPU, SERVERS, VCPU, SERVERS],
    }
    current = await portal.get("/api/current_credits/alpha", key=None)
    assert current == {"current_credits": 27.033333, "granted_credits": 100.0}


async def test_history_of_a_window_includes_both_its_ends(portal: Documented) -> None:
    hour = await open_account(portal)
    start, end = _time(hour - 3 * HOUR_SECONDS), _time(hour)

    both = await portal.get(HISTORY, params={"start_date": start, "end_date": end}, key=None)
    until = await portal.get(HISTORY, params={"end_date": start}, key=None)

    assert both["credits"] == [26.9, 27.033333]
    assert until["credits"] == [10.0, 16.4, 26.9]


async def test_a_window_without_usage_has_no_content(portal: Documented) -> None:
    hour = await open_account(portal)
    end = (moment(hour) - timedelta(days=3)).strftime("%Y-%m-%d %H:%M:%S")

    reply = await portal.ask("GET", HISTORY, params={"end_date": end}, key=None)

    assert (reply.status, reply.text) == (204, "")
    await push(portal.service, [vcpu("idle", hour, 1)])
    assert (await portal.ask("GET", "/api/credits_history/idle", key=None)).status == 204


BAD_DATES: list[tuple[str, str]] = [
    ("start_date=2026-01-01T00:00:00", "start_date"),
    ("start_date=2026-01-01", "start_date"),
    ("end_date=tomorrow", "end_date"),
    ("end_date=2026-02-30 00:00:00", "end_date"),
    ("start_date=2026-01-02 00:00:00&end_date=2026-01-02 00:00:00", "start_date"),
    ("start_date=2026-01-03 00:00:00&end_date=2026-01-02 00:00:00", "start_date"),
]


async def test_bad_dates_are_refused(portal: Documented, subtests: pytest.Subtests) -> None:
    for query, place in BAD_DATES:
        with subtests.test(query=query, place=place):
            reply = await portal.ask("GET", f"{HISTORY}?{query}", key=None)

            assert reply.status == 400
            assert reply.json["message"].startswith(f"{place}:")


async def test_unknown_projects_are_not_found(portal: Documented) -> None:
    for path in ("credits_history", "current_credits"):
        assert (await portal.ask("GET", f"/api/{path}/nobody", key=None)).status == 404


async def test_metrics_are_shown_with_their_prices(portal: Documented) -> None:
    prices = await portal.get("/api/metrics", key=None)

    assert (prices[VCPU], prices[MB]) == (1.0, 0.3)
    assert SERVERS not in prices  # it has prices of flavors only


COSTS: list[tuple[dict[str, float], str]] = [
    ({VCPU: 16, MB: 64}, "35.2"),
    ({"cpu": 16, "ram": 64}, "35.2"),
    ({MB: 0.1}, "0.03"),
    ({MB: 0.01, VCPU: 0.001}, "0.0"),
    ({}, "0.0"),
]


async def test_costs_are_a_bare_rounded_number(
    portal: Documented, subtests: pytest.Subtests
) -> None:
    for amounts, cost in COSTS:
        with subtests.test(amounts=amounts, cost=cost):
            reply = await portal.ask("POST", "/api/costs_per_hour", json=amounts, key=None)

            assert (reply.status, reply.text) == (200, cost)


BAD_AMOUNTS: list[tuple[bytes, int, str]] = [
    (b'{"nothing": 1}', 404, "nothing"),
    (b'{"openstack_nova_server_status": 1}', 404, SERVERS),
    (b'{"cpu": "many"}', 400, "cpu"),
    (b'{"cpu": null}', 400, "cpu"),
    (b'{"cpu": {}}', 400, "cpu"),
    (b'{"cpu": -1}', 400, "cpu"),
    (b"[]", 400, "body"),
    (b"16", 400, "body"),
    (b"{", 400, "JSON"),
    (b"", 400, "JSON"),
]


async def test_bad_amounts_are_refused(portal: Documented, subtests: pytest.Subtests) -> None:
    for body, status, words in BAD_AMOUNTS:
        with subtests.test(body=body, status=status, words=words):
            reply = await portal.ask("POST", "/api/costs_per_hour", data=body, key=None)

            assert reply.status == status
            assert words in reply.json["message"]


async def test_only_these_shapes_are_open_to_the_portal(portal: Documented) -> None:
    hour = current_hour()
    await push(portal.service, [vcpu("alpha", hour, 1)])

    for path in ("/credits_history/alpha", "/api/v1/projects", "/api/v1/projects/alpha"):
        assert (await portal.ask("GET", path, key=None)).status == 401


async def test_a_key_narrows_what_an_open_network_would_show(portal: Documented) -> None:
    hour = current_hour()
    await push(portal.service, [vcpu("alpha", hour, 1), vcpu("beta", hour, 1)])
    owner = await portal.service.new_key(Scope.READ, projects=("alpha",))

    seen = await portal.ask("GET", "/api/current_credits/alpha", key=owner)
    hidden = await portal.ask("GET", "/api/current_credits/beta", key=owner)

    assert (seen.status, hidden.status) == (200, 404)


async def test_elsewhere_these_shapes_need_a_key(database_url: str) -> None:
    async with running(settings_for(database_url, open_compat_networks="")) as service:
        client = await documented(service)
        for path in ("/api/metrics", "/api/current_credits/alpha", HISTORY):
            assert (await client.ask("GET", path, key=None)).status == 401
        assert (await client.ask("GET", "/api/metrics", key="read")).status == 200
