"""What Prometheus scraped, read back from its own database as samples for the oracle.

Its API never gives stale markers, but they are where its documentation puts them: at the first
scrape, failed or not, in which a series is missing that the scrape before had. `up` has one sample
for each scrape, at the very time of that scrape's samples, so every marker is known to the
millisecond.
"""

import asyncio
from collections import defaultdict
from itertools import pairwise
from typing import Any

from tests.acceptance import stored
from tests.acceptance.prometheus import JOB, Prometheus, Series
from tests.acceptance.shipped import MEMORY, METERS, SERVERS, VCPU
from tests.laws import oracle

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
    scrapes = {
        labels["job"]: sorted(time for time, _ in up)
        for labels, up in await prometheus.samples("up")
    }
    result: Samples = defaultdict(list)
    for meter in BILLED:
        series: list[Series] = await prometheus.samples(meter)
        for labels, samples in series:
            project = labels.get("project_id") or labels["tenant_id"]
            times = [time for time, _ in samples]
            of_job = scrapes[labels["job"]]
            assert set(times) <= set(of_job)
            result[meter, project] += [labelled(labels, time, value) for time, value in samples]
            result[meter, project] += [
                labelled(labels, time, oracle.STALE) for time in stale_times(times, of_job)
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
