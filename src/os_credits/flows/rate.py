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
from os_credits.flows.memory import NO_SAMPLE_MS, Memory
from os_credits.flows.reprice import NewUsage, apply_usage, reprice_projects
from os_credits.rating.merge import Merge, merge
from os_credits.rating.parts import parts_of
from os_credits.rating.usage import SampleColumns, difference, usage_by_versions
from os_credits.store import batches, projects, rating_state, samples
from os_credits.store.pool import Pool, transaction
from os_credits.store.samples import StoredSamples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

    from os_credits.domain.pricing import Pricing
    from os_credits.domain.usage import UsageColumns
    from os_credits.flows.stats import Stats
    from os_credits.store.pool import Connection


# How many rows of usage are worked out at once.
USAGE_ROWS_MAX = 100_000
# How many runs go into one transaction when everything that waits is to be rated.
RUNS_MAX = 5


class RatedElsewhere(Exception):
    """Another copy of the service is rating or booking at this moment."""


@dataclass(frozen=True, slots=True)
class Rated:
    """What one run did, in counts of samples: taken, of these already known, of these late."""

    samples: int
    duplicates: int
    late: int


@dataclass(frozen=True, slots=True)
class _Neighbourhood:
    """New samples (the first `new_count` rows) together with their stored neighbours."""

    rows: StoredSamples
    fits: NDArray[np.bool_]
    flavor_ids: NDArray[np.int64]
    merge: Merge
    late_series: NDArray[np.int64]
    late_count: int

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
        self._note(rated)
        return rated.samples if rated else 0

    @asynccontextmanager
    async def turn(self, *, wait: bool = True) -> AsyncIterator[Connection]:
        """Be the only one who rates and books, in one transaction that commits at the end.

        Raises RatedElsewhere if another copy has the lock and `wait` is false. In this copy one
        turn ends before the next begins, so that after an error, when it is not known whether
        the commit happened, nobody works with what was remembered.
        """
        async with self._one_turn:
            try:
                async with transaction(self._pool) as conn:
                    await self._enter(conn, wait=wait)
                    yield conn
            except RatedElsewhere:
                raise
            except BaseException:
                self.memory.forget()
                raise

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
            self._note(rated)
        return False

    def _note(self, rated: Rated | None) -> None:
        if rated is not None:
            self._stats.rated_samples += rated.samples
            self._stats.duplicate_samples += rated.duplicates
            self._stats.late_samples += rated.late

    async def _rate(self, conn: Connection, *, newest_id: int | None = None) -> Rated | None:
        batch = await batches.take_batches(conn, samples_max=self._samples_max, newest_id=newest_id)
        if batch is None:
            return None
        await self.memory.facts.learn(conn, batch.label_set_ids)
        series_ids, *_ = self.memory.facts.columns(batch.label_set_ids)
        new = StoredSamples(series_ids, batch.times_ms, batch.values, batch.label_set_ids)
        around = await self._read_neighbourhood(conn, new)
        await self._write_samples(conn, around)
        pricing = await self.memory.read_pricing(conn)
        for change in self._changed_usage(around, pricing):
            await apply_usage(conn, self._named(change), pricing)
        await self._rename(conn, new, pricing)
        counted = len(around.merge.inserted) + len(around.merge.replaced)
        return Rated(len(new), len(new) - counted, around.late_count)

    async def _read_neighbourhood(self, conn: Connection, new: StoredSamples) -> _Neighbourhood:
        """Find the stored samples next to the new ones: tails, or (for late ones) by place."""
        facts, tails = self.memory.facts, self.memory.tails
        series = np.unique(new.series_ids)
        await tails.learn(conn, series)
        is_late = new.times_ms <= tails.last_ms(new.series_ids)
        late_series = np.unique(new.series_ids[is_late])
        rows = new.join(tails.of(np.setdiff1d(series, late_series)))
        if len(late_series):
            late = new.where(np.isin(new.series_ids, late_series))
            rows = rows.join(await samples.read_neighbours(conn, late.series_ids, late.times_ms))
        await facts.learn(conn, rows.label_set_ids)
        _, fits, flavor_ids, ranks = facts.columns(rows.label_set_ids)
        # The only NaN that is stored is the stale marker.
        fits &= ~np.isnan(rows.values)
        merged = merge(rows.series_ids, rows.times_ms, rows.values, fits, ranks, len(new))
        return _Neighbourhood(rows, fits, flavor_ids, merged, late_series, int(is_late.sum()))

    async def _write_samples(self, conn: Connection, around: _Neighbourhood) -> None:
        inserted = around.rows.where(around.merge.inserted)
        if len(inserted):
            await samples.copy_samples(conn, inserted)
        if len(around.merge.replaced):
            await samples.replace_samples(conn, around.rows.where(around.merge.replaced))
        self.memory.tails.append(inserted.where(~np.isin(inserted.series_ids, around.late_series)))
        self.memory.tails.forget(around.late_series)

    def _changed_usage(self, around: _Neighbourhood, pricing: Pricing) -> Iterator[UsageColumns]:
        """Rate the neighbourhood without and with the new samples, meter by meter, in parts."""
        before, after = (
            around.columns(around.merge.before),
            around.columns(around.merge.after),
        )
        meter_of = self.memory.facts.meter_of_series
        for meter_id in {meter_of[one] for one in np.unique(after.series_ids).tolist()}:
            versions = pricing.meters.versions_of(meter_id)
            of_meter = (
                side.where(_of_meter(side.series_ids, meter_of, meter_id))
                for side in (after, before)
            )
            for part in parts_of(*of_meter, window_ms=self._window_ms, rows_max=USAGE_ROWS_MAX):
                yield difference(
                    *(usage_by_versions(side, versions, window_ms=self._window_ms) for side in part)
                )

    def _named(self, change: UsageColumns) -> list[NewUsage]:
        """Say for each changed quantity which project and meter it concerns."""
        facts = self.memory.facts
        return [
            NewUsage(
                (series_id, hour_ms, flavor_id, kind),
                int(quantity),
                facts.project_of_series[series_id],
                facts.meter_of_series[series_id],
            )
            for series_id, hour_ms, flavor_id, kind, quantity in zip(
                change.series_ids.tolist(),
                change.hours_ms.tolist(),
                change.flavor_ids.tolist(),
                change.kinds.tolist(),
                change.quantities.tolist(),
                strict=True,
            )
        ]

    async def _rename(self, conn: Connection, new: StoredSamples, pricing: Pricing) -> None:
        """Let the latest sample that gives a name name its project (never one without an id)."""
        facts = self.memory.facts
        unique, inverse = np.unique(new.label_set_ids, return_inverse=True)
        latest_ms = np.full(len(unique), NO_SAMPLE_MS)
        np.maximum.at(latest_ms, inverse, new.times_ms)
        latest: dict[int, tuple[int, str]] = {}
        for label_set_id, time_ms in zip(unique.tolist(), latest_ms.tolist(), strict=True):
            one = facts.by_id[label_set_id]
            if one.project_name:
                said = time_ms, one.project_name
                latest[one.project_id] = max(said, latest.get(one.project_id, said))
        renamed = await projects.name_by_samples(
            conn, {id_: (from_ms(time_ms), name) for id_, (time_ms, name) in latest.items()}
        )
        if renamed and pricing.whitelist.limits_anyone:
            await reprice_projects(conn, renamed, pricing)


def _of_meter(
    series_ids: NDArray[np.int64], meter_of: dict[int, int], meter_id: int
) -> NDArray[np.bool_]:
    unique, inverse = np.unique(series_ids, return_inverse=True)
    chosen = np.array([meter_of[one] == meter_id for one in unique.tolist()], np.bool_)
    return chosen[inverse]
