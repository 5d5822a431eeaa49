"""How much memory the service holds for each active series, and what for.

    python -m scripts.with_server python -m benchmarks.memory [--quick] [--parts]

Resident memory is read after a first set of series has been sent, rated and looked after for a
while, and again after a second set that is as large has gone the same way. The first one has
warmed whatever is made once or kept for reuse: code, buffers, connections. What a run works in
goes back to the system: else the heap keeps some ten megabytes of it, now more and now less, which
says nothing of the series. So what grows is what is remembered. `--parts` does the same inside this
process, and says which lines of the code hold what was allocated between the readings.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
import tracemalloc
from dataclasses import dataclass, replace

from benchmarks.bodies import Form, Load
from benchmarks.runs import Service, serving, through_service
from os_credits.decode import snappy
from os_credits.decode.remote_write import decode_v1
from os_credits.decode.remote_write_keys import labels_of_v1
from os_credits.flows.meters import load_meters, read_meter_file
from os_credits.settings import BUILT_IN_METERS
from os_credits.store.migrate import migrate
from os_credits.store.pool import open_pool
from tests import database
from tests.core import ADMIN, new_core

SETTINGS = {
    "OS_CREDITS_NEW_SERIES_PER_HOUR_MAX": "10000000",
    "OS_CREDITS_GRACE_PERIOD_SECONDS": "86400",
}
# glibc's malloc then asks the system for each piece of that size, and gives it back.
GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
STEPS = 4
# Each set is sent so often, so that its buffers have been used as often as they will be.
TIMES = 3
# The least of so many readings, a second after another: what is passing is not counted.
READINGS = 5
LINES = 25


@dataclass(frozen=True, slots=True)
class Scale:
    """How many series each set holds, and how often all is measured."""

    series: int
    rounds: int


# Enough to be told apart in parts, and for CI.
QUICK = Scale(series=15_000, rounds=1)
FULL = Scale(series=50_000, rounds=3)


@dataclass(frozen=True, slots=True)
class Part(Load):
    """A load whose series are those from `first` on of a larger one."""

    first: int = 0

    def labels(self, number: int) -> tuple[tuple[str, str], ...]:
        """Give the labels of one series."""
        return Load.labels(self, self.first + number)

    def sample(self, number: int, step: int) -> tuple[int, float]:
        """Give time (ms) and value of a series at a step."""
        return Load.sample(self, self.first + number, step)


def sets_of(scale: Scale) -> list[list[Part]]:
    """Give for each set of series the loads that are sent one after the other."""
    start_ms = int(time.time() - 12 * 3600) * 1000
    whole = Part(scale.series, scale.series // 100, Form(2000, 1), start_ms)
    return [
        [
            replace(
                whole,
                first=number * scale.series,
                start_ms=start_ms + (number * TIMES + n) * STEPS * whole.step_ms,
            )
            for n in range(TIMES)
        ]
        for number in range(2)
    ]


async def bytes_per_series(owner_url: str, service_url: str, scale: Scale) -> float:
    """Give the resident bytes that one more active series takes."""
    async with serving(owner_url, service_url, SETTINGS | GIVES_BACK) as service:
        readings = []
        for loads in sets_of(scale):
            for load in loads:
                await through_service(service, load, STEPS)
            readings.append(await _settled(service))
            print(f"resident: {readings[-1] / 2**20:.1f} MiB", flush=True)
    before, after = readings
    return (after - before) / scale.series


async def _settled(service: Service) -> int:
    readings = []
    for _ in range(READINGS):
        await asyncio.sleep(1)
        readings.append(service.resident_bytes)
    return min(readings)


async def parts_per_series(service_url: str, scale: Scale) -> list[tuple[float, str]]:
    """Give how many bytes of a series each line of the code holds, the most first."""
    pool = await open_pool(service_url, connections_max=4, statement_timeout_seconds=60)
    await load_meters(pool, read_meter_file(BUILT_IN_METERS))
    core = new_core(pool)
    snapshots = []
    tracemalloc.start()
    for loads in sets_of(scale):
        for load in loads:
            for bodies in load.lane_bodies(STEPS):
                for body in bodies:
                    push = decode_v1(snappy.decompress(body, 2**27))
                    await core.ingest.accept(push, labels_of=labels_of_v1, door="v1", access=ADMIN)
            await core.rate()
        snapshots.append(tracemalloc.take_snapshot())
    await pool.close()
    before, after = snapshots
    return [
        (one.size_diff / scale.series, str(one.traceback))
        for one in after.compare_to(before, "lineno")
    ]


def run(scale: Scale) -> list[float]:
    """Measure as often as the scale says, each time with a new database and service."""
    values = []
    for _ in range(scale.rounds):
        with database.database(database.server_url()) as url:
            service_url = database.as_service(url)
            migrate(url, service_url)
            values.append(asyncio.run(bytes_per_series(url, service_url, scale)))
    return values


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer series, once")
    parser.add_argument("--parts", action="store_true", help="say which lines hold what")
    given = parser.parse_args()
    if given.parts:
        with database.database(database.server_url()) as url:
            service_url = database.as_service(url)
            migrate(url, service_url)
            parts = asyncio.run(parts_per_series(service_url, QUICK))
        for size, place in parts[:LINES]:
            print(f"{size:8.1f} {place}")
        print(f"{sum(size for size, _ in parts):8.1f} in all")
        return
    values = run(QUICK if given.quick else FULL)
    print(f"bytes_per_series {statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f})")


if __name__ == "__main__":
    main()
