"""Table `sample_block` (hypertable): samples of one series and day in one row; written here.

Blocks of a series never overlap in time. That holds since rating writes under its lock, and knows
of each series the last sample that is stored: what is later makes a block of its own, and what is
not is put into the block that it falls into. The primary key stops the same block twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import DAY_MS, ceil_ms, floor_day, from_ms, to_ms
from os_credits.store.block_bytes import COLUMNS, cut, encode
from os_credits.store.copying import in_one_piece
from os_credits.store.sample_columns import StoredSamples, blocks_of, columns_of, joined
from os_credits.store.slices import slices

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from os_credits.store.pool import Connection

# How many samples late ones are put together with: what a late sample costs follows the block that
# is written anew, and of a series whose samples often come late it is always the last one.
JOINED_MAX = 40


async def append_samples(conn: Connection, samples: StoredSamples) -> None:
    """Store samples, sorted by series and time, that are later than all stored of their series."""
    await _write(conn, samples, cut(samples))


async def merge_late(conn: Connection, inserted: StoredSamples, replaced: StoredSamples) -> None:
    """Store samples at times that are not stored, and let others count instead of the stored ones.

    Each goes into the block before it, which is written anew, if it lies within that block or if
    there is room for all that follow it; else, what lies between two blocks makes a new one.
    """
    late = _sorted(inserted.join(replaced))
    if len(late) == 0:
        return
    before = await _read_blocks_before(conn, late)
    is_opened = before.is_within | (before.counts + _sizes(late, before) <= JOINED_MAX)
    is_opened = (before.counts > 0) & _any_alike(is_opened, late, before)
    stored, keys_ms = await _take_out(conn, late.series_ids[is_opened], before.first_ms[is_opened])
    # Of two of the same series and time the last one counts.
    both, keys_ms = stored.join(late), np.r_[keys_ms, before.first_ms]
    order = np.lexsort((both.times_ms, both.series_ids))
    series_ids, times_ms = both.series_ids[order], both.times_ms[order]
    is_last = np.r_[(series_ids[1:] != series_ids[:-1]) | (times_ms[1:] != times_ms[:-1]), True]
    both, keys_ms = both.where(order[is_last]), keys_ms[order[is_last]]
    await _write(conn, both, cut(both, keys_ms, samples_max=JOINED_MAX))


async def delete_period(
    conn: Connection, series_ids: Sequence[int], start: datetime, end: datetime
) -> None:
    """Remove the samples of these series from `start` up to before `end`."""
    await conn.execute(
        """
        DELETE FROM sample_block
        WHERE series_id = ANY($1::bigint[]) AND first_at >= $2 AND last_at < $3 AND first_at < $3
        """,
        series_ids,
        start,
        end,
    )
    edges = await conn.fetch(
        """
        SELECT series_id, first_at FROM sample_block
        WHERE series_id = ANY($1::bigint[]) AND first_at >= $4 AND first_at < $3 AND last_at >= $2
        """,
        series_ids,
        start,
        end,
        floor_day(start),
    )
    opened, _ = await _take_out(
        conn,
        np.array([row["series_id"] for row in edges], np.int64),
        np.array([to_ms(row["first_at"]) for row in edges], np.int64),
    )
    is_kept = (opened.times_ms < ceil_ms(start)) | (opened.times_ms >= ceil_ms(end))
    kept = _sorted(opened.where(is_kept))
    await _write(conn, kept, cut(kept))


@dataclass(frozen=True, slots=True)
class _Before:
    """Of each sample, the last block of its series and day that does not begin after it.

    Where there is none, `first_ms` is the start of the day and `counts` is 0.
    """

    first_ms: NDArray[np.int64]
    counts: NDArray[np.int64]
    is_within: NDArray[np.bool_]


async def _read_blocks_before(conn: Connection, samples: StoredSamples) -> _Before:
    days_ms = samples.times_ms // DAY_MS * DAY_MS
    found = _Before(
        days_ms.copy(), np.zeros(len(samples), np.int64), np.zeros(len(samples), np.bool_)
    )
    by_time = np.argsort(samples.times_ms, kind="stable")
    for part in slices(len(samples)):
        places = by_time[part]
        rows = await conn.fetch(
            """
            SELECT w.place, b.first_at, b.last_at >= w.at AS is_within, b.sample_count
            FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY
                 AS w(series_id, at, day, place)
            CROSS JOIN LATERAL (
                SELECT first_at, last_at, cardinality(offsets_ms) AS sample_count
                FROM sample_block b
                WHERE b.series_id = w.series_id AND first_at <= w.at AND first_at >= w.day
                  AND first_at BETWEEN $4 AND $5
                ORDER BY first_at DESC LIMIT 1
            ) b
            """,
            samples.series_ids[places].tolist(),
            [from_ms(ms) for ms in samples.times_ms[places].tolist()],
            [from_ms(ms) for ms in days_ms[places].tolist()],
            from_ms(int(days_ms[places[0]])),
            from_ms(int(samples.times_ms[places[-1]])),
        )
        at = places[np.array([row["place"] - 1 for row in rows], np.intp)]
        found.first_ms[at] = [to_ms(row["first_at"]) for row in rows]
        found.counts[at] = [row["sample_count"] for row in rows]
        found.is_within[at] = [row["is_within"] for row in rows]
    return found


def _groups(samples: StoredSamples, before: _Before) -> NDArray[np.intp]:
    """Give a number to the block before each sample; it is the same for some in a row."""
    is_other = (samples.series_ids[1:] != samples.series_ids[:-1]) | (
        before.first_ms[1:] != before.first_ms[:-1]
    )
    return np.cumsum(np.r_[False, is_other])


def _sizes(samples: StoredSamples, before: _Before) -> NDArray[np.int64]:
    """Count for each sample those that have the same block before them."""
    groups = _groups(samples, before)
    return np.asarray(np.bincount(groups)[groups])


def _any_alike(
    chosen: NDArray[np.bool_], samples: StoredSamples, before: _Before
) -> NDArray[np.bool_]:
    """Choose all samples that have the same block before them as a chosen one."""
    groups = _groups(samples, before)
    return np.asarray((np.bincount(groups, weights=chosen) > 0)[groups])


async def _take_out(
    conn: Connection, series_ids: NDArray[np.int64], first_ms: NDArray[np.int64]
) -> tuple[StoredSamples, NDArray[np.int64]]:
    """Remove these blocks (named once or more often), and give their samples.

    Beside them, of each sample, when its block began.
    """
    places = np.unique(np.c_[first_ms, series_ids].reshape(-1, 2), axis=0)
    samples, begun_ms = [columns_of([])], [np.empty(0, np.int64)]
    for part in slices(len(places)):
        firsts = [from_ms(ms) for ms in places[part, 0].tolist()]
        rows = await conn.fetch(
            """
            DELETE FROM sample_block b
            USING unnest($1::bigint[], $2::timestamptz[]) AS w(series_id, first_at)
            WHERE b.series_id = w.series_id AND b.first_at = w.first_at
              AND b.first_at BETWEEN $3 AND $4
            RETURNING b.series_id, b.first_at, b.label_set_id, array_send(b.offsets_ms) AS offsets,
                      array_send(b.values) AS values, array_send(b.label_set_ids) AS label_sets
            """,
            places[part, 1].tolist(),
            firsts,
            firsts[0],
            firsts[-1],
        )
        blocks, found = blocks_of(rows)
        samples.append(found)
        begun_ms.append(np.array([to_ms(row["first_at"]) for row in rows], np.int64)[blocks])
    return joined(samples), np.concatenate(begun_ms)


async def _write(conn: Connection, samples: StoredSamples, starts: NDArray[np.intp]) -> None:
    """Add the blocks that begin at these places; the same series and time twice is refused."""
    if len(samples) == 0:
        return
    series_ids, times_ms = samples.series_ids, samples.times_ms
    if ((series_ids[1:] == series_ids[:-1]) & (times_ms[1:] <= times_ms[:-1])).any():
        raise ValueError("samples to be stored must rise strictly within their series")
    await conn.copy_to_table(
        "sample_block",
        columns=COLUMNS,
        source=in_one_piece(encode(samples, starts)),
        format="binary",
    )


def _sorted(samples: StoredSamples) -> StoredSamples:
    return samples.where(np.lexsort((samples.times_ms, samples.series_ids)))
