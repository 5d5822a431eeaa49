"""Reads samples: for each series and time the one that counts, out of blocks (`sample_block`).

Before old ones are dropped, the last two of each series become its rows of `sample_floor`, so
that the next sample still finds what was before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import HOUR_MS, ceil_ms, floor_day, from_ms, to_ms
from os_credits.store.sample_columns import (
    StoredSamples,
    blocks_of,
    columns_of,
    joined,
    without_repetition,
)
from os_credits.store.slices import slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Record
    from numpy.typing import NDArray

    from os_credits.store.pool import Connection

__all__ = [
    "FIRST_MOMENT",
    "LAST_MOMENT",
    "StoredSamples",
    "count_samples",
    "have_floor",
    "read_neighbours",
    "read_period",
    "read_tails",
    "within",
]

# How far from a place its neighbours are looked for at first.
_NEAR_MS = 12 * HOUR_MS
# Where the last samples of series are looked for at first: from so long ago on.
_TAIL_NEAR = timedelta(days=2)
# How many samples before a place concern what is there, and how many from it on.
_BEFORE, _FROM_IT_ON = 2, 3
# No sample is accepted that lies beyond these.
FIRST_MOMENT = datetime(1900, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(9000, 1, 1, tzinfo=UTC)


async def read_tails(conn: Connection, series_ids: list[int]) -> StoredSamples:
    """Read the last two samples of each series.

    The latest days first, which suffice for nearly all: for each series that is looked for without
    a bound and not found, an index of every day that is kept is opened.
    """
    near: datetime = await conn.fetchval(
        "SELECT date_trunc('day', now() - $1::interval, 'UTC')", _TAIL_NEAR
    )
    parts = [columns_of([])]
    for part in slices(len(series_ids)):
        wanted = series_ids[part]
        latest = await _read_last_blocks(conn, wanted, near, LAST_MOMENT)
        counts = dict(zip(*np.unique(latest.series_ids, return_counts=True), strict=True))
        few = [one for one in wanted if counts.get(one, 0) < _BEFORE]
        older = await _begun_before(conn, few, near) if few else []
        if older:
            parts.append(await _read_last_blocks(conn, older, FIRST_MOMENT, near))
        floors = await conn.fetch(
            """
            SELECT series_id, measured_at, value, label_set_id FROM sample_floor
            WHERE series_id = ANY($1::bigint[])
            """,
            wanted,
        )
        parts.extend((latest, columns_of(floors)))
    found = without_repetition(joined(parts))
    is_last = np.r_[found.series_ids[1:] != found.series_ids[:-1], True][: len(found)]
    return found.where(is_last | np.r_[is_last[1:], False][: len(found)])


async def _read_last_blocks(
    conn: Connection, series_ids: list[int], start: datetime, end: datetime
) -> StoredSamples:
    """Read the ends of the last two blocks of each series that begin from `start` to `end`."""
    blocks = await conn.fetch(
        """
        SELECT b.series_id, b.first_at, b.label_set_id,
               array_send(b.offsets_ms[b.n - 1 : b.n]) AS offsets,
               array_send(b.values[b.n - 1 : b.n]) AS values,
               array_send(b.label_set_ids[b.n - 1 : b.n]) AS label_sets
        FROM unnest($1::bigint[]) AS w(series_id)
        CROSS JOIN LATERAL (
            SELECT *, cardinality(offsets_ms) AS n FROM sample_block s
            WHERE s.series_id = w.series_id AND first_at >= $2 AND first_at < $3
            ORDER BY first_at DESC LIMIT 2
        ) b
        """,
        series_ids,
        start,
        end,
    )
    return blocks_of(blocks)[1]


async def _begun_before(conn: Connection, series_ids: list[int], moment: datetime) -> list[int]:
    """Leave out series of which no sample can have been stored before a moment.

    Those that were created since then have numbers of their own, so one look through the
    days finds all that has samples there; the others are not looked for here.
    """
    young = await conn.fetch(
        "SELECT id FROM series WHERE id = ANY($1::bigint[]) AND created_at >= $2",
        series_ids,
        moment,
    )
    ids = [row["id"] for row in young]
    if not ids:
        return series_ids
    begun = await conn.fetch(
        """
        SELECT DISTINCT series_id FROM sample_block
        WHERE series_id BETWEEN $1 AND $2 AND first_at < $3
        """,
        min(ids),
        max(ids),
        moment,
    )
    unbegun = set(ids) - {row["series_id"] for row in begun}
    return [one for one in series_ids if one not in unbegun]


async def count_samples(
    conn: Connection, series_ids: Sequence[int], start: datetime, end: datetime
) -> dict[int, int]:
    """Count the samples of each series from `start` up to before `end`, where there are any."""
    rows = await conn.fetch(
        """
        SELECT series_id, sum(samples)::bigint AS samples FROM (
            SELECT series_id, CASE WHEN first_at >= $2 AND last_at < $3 THEN cardinality(offsets_ms)
                   ELSE (SELECT count(*) FROM unnest(offsets_ms) AS o(ms)
                         WHERE first_at + ms * interval '1 millisecond' >= $2
                           AND first_at + ms * interval '1 millisecond' < $3) END AS samples
            FROM sample_block
            WHERE series_id = ANY($1::bigint[]) AND first_at >= $4 AND first_at < $3
              AND last_at >= $2
        ) b
        GROUP BY series_id HAVING sum(samples) > 0 ORDER BY series_id
        """,
        series_ids,
        start,
        end,
        floor_day(start),
    )
    return {row["series_id"]: row["samples"] for row in rows}


async def read_period(
    conn: Connection, series_ids: Sequence[int], start: datetime, end: datetime
) -> StoredSamples:
    """Read the samples of these series from `start` up to before `end`, and what is next to them.

    That is two before and two after, where there are any. Sorted by series and time.
    """
    rows = await conn.fetch(
        """
        SELECT series_id, first_at, label_set_id, array_send(offsets_ms) AS offsets,
               array_send(b.values) AS values, array_send(label_set_ids) AS label_sets
        FROM unnest($1::bigint[]) AS w(id)
        CROSS JOIN LATERAL (
            (SELECT * FROM sample_block b
             WHERE b.series_id = w.id AND first_at >= $4 AND first_at < $2
             ORDER BY first_at DESC LIMIT 1)
            UNION ALL
            SELECT * FROM sample_block b
            WHERE b.series_id = w.id AND first_at >= $2 AND first_at < $3
        ) b
        """,
        series_ids,
        start,
        end,
        floor_day(start),
    )
    _, found = blocks_of(rows)
    inside = found.where(within(found, start, end))
    edges = [to_ms(edge) for edge in (start, end) if FIRST_MOMENT < edge < LAST_MOMENT]
    around = await read_neighbours(
        conn,
        np.repeat(np.array(series_ids, np.int64), len(edges)),
        np.tile(np.array(edges, np.int64), len(series_ids)),
    )
    return without_repetition(joined([inside, around]))


def within(samples: StoredSamples, start: datetime, end: datetime) -> NDArray[np.bool_]:
    """Tell which samples lie from `start` up to before `end`."""
    inside: NDArray[np.bool_] = (samples.times_ms >= ceil_ms(start)) & (
        samples.times_ms < ceil_ms(end)
    )
    return inside


async def have_floor(conn: Connection, series_ids: Sequence[int]) -> bool:
    """Tell whether samples of any of these series were dropped."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM sample_floor WHERE series_id = ANY($1::bigint[]))", series_ids
    )
    return found


async def read_neighbours(
    conn: Connection, series_ids: NDArray[np.int64], times_ms: NDArray[np.int64]
) -> StoredSamples:
    """Read two samples before each of these places, one at it, and two after it, once each.

    Looks near each place first, where few chunks are touched; only the places that have fewer
    neighbours there are looked at again, on the sides where they have fewer.
    """
    order = np.argsort(times_ms, kind="stable")
    series_ids, times_ms = series_ids[order], times_ms[order]
    parts = [columns_of([])]
    for part in slices(len(times_ms)):
        series, times = series_ids[part], times_ms[part]
        start = floor_day(from_ms(int(times[0]) - _NEAR_MS))
        end = from_ms(int(times[-1]) + _NEAR_MS)
        found = _Found.none()
        found.add(*await _read_before(conn, series, times, start, end))
        found.add(*await _read_from_on(conn, series, times, from_ms(int(times[0])), end))
        before, after = found.counts(times)
        few = np.flatnonzero(before < _BEFORE)
        if len(few):
            begun = await _begun_before(conn, np.unique(series[few]).tolist(), start)
            far = few[np.isin(series[few], begun)]
            found.add(*await _read_before(conn, series, times, FIRST_MOMENT, start, far))
            found.add(*await _read_floor_before(conn, series, times, few))
        few = np.flatnonzero(after < _FROM_IT_ON)
        if len(few):
            found.add(*await _read_from_on(conn, series, times, end, LAST_MOMENT, few))
        parts.append(found.nearest(times))
    return without_repetition(joined(parts))


@dataclass(slots=True)
class _Found:
    """Samples that were found for places, and the number of the place of each."""

    places: NDArray[np.int64]
    samples: StoredSamples

    @classmethod
    def none(cls) -> _Found:
        """Start with nothing."""
        return cls(np.empty(0, np.int64), columns_of([]))

    def add(self, places: NDArray[np.int64], samples: StoredSamples) -> None:
        """Take in more."""
        self.places = np.concatenate([self.places, places])
        self.samples = self.samples.join(samples)

    def counts(self, times_ms: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Count for each place what lies before it, and what from it on."""
        sides = 2 * self.places + (self.samples.times_ms >= times_ms[self.places])
        before, after = np.bincount(sides, minlength=2 * len(times_ms)).reshape(-1, 2).T
        return before, after

    def nearest(self, times_ms: NDArray[np.int64]) -> StoredSamples:
        """Choose the two samples before each place and three from it on."""
        found_ms = self.samples.times_ms
        is_after = found_ms >= times_ms[self.places]
        sides = 2 * self.places + is_after
        counts = np.bincount(sides, minlength=2 * len(times_ms))
        order = np.lexsort((np.where(is_after, found_ms, -found_ms), sides))
        rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        is_near = rank < np.where(is_after[order], _FROM_IT_ON, _BEFORE)
        return self.samples.where(order[is_near])


async def _read_before(
    conn: Connection,
    series_ids: NDArray[np.int64],
    times_ms: NDArray[np.int64],
    start: datetime,
    end: datetime,
    chosen: NDArray[np.intp] | None = None,
) -> tuple[NDArray[np.int64], StoredSamples]:
    """Read pieces of the last two blocks that begin before places, from `start` up to `end`.

    Gives of each sample the place, all or the chosen ones, and the samples. Each block holds one
    sample at least, so two are enough.
    """
    chosen = np.arange(len(times_ms)) if chosen is None else chosen
    rows = await conn.fetch(
        """
        SELECT s.series_id, s.first_at, s.label_set_id, w.place,
               array_send(s.offsets_ms[s.n - 1 : s.n + 3]) AS offsets,
               array_send(s.values[s.n - 1 : s.n + 3]) AS values,
               array_send(s.label_set_ids[s.n - 1 : s.n + 3]) AS label_sets
        FROM unnest($1::bigint[], $2::timestamptz[]) WITH ORDINALITY AS w(series_id, at, place)
        CROSS JOIN LATERAL (
            SELECT b.*, CASE WHEN last_at < w.at THEN cardinality(offsets_ms)
                   ELSE width_bucket((extract(epoch FROM w.at - first_at) * 1000)::integer - 1,
                                     offsets_ms) END AS n
            FROM sample_block b
            WHERE b.series_id = w.series_id AND first_at < w.at
              AND first_at >= $3 AND first_at < $4
            ORDER BY first_at DESC LIMIT 2
        ) s
        """,
        *_places(series_ids[chosen], times_ms[chosen]),
        start,
        end,
    )
    return _found_in(rows, chosen)


async def _read_from_on(
    conn: Connection,
    series_ids: NDArray[np.int64],
    times_ms: NDArray[np.int64],
    start: datetime,
    end: datetime,
    chosen: NDArray[np.intp] | None = None,
) -> tuple[NDArray[np.int64], StoredSamples]:
    """Read the first samples of the three blocks that begin at places or after them.

    As `_read_before` otherwise.
    """
    chosen = np.arange(len(times_ms)) if chosen is None else chosen
    rows = await conn.fetch(
        """
        SELECT s.series_id, s.first_at, s.label_set_id, w.place,
               array_send(s.offsets_ms[:3]) AS offsets, array_send(s.values[:3]) AS values,
               array_send(s.label_set_ids[:3]) AS label_sets
        FROM unnest($1::bigint[], $2::timestamptz[]) WITH ORDINALITY AS w(series_id, at, place)
        CROSS JOIN LATERAL (
            SELECT * FROM sample_block b
            WHERE b.series_id = w.series_id AND first_at >= w.at
              AND first_at >= $3 AND first_at < $4
            ORDER BY first_at LIMIT 3
        ) s
        """,
        *_places(series_ids[chosen], times_ms[chosen]),
        start,
        end,
    )
    return _found_in(rows, chosen)


def _places(
    series_ids: NDArray[np.int64], times_ms: NDArray[np.int64]
) -> tuple[list[int], list[datetime]]:
    return series_ids.tolist(), [from_ms(ms) for ms in times_ms.tolist()]


def _found_in(
    rows: Sequence[Record], chosen: NDArray[np.intp]
) -> tuple[NDArray[np.int64], StoredSamples]:
    blocks, found = blocks_of(rows)
    numbers = np.array([row["place"] - 1 for row in rows], np.int64)
    return chosen[numbers][blocks], found


async def _read_floor_before(
    conn: Connection,
    series_ids: NDArray[np.int64],
    times_ms: NDArray[np.int64],
    chosen: NDArray[np.intp],
) -> tuple[NDArray[np.int64], StoredSamples]:
    """Read what was kept of dropped samples before the chosen places of their series."""
    rows = await conn.fetch(
        """
        SELECT f.series_id, f.measured_at, f.value, f.label_set_id, w.place
        FROM unnest($1::bigint[], $2::timestamptz[]) WITH ORDINALITY AS w(series_id, at, place)
        JOIN sample_floor f ON f.series_id = w.series_id AND f.measured_at < w.at
        """,
        *_places(series_ids[chosen], times_ms[chosen]),
    )
    numbers = np.array([row["place"] - 1 for row in rows], np.int64)
    return chosen[numbers], columns_of(rows)
