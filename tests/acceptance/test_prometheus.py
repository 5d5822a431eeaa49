"""A real Prometheus scrapes, sends, and finds the service killed: the credits are the oracle's.

The oracle is fed with what Prometheus has in its own database. Its API never gives stale
markers, but they are where its documentation puts them: at the first scrape, failed or not, in
which a series is missing that the scrape before had. `up` has one sample for each scrape, at
the very time of that scrape's samples, so every marker is known to the millisecond.
"""

import asyncio
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.acceptance import exporter, stored
from tests.acceptance.conftest import Service
from tests.acceptance.documented import documented
from tests.acceptance.exporter import exporting
from tests.acceptance.own_process import own_process
from tests.acceptance.prometheus import JOB, Prometheus, Series, prometheus_between
from tests.acceptance.shipped import MEMORY, METERS, SERVERS, VCPU
from tests.laws import oracle

KILLED_AFTER_SECONDS = 14
AWAY_SECONDS = 2.5
ARRIVING_SECONDS_MAX = 30
BILLED = (VCPU, MEMORY, SERVERS)
# By meter and project.
Samples = dict[tuple[str, str], list[oracle.Sample]]


def labelled(labels: dict[str, str], time: int, value: float | str) -> oracle.Sample:
    """Say what a sample means to the oracle."""
    return oracle.Sample(
        labels.get("id", ""), time, value, labels.get("flavor_id", ""), labels.get("status", "")
    )


def stale_times(times: list[int], scrapes: list[int]) -> list[int]:
    """Give the scrapes that miss a series which the scrape before had."""
    present = set(times)
    return [
        after for before, after in pairwise(scrapes) if before in present and after not in present
    ]


async def scraped(prometheus: Prometheus) -> Samples:
    """Read back all samples of our meters, with the stale markers that belong to them."""
    (_, up), *others = await prometheus.samples(f'up{{job="{JOB}"}}')
    assert not others
    scrapes = sorted(time for time, _ in up)
    result: Samples = defaultdict(list)
    for meter in BILLED:
        series: list[Series] = await prometheus.samples(meter)
        for labels, samples in series:
            project = labels.get("project_id") or labels["tenant_id"]
            times = [time for time, _ in samples]
            assert set(times) <= set(scrapes)
            result[meter, project] += [labelled(labels, time, value) for time, value in samples]
            result[meter, project] += [
                labelled(labels, time, oracle.STALE) for time in stale_times(times, scrapes)
            ]
    return result


def expected_charges(samples: Samples) -> dict[stored.Place, int]:
    """Ask the oracle for all charges."""
    return {
        (project, meter, flavor, hour): micro
        for (meter, project), of_both in samples.items()
        for (flavor, hour), micro in oracle.credits(METERS[meter], of_both).items()
    }


def expected_samples(samples: Samples) -> set[stored.SamplePlace]:
    """Say for which series and times a sample must be stored: counters keep no stale markers."""
    return {
        (meter, project, sample.series, sample.time)
        for (meter, project), of_both in samples.items()
        for sample in of_both
        if sample.value != oracle.STALE or METERS[meter].kind == "gauge"
    }


async def wait_until_sending(service: Service) -> None:
    """Wait for the first sample of any kind: from now on Prometheus sends all it scrapes."""
    async with asyncio.timeout(ARRIVING_SECONDS_MAX):
        while True:
            async with service.request("GET", "/stats", key="admin") as response:
                if "up" in (await response.json())["unknown_metrics"]:
                    return
            await asyncio.sleep(0.2)


async def wait_until_sent(prometheus: Prometheus) -> None:
    """Wait until everything before the exporter's end is acknowledged."""
    async with asyncio.timeout(ARRIVING_SECONDS_MAX):
        while (last := (await prometheus.samples(f'up{{job="{JOB}"}}'))[0][1][-1])[1] != 0:
            await asyncio.sleep(0.2)
        while await prometheus.figure("queue_highest_sent_timestamp_seconds") * 1000 <= last[0]:
            await asyncio.sleep(0.2)


async def wait_until_rated(url: str, expected: set[Any]) -> None:
    async with asyncio.timeout(ARRIVING_SECONDS_MAX):
        while await stored.waiting(url) or len(await stored.samples(url)) < len(expected):
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
