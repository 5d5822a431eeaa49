"""Turns waiting batches into samples, hourly usage and charges, in one transaction.

Runs under the lock of `rating_state`, so that there is one writer at a time whatever the
number of copies; a batch is removed by the transaction that writes what it held. What new
samples change is the difference of two ratings of their neighbourhood, without and with
them (`rating/usage.py: difference`), so the cost follows the new samples, not the stored ones.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from os_credits.domain.period import from_ms
from os_credits.flows.change import apply_change
from os_credits.flows.memory import Memory
from os_credits.flows.reprice import reprice_projects
from os_credits.flows.whereabouts import follow_samples
from os_credits.rating.merge import Merge, merge
from os_credits.rating.usage import SampleColumns
from os_credits.store import (
    batches,
    exclusions,
    projects,
    rating_state,
    sample_blocks,
    samples,
)
from os_credits.store.pool import Pool, transaction
from os_credits.store.sample_columns import StoredSamples, without_repetition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

    from os_credits.domain.pricing import Pricing
    from os_credits.flows.stats import Stats
    from os_credits.store.pool import Connection


# How many runs go into one transaction when everything that waits is to be rated.
RUNS_MAX = 5


class RatedElsewhere(Exception):
    """Another copy of the service is rating or booking at this moment."""


@dataclass(frozen=True, slots=True)
class Rated:
    """What one run did, in counts of samples.

    Taken, of these already known, of these late, and of these taken out by an exclusion.
    """

    samples: int
    duplicates: int
    late: int
    excluded: int


@dataclass(frozen=True, slots=True)
class _Neighbourhood:
    """New samples (the first `new_count` rows) together with their stored neighbours."""

    rows: StoredSamples
    fits: NDArray[np.bool_]
    flavor_ids: NDArray[np.int64]
    places: NDArray[np.int64]
    merge: Merge
    is_late: NDArray[np.bool_]
    late_series: NDArray[np.int64]
    new_count: int

    def columns(self, chosen: NDArray[np.intp]) -> SampleColumns:
        """Give the chosen rows as the rating functions take them."""
        return SampleColumns(
            self.rows.series_ids[chosen],
            self.rows.times_ms[chosen],
            self.rows.values[chosen],
            self.fits[chosen],
            self.flavor_ids[chosen],
        )


class Rater:
    """Rates waiting batches; holds what it remembers between two runs."""

    def __init__(self, pool: Pool, stats: Stats, *, window_ms: int, samples_max: int) -> None:
        """Take the acceptance window (ms) and how many samples one run may hold."""
        self._pool = pool
        self._stats = stats
        self._window_ms = window_ms
        self._samples_max = samples_max
        self._writer = uuid4()
        self._one_turn = asyncio.Lock()
        self._rated_in_turn: list[Rated] = []
        self.memory = Memory()

    async def run(self) -> int:
        """Rate what waits, up to one run's worth; gives the count of samples taken.

        Zero also when another copy is rating at this moment.
        """
        try:
            async with self.turn(wait=False) as conn:
                rated = await self._rate(conn)
        except RatedElsewhere:
            return 0
        return rated.samples if rated else 0

    async def has_full_run(self) -> bool:
        """Tell whether as much waits as one run may hold."""
        async with transaction(self._pool) as conn:
            return await batches.has_waiting(conn, self._samples_max)

    @asynccontextmanager
    async def turn(self, *, wait: bool = True) -> AsyncIterator[Connection]:
        """Be the only one who rates and books, in one transaction that commits at the end.

        Raises RatedElsewhere if another copy has the lock and `wait` is false. In this copy one
        turn ends before the next begins, so that after an error, when it is not known whether
        the commit happened, nobody works with what was remembered.
        """
        async with self._one_turn:
            self._rated_in_turn.clear()
            try:
                async with transaction(self._pool) as conn:
                    await self._enter(conn, wait=wait)
                    yield conn
            except RatedElsewhere:
                raise
            except BaseException:
                self.memory.forget()
                raise
            # After the commit only: what was rolled back will be rated, and counted, again.
            self._note(self._rated_in_turn)

    async def _enter(self, conn: Connection, *, wait: bool) -> None:
        epoch = await rating_state.lock_rating(conn, writer=self._writer, wait=wait)
        if epoch is None:
            raise RatedElsewhere
        self.memory.enter(epoch)

    async def rate_all(self, conn: Connection) -> bool:
        """Rate every batch that is committed by now inside a turn; tells whether that was done.

        It is not where more than `RUNS_MAX` runs' worth waits: what was rated should then be
        committed before the rest.
        """
        newest_id = await batches.read_newest_id(conn)
        for _ in range(RUNS_MAX):
            rated = await self._rate(conn, newest_id=newest_id)
            if rated is None:
                return True
        return False

    def _note(self, runs: list[Rated]) -> None:
        for rated in runs:
            self._stats.rated_samples += rated.samples
            self._stats.duplicate_samples += rated.duplicates
            self._stats.late_samples += rated.late
            self._stats.excluded_samples += rated.excluded

    async def _rate(self, conn: Connection, *, newest_id: int | None = None) -> Rated | None:
        batch = await batches.take_batches(conn, samples_max=self._samples_max, newest_id=newest_id)
        if batch is None:
            return None
        pricing = await self.memory.read_pricing(conn)
        await self.memory.facts.learn(conn, batch.label_set_ids)
        series_ids = self.memory.facts.series_ids(batch.label_set_ids)
        taken = StoredSamples(series_ids, batch.times_ms, batch.values, batch.label_set_ids)
        new = await self._included(conn, taken)
        around = await self._read_neighbourhood(conn, new)
        await self._write_samples(conn, around)
        await self._follow_places(conn, around)
        await apply_change(
            conn,
            self.memory.facts,
            after=around.columns(around.merge.after),
            before=around.columns(around.merge.before),
            pricing=pricing,
            window_ms=self._window_ms,
            known=self.memory.usage,
        )
        await self._rename(conn, taken, pricing)
        counted = len(around.merge.inserted) + len(around.merge.replaced)
        rated = Rated(
            len(taken),
            len(new) - counted,
            int(around.is_late.sum()),
            excluded=len(taken) - len(new),
        )
        self._rated_in_turn.append(rated)
        return rated

    async def _included(self, conn: Connection, taken: StoredSamples) -> StoredSamples:
        """Lay aside the samples that an exclusion covers, and give the others.

        Those of a time that was dropped cannot be here, since ingest refuses them; if one is all
        the same, rating it could bill a replay, so it is left out and counted.
        """
        facts = self.memory.facts
        covered = (await self.memory.read_exclusions(conn)).cover(
            taken.series_ids, taken.times_ms, facts.project_ids, facts.meter_ids
        )
        dropped = taken.times_ms < await self.memory.read_kept_from_ms(conn)
        if not (covered | dropped).any():
            return taken
        await exclusions.keep_excluded(conn, taken.where(covered & ~dropped))
        return taken.where(~(covered | dropped))

    async def _read_neighbourhood(self, conn: Connection, new: StoredSamples) -> _Neighbourhood:
        """Find the stored samples next to the new ones: tails, or (for late ones) by place."""
        facts, tails = self.memory.facts, self.memory.tails
        series = np.unique(new.series_ids)
        await tails.learn(conn, series)
        is_late = new.times_ms <= tails.last_ms(new.series_ids)
        late_series = np.unique(new.series_ids[is_late])
        stored = tails.of(series)
        if len(late_series):
            late = new.where(is_late)
            beside = await samples.read_neighbours(conn, late.series_ids, late.times_ms)
            stored = without_repetition(stored.join(beside))
        rows = new.join(stored)
        await facts.learn(conn, rows.label_set_ids)
        fits, flavor_ids, ranks = facts.columns(rows.label_set_ids)
        # The only NaN that is stored is the stale marker.
        fits &= ~np.isnan(rows.values)
        places = np.zeros(len(rows), np.int64)
        if self.memory.places.are_named:
            # Of two that differ in nothing else, always the same one tells where the series is.
            places = await self.memory.places.column(conn, rows.label_set_ids)
            ranks = ranks * (len(places) + 1) + self.memory.places.ranks(places)
        merged = merge(rows.series_ids, rows.times_ms, rows.values, fits, ranks, len(new))
        return _Neighbourhood(
            rows, fits, flavor_ids, places, merged, is_late, late_series, len(new)
        )

    async def _write_samples(self, conn: Connection, around: _Neighbourhood) -> None:
        inserted, replaced = (
            around.rows.where(chosen) for chosen in (around.merge.inserted, around.merge.replaced)
        )
        is_late = around.is_late[around.merge.inserted]
        later = inserted.where(~is_late)
        await sample_blocks.append_samples(conn, later)
        await sample_blocks.merge_late(conn, inserted.where(is_late), replaced)
        self.memory.tails.append(later)
        self.memory.tails.forget(around.late_series)

    async def _follow_places(self, conn: Connection, around: _Neighbourhood) -> None:
        after = around.merge.after
        await follow_samples(
            conn,
            self.memory.places,
            around.rows.where(after),
            around.places[after],
            after < around.new_count,
            around.late_series,
        )

    async def _rename(self, conn: Connection, new: StoredSamples, pricing: Pricing) -> None:
        """Let the latest sample that gives a name name its project (never one without an id)."""
        latest = self.memory.facts.names_given(new.label_set_ids, new.times_ms)
        renamed = await projects.name_by_samples(
            conn, {id_: (from_ms(time_ms), name) for id_, (time_ms, name) in latest.items()}
        )
        if renamed and pricing.whitelist.limits_anyone:
            await reprice_projects(conn, renamed, pricing)
            self.memory.usage.clear()
