"""Two senders of the same usage are one (I-15): a pair of Prometheus, and two kinds of doors."""

import asyncio
import gzip
import random
import time
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from os_credits.decode.remote_write_encode import encode_v1
from tests.acceptance import stored, traffic
from tests.acceptance.conftest import Service
from tests.acceptance.exporter import PROJECTS, exporting
from tests.acceptance.prometheus import Prometheus, prometheus_between
from tests.acceptance.scraped import (
    ARRIVING_SECONDS_MAX,
    BILLED,
    Samples,
    expected_charges,
    expected_samples,
    scraped,
    wait_until_rated,
    wait_until_sent,
)
from tests.acceptance.senders import V1

LIFE_SECONDS = 7
SCRAPE_SECONDS = 1.0
# How much longer than one of the pair both together may have seen something run: a scrape
# before its first and a scrape after its last one, and what a busy machine adds.
MORE_SECONDS_MAX = 2 * SCRAPE_SECONDS + 1
SEED = 20_190_401
POINTS = 400
BATCH = 25


async def wait_until_sending(pair: list[Prometheus]) -> None:
    """Wait until both have sent anything: from now on they send all they scrape."""
    async with asyncio.timeout(ARRIVING_SECONDS_MAX):
        for one in pair:
            while await one.figure("queue_highest_sent_timestamp_seconds") == 0:
                await asyncio.sleep(0.1)


def together(first: Samples, second: Samples) -> Samples:
    """Give the set that both make up."""
    return {place: first[place] + second[place] for place in {*first, *second}}


def totals(samples: Samples) -> Counter[tuple[str, str]]:
    """Sum up what the oracle says of each project and meter, in millionths."""
    result: Counter[tuple[str, str]] = Counter()
    for (project, meter, *_), micro in expected_charges(samples).items():
        result[project, meter] += micro
    return result


async def test_a_pair_of_prometheus_is_billed_once(
    database_url: str, service: Service, tmp_path: Path
) -> None:
    """One exporter, scraped by two, which know nothing of each other but the label `replica`."""
    key = service.keys["ingest"]
    for replica in "ab":
        (tmp_path / replica).mkdir()
    async with (
        exporting() as cloud,
        prometheus_between(cloud.address, service.url, key, tmp_path / "a", replica="a") as one,
        prometheus_between(cloud.address, service.url, key, tmp_path / "b", replica="b") as two,
    ):
        pair = [one, two]
        await wait_until_sending(pair)
        cloud.begin()
        await asyncio.sleep(LIFE_SECONDS)
        cloud.end()
        for prometheus in pair:
            await wait_until_sent(prometheus)
        of_one, of_two = [await scraped(prometheus) for prometheus in pair]
        both = together(of_one, of_two)
        places = expected_samples(both)
        await wait_until_rated(database_url, places)

    assert places == set(await stored.samples(database_url))
    assert len(places) > 1.8 * max(len(expected_samples(one)) for one in (of_one, of_two))
    assert expected_charges(both) == await stored.charges(database_url)
    check_that_one_would_say_the_same(totals(both), [totals(of_one), totals(of_two)])


def check_that_one_would_say_the_same(
    both: Counter[tuple[str, str]], singles: list[Counter[tuple[str, str]]]
) -> None:
    """Hold a pair against one of it: they differ by the scrapes at the two ends only."""
    assert {(id_, meter) for id_, *_ in PROJECTS.values() for meter in BILLED} == set(both)
    for single in singles:
        for place, micro in both.items():
            per_second = micro / LIFE_SECONDS
            share = (single[place] - micro) / micro
            print(f"{place}: pair {micro}, one {single[place]} ({share:+.1%})")  # noqa: T201
            assert abs(micro - single[place]) <= MORE_SECONDS_MAX * per_second, (place, single)


def remote_write(points: list[traffic.Point]) -> dict[str, Any]:
    """Write points as a Prometheus would, in milliseconds."""
    series = [
        (tuple(sorted({"__name__": one.meter, **one.labels}.items())), [(one.time_ms, one.value)])
        for one in points
    ]
    return {"path": "/api/v1/write", "data": encode_v1(series), "headers": V1}


def telegraf(points: list[traffic.Point], chance: random.Random) -> dict[str, Any]:
    """Write points as Telegraf would, in nanoseconds, of which a millisecond is floored."""
    lines = [
        f"{one.meter},{','.join(f'{name}={value}' for name, value in sorted(one.labels.items()))}"
        f" value={one.value!r} {one.time_ms}{chance.randrange(10**6):06d}"
        for one in points
    ]
    body = gzip.compress("\n".join(lines).encode())
    return {"path": "/write?db=telegraf", "data": body, "headers": {"Content-Encoding": "gzip"}}


async def send(service: Service, bodies: list[dict[str, Any]]) -> None:
    for body in bodies:
        async with service.request("POST", key="ingest", **body) as response:
            assert response.status == 204, await response.text()


async def test_the_same_usage_by_two_doors_at_once_is_billed_once(
    database_url: str, service: Service
) -> None:
    chance = random.Random(SEED)
    start_ms = int(time.time() * 1000) - POINTS * traffic.STEP_MS_MAX
    points = list(islice(traffic.points_of("alpha", start_ms, chance), POINTS))
    mixed = [chance.sample(points, len(points)) for _ in range(2)]
    by_prometheus, by_telegraf = [
        [order[at : at + BATCH] for at in range(0, POINTS, BATCH)] for order in mixed
    ]
    await asyncio.gather(
        send(service, [remote_write(batch) for batch in by_prometheus]),
        send(
            service,
            [
                telegraf([replace(one, replica="telegraf") for one in batch], chance)
                for batch in by_telegraf
            ],
        ),
    )
    await service.rated()

    assert {point.place for point in points} == set(await stored.samples(database_url))
    expected = traffic.charges_of(points)
    assert len(expected) > 10
    assert expected == await stored.charges(database_url)
    async with service.request("GET", "/stats", key="admin") as response:
        stats = await response.json()
    assert 2 * POINTS == sum(stats["accepted_samples"].values())
