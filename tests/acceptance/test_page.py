"""The pages for browsers: what they show, to whom, and that nothing stored can act in them."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from os_credits.decode.remote_write_encode import encode_v1
from os_credits.domain.access import Scope
from os_credits.domain.sample import Labels
from tests.acceptance.conftest import Service
from tests.acceptance.senders import V1

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOUR_MS = 3_600_000


def hours_ago(count: int) -> int:
    """Give the full hour that began `count` hours before the running one, in ms."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return int((now - timedelta(hours=count)).timestamp() * 1000)


def counter(project: str = "alpha", **more: str) -> Labels:
    labels = {
        "__name__": "project_vcpu_usage",
        "project_id": f"id-{project}",
        "project_name": project,
        "location_id": "here",
        **more,
    }
    return tuple(sorted(labels.items()))


def server(flavor: str, project: str = "alpha") -> Labels:
    labels = {
        "__name__": "openstack_nova_server_status",
        "tenant_id": f"id-{project}",
        "project_name": project,
        "location_id": "here",
        "id": "server-1",
        "status": "ACTIVE",
        "flavor_id": flavor,
    }
    return tuple(sorted(labels.items()))


async def push(service: Service, labels: Labels, samples: list[tuple[int, float]]) -> None:
    async with service.request(
        "POST", "/api/v1/write", key="ingest", headers=V1, data=encode_v1([(labels, samples)])
    ) as response:
        assert response.status == 204, await response.text()
    await service.rated()


async def send(service: Service, method: str, path: str, body: Any) -> Any:
    async with service.request(method, path, key="admin", json=body) as response:
        assert response.status in {200, 201}, await response.text()
        return await response.json()


async def page(service: Service, path: str, *, key: str | None = "read", status: int = 200) -> str:
    async with service.request("GET", path, key=key, headers=HTML) as response:
        text = await response.text()
        assert (response.status, response.content_type) == (status, "text/html"), text
        return text


async def until_used(service: Service, project: str, amount: str) -> None:
    """Wait until exactly this was charged to a project."""
    used = None
    async with asyncio.timeout(20):
        while used != amount:
            async with service.request("GET", f"/credits_history/{project}", key="read") as got:
                used = (await got.json())["balance"]["used"] if got.status == 200 else None
            await asyncio.sleep(0.05)


def chart_of(text: str) -> Any:
    found = re.search(
        r'<script id="chart-data" type="application/json">(.*?)</script>', text, re.DOTALL
    )
    assert found
    return json.loads(found[1])


def plain(text: str) -> str:
    """Give what a reader sees, without the marks around it."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text.replace("<wbr>", "")))


async def alpha_with_usage(service: Service) -> None:
    """Let alpha use 2 vCPUs for 3 hours, of 10 credits that were granted."""
    project = {"name": "alpha", "site": "here", "external_id": "id-alpha"}
    await send(service, "POST", "/api/v1/projects", project)
    grant = {"amount": "10", "reason": "for the start", "idempotency_key": "k"}
    await send(service, "POST", "/api/v1/projects/alpha/grants", grant)
    samples = [(hours_ago(4 - number), 100 + 2.0 * number) for number in range(4)]
    await push(service, counter(), samples)
    await until_used(service, "alpha", "6.000000")


async def test_a_browser_without_a_key_is_sent_to_where_people_log_in(service: Service) -> None:
    for path, target in (("/", "/login"), ("/credits_history/a%2Fb", "/login?next=")):
        async with service.request("GET", path, headers=HTML, allow_redirects=False) as response:
            assert response.status == 303
            assert response.headers["Location"].startswith(target)


async def test_the_page_shows_what_was_granted_used_and_left(service: Service) -> None:
    await alpha_with_usage(service)

    text = await page(service, "/credits_history/alpha")

    assert "<title>alpha · os_credits</title>" in text
    figures = re.findall(r'<p class="figure">([^<]+)</p>', text)
    assert figures == ["4.00", "10.00", "6.00", "6.00"]
    seen = plain(text)
    assert "40 %" in seen
    assert "project_vcpu_usage" in seen
    assert "for the start" in seen
    assert re.search(r"project_vcpu_usage .* 6\.00 100 % 6 vCPU-hour", seen)


@pytest.mark.parametrize("span", ["24h", "7d", "30d", "90d", "1y"])
async def test_every_span_ends_with_the_balance_of_now(service: Service, span: str) -> None:
    await alpha_with_usage(service)

    chart = chart_of(await page(service, f"/credits_history/alpha?range={span}"))

    assert chart["left"][-1] == "4.000000"
    assert sum(map(float, chart["used"][0])) == 6
    assert len(chart["ends"]) == len(chart["starts"]) + 1 == len(chart["left"])
    assert chart["step"] == ("hour" if span in {"24h", "7d"} else "day")
    assert [one["credits"] for one in chart["percents"]] == ["5.000000", "2.000000"]


async def test_machines_get_json_from_the_same_address(service: Service) -> None:
    await alpha_with_usage(service)

    async with service.request("GET", "/credits_history/alpha", key="read") as response:
        assert response.content_type == "application/json"
        assert (await response.json())["balance"]["current"] == "4.000000"


async def test_nothing_that_a_sender_stored_acts_in_a_page(service: Service) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}"
    labels = dict(counter(evil), location_id=evil, project_id="id-evil")
    await push(service, tuple(sorted(labels.items())), [(hours_ago(2), 1.0), (hours_ago(1), 2.0)])
    machine = dict(server(evil), tenant_id="id-evil", location_id=evil, project_name=evil)
    start = hours_ago(1)
    samples = [(start, 0.0), (start + HOUR_MS // 2, 0.0)]
    await push(service, tuple(sorted(machine.items())), samples)
    await until_used(service, "id-evil", "1.000000")
    grant = {"amount": "10", "reason": evil, "idempotency_key": "k"}
    await send(service, "POST", "/api/v1/projects/id-evil/grants", grant)

    for path in ("/", "/credits_history/id-evil", "/credits_history/%3Cscript%3Ealert(1)"):
        status = 404 if "%3C" in path else 200
        text = await page(service, path, status=status)
        assert "alert(1)" in text
        assert "<script>" not in text
        assert "<img src=x" not in text
        tags = re.findall(r"<[a-zA-Z][^>]*>", text)
        assert not [tag for tag in tags if re.search(r"\son\w+\s*=", tag)]
    text = await page(service, "/credits_history/id-evil")
    assert "{{7*7}}" in text
    chart = chart_of(text)
    assert set(chart["labels"]) == {"project_vcpu_usage", evil}


async def test_pages_forbid_everything_that_is_not_of_this_service(service: Service) -> None:
    async with service.request("GET", "/", key="read", headers=HTML) as response:
        policy = response.headers["Content-Security-Policy"]

        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"


async def test_usage_without_any_grant_is_debt_and_says_so(service: Service) -> None:
    await push(service, counter(), [(hours_ago(2), 1.0), (hours_ago(1), 3.0)])
    await until_used(service, "alpha", "2.000000")

    text = await page(service, "/credits_history/alpha")

    assert "level-debt" in text
    assert re.findall(r'<p class="figure">([^<]+)</p>', text)[:2] == ["\u22122.00", "0.00"]
    assert "stands against the first grant" in plain(text)
    assert chart_of(text)["left"] == chart_of(text)["expected"]


async def test_a_project_without_usage_says_so_and_has_no_chart(service: Service) -> None:
    await send(service, "POST", "/api/v1/projects", {"name": "new"})

    text = await page(service, "/credits_history/new")

    assert "No usage yet." in text
    assert "chart-data" not in text
    assert 'id="chart"' not in text


async def test_usage_without_a_price_is_told(service: Service) -> None:
    start = hours_ago(2)
    await push(service, server("unheard.of"), [(start, 0.0), (start + HOUR_MS, 0.0)])
    async with asyncio.timeout(20):
        while "unheard.of" not in (
            text := await page(service, "/credits_history/alpha", status=200)
        ):
            await asyncio.sleep(0.05)

    assert "1 server-hour are not charged: no price yet" in plain(text)


async def test_an_unknown_project_gets_a_page_that_says_so(service: Service) -> None:
    text = await page(service, "/credits_history/nobody", status=404)

    assert "There is no project &#39;nobody&#39;" in text


async def test_an_ambiguous_name_offers_its_candidates(service: Service) -> None:
    for site in ("north", "south"):
        await send(service, "POST", "/api/v1/projects", {"name": "twin", "site": site})

    text = await page(service, "/credits_history/twin", status=409)

    links = re.findall(r'href="(/credits_history/%23[0-9]+)"', text)
    assert len(links) == 2
    sites = {re.findall(r"Site <bdi>(\w+)", await page(service, link))[0] for link in links}
    assert sites == {"north", "south"}
    assert "Site <bdi>south" in await page(service, "/credits_history/twin?site=south")


async def test_a_mistake_in_the_address_is_named(service: Service) -> None:
    await send(service, "POST", "/api/v1/projects", {"name": "new"})

    text = await page(service, "/credits_history/new?range=forever", status=400)

    assert "is not one of 24h, 7d, 30d, 90d, 1y" in text
    async with service.request("GET", "/?after=x", key="read", headers=HTML) as response:
        assert response.status == 400


async def test_the_start_page_lists_what_a_key_may_see_and_nothing_else(service: Service) -> None:
    await alpha_with_usage(service)
    await send(service, "POST", "/api/v1/projects", {"name": "beta", "site": "there"})
    limited = await service.new_key(Scope.READ, projects=("beta",))

    everything = await page(service, "/")
    only_beta = await page(service, "/", key=limited)

    assert re.findall(r'href="/credits_history/[^"]+"><bdi>([^<]+)', everything) == [
        "alpha",
        "beta",
    ]
    assert re.findall(r'href="/credits_history/[^"]+"><bdi>([^<]+)', only_beta) == ["beta"]
    assert "alpha" not in only_beta
    assert "4.00" in everything
    await page(service, "/credits_history/beta?site=there", key=limited)
    await page(service, "/credits_history/alpha", key=limited, status=404)


async def test_an_empty_service_tells_how_to_begin(service: Service) -> None:
    text = await page(service, "/")

    assert "No projects yet." in text
    assert "/api/v1/write" in text


async def test_files_of_pages_need_no_key_and_nothing_else_can_be_asked_for(
    service: Service,
) -> None:
    for path, media_type in (
        ("/static/page.css", "text/css"),
        ("/static/chart.js", "text/javascript"),
        ("/static/vendor/uplot/uPlot.iife.min.js", "text/javascript"),
        ("/static/icon.svg", "image/svg+xml"),
    ):
        async with service.request("GET", path) as response:
            assert (response.status, response.content_type) == (200, media_type)
            assert response.headers["X-Content-Type-Options"] == "nosniff"
    for path in (
        "/static/",
        "/static/vendor/VENDORED.md",
        "/static/../pages.py",
        "/static/%2e%2e/pages.py",
        "/static/nothing.css",
    ):
        async with service.request("GET", path, allow_redirects=False) as response:
            assert response.status == 404
