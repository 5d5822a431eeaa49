"""A day of line protocol by two Telegraf hosts whose network is bad: the oracle's credits.

Each host sends batches as Telegraf does (gzip, chunked, nanoseconds). Answers get lost and
bodies are cut in their middle: the points come again, cut into other batches, as Telegraf's
buffer does it; some batches come hours late, and a third of the day comes once more at the end.
"""

import asyncio
import gzip
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path

import aiohttp

from os_credits.settings import BUILT_IN_METERS
from tests.acceptance import shipped, stored, telegraf
from tests.acceptance.accounts import BOOK_AT_ONCE
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.shipped import DISK, MEMORY, VCPU, VOLUME
from tests.laws import oracle

SEED = 20_190_401
HOUR_MS = 3_600_000
BATCH_LINES = 300
CHUNK_BYTES = 8192
# What happens to a batch, and how often in ten times.
FATES = {"well": 6, "answer lost": 2, "body cut": 1, "late": 1}
RATING_SECONDS_MAX = 60
OWN_METER = """
[[meter]]
name = "gateway_requests"
metric = "gateway_requests"
kind = "delta"
unit = "request"
project_id = "id"
project_name = "project"
site = "region"
flavor = "tier"
identity = ["tier"]

[[price]]
meter = "gateway_requests"
flavor = "gold"
credits_per_unit = "0.000125"

[[price]]
meter = "gateway_requests"
credits_per_unit = "0.000000375"
"""
METERS = {
    **{name: shipped.METERS[name] for name in (VCPU, MEMORY, VOLUME, DISK)},
    telegraf.REQUESTS: oracle.Meter(
        "delta",
        prices=[(None, 0, Fraction("0.000000375")), ("gold", 0, Fraction("0.000125"))],
    ),
}


class NetworkDownError(Exception):
    """The connection went away while a body was sent."""


async def chunks(body: bytes, *, cut: bool) -> AsyncIterator[bytes]:
    """Give a body piece by piece, which aiohttp then sends chunked; `cut` breaks it off."""
    for start in range(0, len(body), CHUNK_BYTES):
        if cut and start + CHUNK_BYTES >= len(body):
            raise NetworkDownError
        yield body[start : start + CHUNK_BYTES]


async def send(service: Service, lines: list[str], *, cut: bool = False) -> None:
    """Send one batch as outputs.influxdb does; only 204 is success."""
    body = gzip.compress("".join(lines).encode())
    async with service.request(
        "POST",
        "/write?db=telegraf",
        key="ingest",
        data=chunks(body, cut=cut),
        headers={
            "Content-Encoding": "gzip",
            "Content-Type": "text/plain; charset=utf-8",
            "User-Agent": "Telegraf/1.39.3 Go/1.26.0",
        },
    ) as response:
        assert response.status == 204, await response.text()


async def send_day(service: Service, lines: list[str], chance: random.Random) -> Counter[str]:
    """Play one host; gives how many batches met which fate."""
    fates: Counter[str] = Counter()
    remaining, buffer, late = iter(lines), list[str](), list[list[str]]()
    while batch := [*buffer, *islice(remaining, BATCH_LINES - len(buffer))]:
        (fate,) = chance.choices(list(FATES), list(FATES.values()))
        fates[fate] += 1
        buffer = []
        if fate == "late":
            late.append(batch)
            continue
        if fate == "body cut":
            with suppress(NetworkDownError, aiohttp.ClientError):
                await send(service, batch, cut=True)
        await send(service, batch)
        if fate == "answer lost":
            # It does not know: a part of the batch comes again, together with new points.
            buffer = batch[chance.randrange(len(batch)) :]
    for batch in reversed(late):
        await send(service, batch)
    return fates


async def replay(service: Service, lines: list[str], chance: random.Random) -> None:
    """Send a third of all lines once more, in no order."""
    again = chance.sample(lines, len(lines) // 3)
    for start in range(0, len(again), 137):
        await send(service, again[start : start + 137])


def expected_samples(day: telegraf.Day) -> set[stored.SamplePlace]:
    """Say for which series and times a sample must be stored."""
    return {
        (meter, project, sample.series, sample.time)
        for (meter, project), samples in day.samples.items()
        for sample in samples
    }


def expected_charges(day: telegraf.Day) -> dict[stored.Place, int]:
    """Ask the oracle for all charges."""
    return {
        (project, meter, flavor, hour): micro
        for (meter, project), samples in day.samples.items()
        for (flavor, hour), micro in oracle.credits(METERS[meter], samples).items()
    }


async def test_a_day_of_telegraf_costs_what_the_oracle_says(
    database_url: str, tmp_path: Path
) -> None:
    """Five meters, three projects, two hosts; every hour is over and so every credit booked."""
    file = tmp_path / "meters.toml"
    file.write_text(BUILT_IN_METERS.read_text() + OWN_METER)
    now_ms = time.time_ns() // 10**6
    day = telegraf.write_day((now_ms // HOUR_MS - 25) * HOUR_MS - 12_345_678, SEED)
    expected = expected_charges(day)
    everything = [line for lines in day.lines.values() for line in lines]
    async with running(settings_for(database_url, meter_file=file, **BOOK_AT_ONCE)) as service:
        fates = await asyncio.gather(
            *(
                send_day(service, lines, random.Random(f"{SEED} {host}"))
                for host, lines in day.lines.items()
            )
        )
        await replay(service, everything, random.Random(SEED))
        async with asyncio.timeout(RATING_SECONDS_MAX):
            while await stored.waiting(database_url):
                await asyncio.sleep(0.2)
        samples = set(await stored.samples(database_url))
        charged = await stored.charges(database_url)
        with suppress(TimeoutError):
            async with asyncio.timeout(RATING_SECONDS_MAX):
                while await stored.ledger(database_url) != charged:
                    await asyncio.sleep(0.2)
        booked = await stored.ledger(database_url)
        accounts = await balances(service)

    assert all(set(FATES) == set(one) for one in fates), fates
    assert expected_samples(day) == samples
    assert {meter for _, meter, *_ in expected} == set(METERS)
    assert expected == charged
    assert expected == booked
    assert accounts == {
        project_id: (stored.shown(used_by(expected, project_id)), "0.000000")
        for _, project_id, *_ in telegraf.PROJECTS
    }


def used_by(charges: dict[stored.Place, int], project_id: str) -> int:
    """Add up what one project is charged, in millionths of a credit."""
    return sum(micro for (project, *_), micro in charges.items() if project == project_id)


async def balances(service: Service) -> dict[str, tuple[str, str]]:
    """Read of every project what it used, and how much of that is not booked."""
    async with service.request("GET", "/api/v1/projects", key="read") as response:
        projects = (await response.json())["projects"]
    return {
        one["external_id"]: (one["balance"]["used"], one["balance"]["tally"]) for one in projects
    }
