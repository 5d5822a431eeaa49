"""What years of stored history cost: of ingest against a fresh database, of reading one month.

    python -m scripts.with_server --on-disk python -m benchmarks.years [--quick]

Three databases hold the same series: one knows nothing else, one a year of their past, one five.
Each has a service of its own; while one is measured the others are stopped, so that what they
would do meanwhile is counted to nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import time
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
import asyncpg
import numpy as np

from benchmarks.bodies import Form, Load
from benchmarks.past import write_past
from benchmarks.runs import Service, serving, through_service
from os_credits.domain.access import Scope
from os_credits.flows.keys import KeyRequest, create_key
from os_credits.store.migrate import migrate
from os_credits.store.pool import open_pool
from tests import database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

FRESH, ONE, FIVE = 0, 1, 5
# The loads lie within the day for which hours stay open here, the past before it.
OPEN = timedelta(hours=20)
MONTH = timedelta(days=30)
# At least so many rows of usage are in it: two for each hour of 29 days.
ROWS_MIN = 29 * 24 * 2
SEED_STEPS = 2
START_SECONDS = 5
WARM_ROUNDS = 2
SETTINGS = {
    "OS_CREDITS_GRACE_PERIOD_SECONDS": "86400",
    "OS_CREDITS_SAMPLES_KEPT_DAYS": "0",
    "OS_CREDITS_USAGE_KEPT_DAYS": "0",
}
STOP_SECONDS_MAX = 20
# Calls of each database in turn.
CALLS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Scale:
    """How many projects have a past (two counters each), and how much is measured."""

    projects: int
    series: int
    steps: int
    rounds: int
    calls: int


QUICK = Scale(projects=10, series=4_000, steps=40, rounds=3, calls=200)
FULL = Scale(projects=20, series=8_000, steps=60, rounds=5, calls=400)


@dataclass(frozen=True, slots=True)
class Kept:
    """A database with so many years of past, and its service, which is stopped between turns."""

    years: int
    service: Service
    read_key: str


async def measure_years(urls: Mapping[int, str], scale: Scale) -> dict[str, list[float]]:
    """Fill the databases, and give a value of each figure for each round.

    `urls` are the owner's, by the years of the past: 0, 1 and 5.
    """
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - OPEN
    load = Load(scale.series, scale.projects, Form(2000, 1), int(end.timestamp()) * 1000)
    for years, url in urls.items():
        await _fill(url, years, load, end)
    async with AsyncExitStack() as stack:
        kept: dict[int, Kept] = {}
        for years, url in urls.items():
            service_url = database.as_service(url)
            key = await _read_key(service_url)
            service = await stack.enter_async_context(serving(url, service_url, SETTINGS))
            kept[years] = Kept(years, service, key)
            stack.callback(os.kill, service.pid, signal.SIGCONT)
            # What it does at its start is done before anything is measured.
            await asyncio.sleep(START_SECONDS)
            await lay_down(service)
        figures = await _read_rounds(kept, scale)
        figures |= await _ingest_rounds(kept, scale, load)
    return figures


async def _fill(url: str, years: int, load: Load, end: datetime) -> None:
    started = time.monotonic()
    service_url = database.as_service(url)
    migrate(url, service_url)
    async with serving(url, service_url, SETTINGS) as service:
        await through_service(service, load, SEED_STEPS)
    conn = await asyncpg.connect(url)
    if years:
        await write_past(conn, service_url, years=years, end=end)
    await conn.execute("VACUUM (ANALYZE)")
    await conn.close()
    print(f"{years} years of past took {time.monotonic() - started:.0f} s", flush=True)


async def _read_key(service_url: str) -> str:
    pool = await open_pool(service_url, connections_max=1, statement_timeout_seconds=30)
    _, key = await create_key(pool, KeyRequest("reader", frozenset({Scope.READ})))
    await pool.close()
    return key


async def _ingest_rounds(
    kept: Mapping[int, Kept], scale: Scale, load: Load
) -> dict[str, list[float]]:
    """Push the same loads to the fresh database and to the full one, which begin in turns."""
    figures: dict[str, list[float]] = {}
    for number in range(WARM_ROUNDS + scale.rounds):
        first_step = SEED_STEPS + number * scale.steps
        placed = replace(load, start_ms=load.start_ms + first_step * load.step_ms)
        cost = {}
        for years in (FRESH, FIVE) if number % 2 else (FIVE, FRESH):
            async with awake(kept[years].service) as service:
                run = await through_service(service, placed, scale.steps)
            cost[years] = run.cpu_per_million
            if number >= WARM_ROUNDS:
                for whose, seconds in run.cpu.per_million(run.samples).items():
                    figures.setdefault(f"past_{years}y_{whose}_cpu_per_million", []).append(seconds)
        if number >= WARM_ROUNDS:
            figures.setdefault("history_5y_vs_fresh", []).append(cost[FIVE] / cost[FRESH])
    return figures


async def _read_rounds(kept: Mapping[int, Kept], scale: Scale) -> dict[str, list[float]]:
    """Ask both for the last 30 days of a project, some calls each in turn."""
    figures: dict[str, list[float]] = {}
    for number in range(1 + scale.rounds):
        taken: dict[int, list[float]] = {ONE: [], FIVE: []}
        while len(taken[FIVE]) < scale.calls:
            for years in (ONE, FIVE):
                async with awake(kept[years].service):
                    taken[years] += await _read_times(kept[years], scale, len(taken[years]))
        if not number:
            continue  # plans and caches are made
        for share in (50, 99):
            one, five = (float(np.percentile(taken[years], share)) for years in (ONE, FIVE))
            figures.setdefault(f"read_history_p{share}_1y_ms", []).append(one * 1000)
            figures.setdefault(f"read_history_p{share}_5y_ms", []).append(five * 1000)
            figures.setdefault(f"read_history_p{share}_5y_vs_1y", []).append(five / one)
    return figures


async def _read_times(kept: Kept, scale: Scale, first: int) -> list[float]:
    """Give the seconds that each of some calls takes, of one project after the other."""
    since = datetime.now(UTC) - MONTH
    seconds = []
    headers = {"Authorization": f"Bearer {kept.read_key}", "Accept": "application/json"}
    async with aiohttp.ClientSession(kept.service.url, headers=headers) as session:
        for number in range(first, first + CALLS_AT_ONCE):
            name = f"project-{number % scale.projects}-of-a-research-group"
            started = time.perf_counter()
            async with session.get(
                f"/credits_history/{name}", params={"start_date": f"{since:%Y-%m-%dT%H:00:00Z}"}
            ) as answer:
                body = await answer.read()
                if answer.status != HTTPStatus.OK or body.count(b'"usage"') < ROWS_MIN:
                    raise SystemExit(f"{answer.status} {body[:500]!r}")
            seconds.append(time.perf_counter() - started)
    return seconds


@asynccontextmanager
async def awake(service: Service) -> AsyncIterator[Service]:
    """Let a stopped service run for a while."""
    os.kill(service.pid, signal.SIGCONT)
    yield service
    await lay_down(service)


async def lay_down(service: Service) -> None:
    """Stop a service between two transactions, so that the database does not lose patience."""
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while time.monotonic() < deadline:
        os.kill(service.pid, signal.SIGSTOP)
        if not await service.conn.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'os_credits' AND state <> 'idle')"
        ):
            return
        os.kill(service.pid, signal.SIGCONT)
        await asyncio.sleep(0.1)
    raise SystemExit("the service is never at rest")


def run(scale: Scale) -> dict[str, list[float]]:
    """Make the databases, and measure."""
    with ExitStack() as stack:
        urls = {
            years: stack.enter_context(database.database(database.server_url()))
            for years in (FRESH, ONE, FIVE)
        }
        return asyncio.run(measure_years(urls, scale))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer projects")
    given = parser.parse_args()
    for name, values in run(QUICK if given.quick else FULL).items():
        figure = f"{statistics.median(values):.3f} ({min(values):.3f} - {max(values):.3f})"
        print(f"{name:40} {figure}")


if __name__ == "__main__":
    main()
