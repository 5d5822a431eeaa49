"""The pages of one project: from what it used down to an hour, and what ran in it."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from os_credits.domain.access import Scope
from tests.acceptance.conftest import Service
from tests.acceptance.test_page import (
    HTML,
    alpha_with_usage,
    counter,
    hours_ago,
    page,
    plain,
    push,
    send,
    server,
    until_used,
)

EVIL = "</script><img src=x onerror=alert(1)>\"'{{7*7}}"


async def read(service: Service, path: str, *, key: str = "read", status: int = 200) -> Any:
    async with service.request("GET", path, key=key) as response:
        assert response.status == status, await response.text()
        return await response.json()


def links(text: str, start: str) -> list[str]:
    """Give the addresses that a page leads to, those that begin so."""
    return [one for one in re.findall(r'href="([^"]+)"', text) if one.startswith(start)]


async def test_a_credit_is_followed_from_the_start_page_to_its_samples(service: Service) -> None:
    await alpha_with_usage(service)
    number = (await read(service, "/api/v1/projects/alpha"))["id"]
    base = f"/projects/%23{number}"

    start = await page(service, "/")
    account = await page(service, links(start, "/credits_history/")[0])
    spent = await page(service, links(account, f"{base}/spent")[0])
    [day, *_] = [one for one in links(spent, f"{base}/spent/2") if "T" not in one]
    of_day = await page(service, day)
    hour = next(one for one in links(of_day, f"{base}/spent/") if "T" in one)
    explained = plain(await page(service, hour))

    assert "6.00 credits used from" in plain(spent)
    assert "2.00 credits used in the hour" in explained
    assert "2.000000" in explained
    assert "106 − 104" in explained
    assert "2 vCPU-hour × 1 = 2.000000" in explained
    assert "label" in explained.lower()


async def test_sums_of_pages_and_answers_agree_at_every_level(service: Service) -> None:
    await alpha_with_usage(service)
    await push(service, server("rare"), [(hours_ago(2), 1.0), (hours_ago(2) + 1_800_000, 1.0)])

    listed = await read(service, "/api/v1/projects/alpha/resources")
    spent = await read(service, "/api/v1/projects/alpha/spent")
    account = await read(service, "/api/v1/projects/alpha")

    assert {one["resource"] for one in listed["resources"]} == {"", "server-1"}
    for told in (listed["credits"], spent["credits"], account["balance"]["used"]):
        assert told == "6.000000"
    assert sum(float(one["credits"]) for one in spent["resources"]) == 6
    assert sum(float(one["credits"]) for one in spent["steps"]) == 6
    [resource] = [one for one in listed["resources"] if one["resource"] == ""]
    of_one = await read(service, f"/api/v1/projects/alpha/resources/{resource['series_id']}")
    assert sum(float(one["credits"]) for one in of_one["steps"]) == 6
    [unpriced] = spent["uncharged"]
    assert (unpriced["flavor"], unpriced["kind"]) == ("rare", "billed")


async def test_servers_are_listed_with_state_flavor_and_what_it_is_made_of(
    service: Service,
) -> None:
    await push(service, server("m1.large"), [(hours_ago(0), 1.0), (hours_ago(0) + 60_000, 1.0)])
    shut = dict(server("m1.large")) | {"id": "server-2", "status": "SHUTOFF"}
    await push(service, tuple(sorted(shut.items())), [(hours_ago(0) + 60_000, 1.0)])
    await push(service, counter(), [(hours_ago(9), 1.0), (hours_ago(8), 2.0)])

    listed = await read(service, "/api/v1/projects/alpha/resources")
    text = plain(await page(service, "/projects/alpha/resources"))
    running = plain(await page(service, "/projects/alpha/resources?running=true"))

    assert {one["resource"]: one["state"] for one in listed["resources"]} == {
        "server-1": "running",
        "server-2": "stopped",
        "": "gone",
    }
    assert "m1.large" in text
    assert "server-2" in text
    assert "server-1" in running
    assert "server-2" not in running
    one = next(one for one in listed["resources"] if one["resource"] == "server-1")
    detail = plain(await page(service, f"/projects/alpha/resources/{one['series_id']}?range=24h"))
    assert "ACTIVE" in detail
    assert "location_id" in detail


@pytest.mark.parametrize("path", ["resources", "spent", "spent/2026-01", "spent/2026-01-31T14"])
async def test_a_foreign_project_and_an_unknown_one_look_the_same(
    service: Service, path: str
) -> None:
    await alpha_with_usage(service)
    await send(service, "POST", "/api/v1/projects", {"name": "beta", "site": "there"})
    limited = await service.new_key(Scope.READ, projects=("beta",))

    foreign = await page(service, f"/projects/alpha/{path}", key=limited, status=404)
    unknown = await page(service, f"/projects/nowhere/{path}", key=limited, status=404)
    assert foreign.replace("alpha", "nowhere") == unknown

    number = (await read(service, "/api/v1/projects/alpha/resources"))["resources"][0]["series_id"]
    own = await page(service, f"/projects/beta/resources/{number}", key=limited, status=404)
    none = await page(service, "/projects/beta/resources/999999", key=limited, status=404)
    assert (
        own.replace(f"resource {number}", "resource 999999").replace(
            f"resources/{number}", "resources/999999"
        )
        == none
    )


async def test_times_that_are_none_are_not_found(service: Service) -> None:
    await alpha_with_usage(service)

    for when in ("2026-13", "2026-02-30", "2026-01-31T24", "0000", "9999", "26", "now", "2026-1"):
        await page(service, f"/projects/alpha/spent/{when}", status=404)
    for when in ("2026", "2026-02", "2026-02-28", "2026-02-28T23", "1900", "8999-12-31"):
        await page(service, f"/projects/alpha/spent/{when}")
    await page(service, "/projects/alpha/spent?range=ever", status=400)
    await page(service, "/projects/alpha/resources?sort=luck", status=400)
    await page(service, "/projects/alpha/resources?meter=none", status=404)
    await page(service, "/?sort=luck", status=400)
    await page(service, "/?show=luck", status=400)
    await page(service, "/?after=x", status=400)
    await page(service, "/?organisation=nowhere", status=404)


async def test_nothing_that_a_sender_stored_acts_in_these_pages(service: Service) -> None:
    labels = dict(server(EVIL, project="evil")) | {"id": EVIL, "project_name": EVIL, "host": EVIL}
    await push(
        service,
        tuple(sorted(labels.items())),
        [(hours_ago(1), 1.0), (hours_ago(1) + 600_000, 1.0)],
    )
    body = {"credits_per_unit": "1", "valid_from": "1970-01-01T00:00:00Z"}
    price = {"meter": "openstack_nova_server_status", **body}
    await send(service, "POST", "/api/v1/prices", price)
    project = (await read(service, "/api/v1/overview"))["projects"][0]
    base = f"/projects/%23{project['id']}"
    series = (await read(service, f"/api/v1{base}/resources"))["resources"][0]["series_id"]
    hour = datetime.fromtimestamp(hours_ago(1) / 1000, UTC)

    for path in (
        "/",
        f"{base}/resources",
        f"{base}/resources/{series}",
        f"{base}/spent",
        f"{base}/spent/{hour:%Y-%m-%d}",
        f"{base}/spent/{hour:%Y-%m-%dT%H}",
    ):
        text = await page(service, path)
        assert "<img" not in text.replace('<img src="/static/icon.svg"', "")
        assert "onerror=alert(1)>" not in text
        assert "&lt;img src=x onerror" in text, path


async def test_the_start_page_sorts_searches_and_leads_on(service: Service) -> None:
    for number in range(53):
        body = {"name": f"p{number:02}", "site": "north" if number % 2 else "south"}
        await send(service, "POST", "/api/v1/projects", body)

    first = await page(service, "/")
    second = await page(service, re.findall(r'href="([^"]+)" rel="next"', first)[0])
    backwards = await page(service, "/?sort=name&descending=true")
    found = await page(service, "/?search=P1")

    def names(text: str) -> list[str]:
        return re.findall(r'href="/credits_history/[^"]+"><bdi>([^<]+)', text)

    assert names(first) == [f"p{number:02}" for number in range(50)]
    assert names(second) == ["p50", "p51", "p52"]
    assert "51 to 53 of 53" in plain(second)
    assert 'rel="prev"' in second
    assert names(backwards)[0] == "p52"
    assert names(found) == [f"p{number:02}" for number in range(10, 20)]
    assert 'aria-sort="ascending"' in first
    assert 'aria-sort="descending"' in backwards
    assert await page(service, "/?search=nothing-like-it")


async def test_pages_speak_german(service: Service) -> None:
    await alpha_with_usage(service)

    async with service.request(
        "GET", "/projects/alpha/spent", key="read", headers={**HTML, "Accept-Language": "de"}
    ) as response:
        text = plain(await response.text())

    assert "6,00 Credits verbraucht" in text
    assert "Nach Servern und Volumes" in text


async def test_usage_that_waits_for_its_price_is_told(service: Service) -> None:
    await alpha_with_usage(service)
    await push(service, server("rare"), [(hours_ago(2), 1.0), (hours_ago(2) + 1_800_000, 1.0)])
    await until_used(service, "alpha", "6.000000")
    hour = datetime.fromtimestamp(hours_ago(2) / 1000, UTC)

    spent = plain(await page(service, "/projects/alpha/spent"))
    explained = plain(await page(service, f"/projects/alpha/spent/{hour:%Y-%m-%dT%H}"))

    assert "Measured, but not charged" in spent
    assert "no price yet" in spent
    assert "Not charged: no price holds in this hour." in explained
