"""A real Prometheus scrapes, sends, and finds the service killed: the credits are the oracle's.

The oracle is fed with what Prometheus has in its own database.
"""

import asyncio
from pathlib import Path

from tests.acceptance import exporter, stored
from tests.acceptance.conftest import Service
from tests.acceptance.documented import documented
from tests.acceptance.exporter import exporting
from tests.acceptance.own_process import own_process
from tests.acceptance.prometheus import prometheus_between
from tests.acceptance.scraped import (
    ARRIVING_SECONDS_MAX,
    expected_charges,
    expected_samples,
    scraped,
    wait_until_rated,
    wait_until_sent,
)
from tests.acceptance.shipped import SERVERS

KILLED_AFTER_SECONDS = 14
AWAY_SECONDS = 2.5


async def wait_until_sending(service: Service) -> None:
    """Wait for the first sample of any kind: from now on Prometheus sends all it scrapes."""
    async with asyncio.timeout(ARRIVING_SECONDS_MAX):
        while True:
            async with service.request("GET", "/stats", key="admin") as response:
                if "up" in (await response.json())["unknown_metrics"]:
                    return
            await asyncio.sleep(0.2)


async def test_what_prometheus_scraped_costs_what_the_oracle_says(
    database_url: str, tmp_path: Path
) -> None:
    """Two projects, three meters, 40 s at one scrape a second, `kill -9` in the middle."""
    async with (
        own_process(database_url, tmp_path) as (process, service),
        exporting() as cloud,
        prometheus_between(
            cloud.address, service.url, service.keys["ingest"], tmp_path
        ) as prometheus,
    ):
        await wait_until_sending(service)
        cloud.begin()
        await asyncio.sleep(KILLED_AFTER_SECONDS)
        process.kill()
        await asyncio.sleep(AWAY_SECONDS)
        await process.start()
        await asyncio.sleep(exporter.LIFE_SECONDS - KILLED_AFTER_SECONDS - AWAY_SECONDS)
        cloud.end()
        await wait_until_sent(prometheus)

        samples = await scraped(prometheus)
        places = expected_samples(samples)
        await wait_until_rated(database_url, places)

        # The story did happen: scrapes of most seconds, and a service that was away.
        assert len(places) > 250
        assert await prometheus.figure("samples_retried_total") > 0
        assert await prometheus.figure("samples_failed_total") == 0
        assert places == set(await stored.samples(database_url))

        expected = expected_charges(samples)
        assert {
            (project, flavor) for project, meter, flavor, _ in expected if meter == SERVERS
        } == {
            ("id/alpha", "m1.small"),
            ("id/alpha", "m1.medium"),
            ("id/alpha", "m1.xlarge"),
            ("id/alpha", "m1.large"),
            ("id/beta", "g1.large"),
            ("id/beta", "m1.small"),
        }
        assert expected == await stored.charges(database_url)

        await check_balances(service, expected)


async def check_balances(service: Service, expected: dict[stored.Place, int]) -> None:
    """Compare what a person reads over HTTP, project by project."""
    client = await documented(service)
    for name, (project_id, *_) in exporter.PROJECTS.items():
        used = sum(micro for (project, *_), micro in expected.items() if project == project_id)
        account = await client.get(f"/api/v1/projects/{name}")

        assert account["external_id"] == project_id
        # Its hour will not have closed, so that nothing is booked yet.
        assert account["balance"]["used"] == account["balance"]["tally"] == stored.shown(used)
        history = await client.get(f"/credits_history/{name}")
        assert history["rows"][-1]["used"] == account["balance"]["used"]
