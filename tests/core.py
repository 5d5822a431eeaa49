"""The core without its doors: ingest, rating and booking over a real database."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.access import Access, Scope
from os_credits.domain.key_spans import KeySpans
from os_credits.domain.sample import STALE_MARKER_BITS, Labels, Push
from os_credits.domain.threshold import Lines
from os_credits.flows.accounts import Done, instruct
from os_credits.flows.book import book
from os_credits.flows.ingest import Ingest, Receipt
from os_credits.flows.label_reading import Limits
from os_credits.flows.lots import pass_time
from os_credits.flows.meters import MeterFile, load_meters
from os_credits.flows.notice import Watch
from os_credits.flows.rate import Rater
from os_credits.flows.registry import Registry
from os_credits.flows.stats import Stats
from os_credits.rating.judgement import AcceptanceWindow
from os_credits.store.pool import Pool, connection, open_pool
from tests import checker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from os_credits.domain.grant import GrantRequest

WINDOW_MS = checker.WINDOW_MS
WATCH = Watch(Lines())
ADMIN = Access("test", frozenset({Scope.ADMIN}))
STALE = float(np.array([STALE_MARKER_BITS], np.int64).view(np.float64)[0])
# Labels, time in ms, value.
Written = tuple[dict[str, str], int, float]


def push_of(samples: Sequence[Written]) -> Push:
    """Make the columns of a push; the labels themselves, as JSON, are the keys."""
    texts = [json.dumps(labels, sort_keys=True).encode() for labels, _, _ in samples]
    keys = list(dict.fromkeys(texts))
    number = {key: index for index, key in enumerate(keys)}
    return Push(
        unit="line",
        keys=KeySpans.of(keys),
        key_index=np.array([number[text] for text in texts], np.int32),
        times_ms=np.array([time for _, time, _ in samples], np.int64),
        values=np.array([value for _, _, value in samples], np.float64),
        positions=np.arange(1, len(samples) + 1, dtype=np.int32),
        untimed=np.zeros(len(samples), np.bool_),
    )


def labels_of(key: bytes) -> Labels:
    """Read the labels back from such a key."""
    return tuple(sorted(json.loads(key).items()))


@dataclass
class Core:
    """One copy of the service, without a clock: each step is called by the test.

    A test that writes into tables by itself sets `leaves_a_mess`: then nobody checks at its end
    that what is stored is what is recomputed.
    """

    pool: Pool
    stats: Stats
    registry: Registry
    ingest: Ingest
    rater: Rater
    leaves_a_mess: bool = False

    async def push(self, samples: Sequence[Written], *, access: Access = ADMIN) -> Receipt:
        """Hand in samples as one body."""
        return await self.ingest.accept(
            push_of(samples), labels_of=labels_of, door="test", access=access
        )

    async def rate(self) -> int:
        """Rate everything that waits."""
        total = 0
        while count := await self.rater.run():
            total += count
        return total

    async def book(self, *, grace: timedelta = timedelta(minutes=15)) -> int:
        """Close hours and book what is due."""
        return await book(self.rater, self.stats, grace=grace)

    async def pass_time(self, *, percents: Sequence[Decimal] = ()) -> int:
        """Start and end the lots whose hour has come."""
        return await pass_time(self.rater, _watch(percents))

    async def charged(self, project: str) -> dict[tuple[str, str, int], int]:
        """Give millionths by meter, flavor and hour number, from the stored charges."""
        async with connection(self.pool) as conn:
            rows = await conn.fetch(
                """
                SELECT m.name, f.name, extract(epoch FROM c.hour)::bigint / 3600, c.charged
                FROM charge c JOIN project p ON p.id = c.project_id
                JOIN meter m ON m.id = c.meter_id JOIN flavor f ON f.id = c.flavor_id
                WHERE p.name = $1 AND c.charged <> 0
                """,
                project,
            )
        return {(row[0], row[1], row[2]): int(row[3].scaleb(6)) for row in rows}

    async def now_ms(self) -> int:
        """Read the database's clock."""
        async with connection(self.pool) as conn:
            return int(await conn.fetchval("SELECT extract(epoch FROM now()) * 1000"))


def _watch(percents: Sequence[Decimal]) -> Watch:
    """Watch lines that may be told again at once."""
    return Watch(Lines(percents=tuple(percents), hysteresis_percent=Decimal(0), cool_down_hours=0))


async def grant(pool: Pool, request: GrantRequest, *, percents: Sequence[Decimal] = ()) -> Done:
    """Give credits to a project, watching these lines."""
    return await instruct(pool, request, _watch(percents))


def new_core(pool: Pool, *, samples_max: int = 200_000) -> Core:
    """Make another copy of the service on the same database."""
    stats = Stats()
    registry = Registry(Limits(64, 1024, 100_000))
    ingest = Ingest(pool, registry, stats, AcceptanceWindow(WINDOW_MS, 600_000))
    rater = Rater(pool, stats, window_ms=WINDOW_MS, samples_max=samples_max)
    return Core(pool, stats, registry, ingest, rater)


@asynccontextmanager
async def opened_core(database_url: str, file: MeterFile) -> AsyncIterator[Core]:
    """Open a pool, load the meters and give one copy of the service; at the end, check all."""
    pool = await open_pool(database_url, connections_max=8, statement_timeout_seconds=60)
    try:
        await load_meters(pool, file)
        core = new_core(pool)
        yield core
        if not core.leaves_a_mess:
            await checker.checked(pool)
    finally:
        await pool.close()
