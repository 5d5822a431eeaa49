"""Table `sample` (hypertable): one row for each series and time, the sample that counts.

Before old ones are dropped, the last two of each series become its rows of `sample_floor`, so
that the next sample still finds what was before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import HOUR_MS, ceil_ms, from_ms, to_ms
from os_credits.store.slices import slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Record
    from numpy.typing import NDArray

    from os_credits.store.pool import Connection

# PostgreSQL's binary COPY: a header, for each row the count of fields and before each field
# its length, at the end -1 (postgresql.org/docs/15/sql-copy.html, "Binary Format").
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_COPY_ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("l0", ">i4"), ("series_id", ">i8"),
        ("l1", ">i4"), ("measured_at", ">i8"),
        ("l2", ">i4"), ("value", ">f8"),
        ("l3", ">i4"), ("label_set_id", ">i8"),
    ]
)  # fmt: skip
_POSTGRES_EPOCH_MS = 946_684_800_000
# How far from a place its neighbours are looked for at first.
_NEAR_MS = 12 * HOUR_MS
# No sample is accepted that lies beyond these.
FIRST_MOMENT = datetime(1900, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredSamples:
    """Rows of `sample` in columns."""

    series_ids: NDArray[np.int64]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    label_set_ids: NDArray[np.int64]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.times_ms)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> StoredSamples:
        """Keep the chosen rows, in the order chosen."""
        return StoredSamples(
            self.series_ids[chosen],
            self.times_ms[chosen],
            self.values[chosen],
            self.label_set_ids[chosen],
        )

    def join(self, other: StoredSamples) -> StoredSamples:
        """Put other rows after these."""
        return StoredSamples(
            np.concatenate([self.series_ids, other.series_ids]),
            np.concatenate([self.times_ms, other.times_ms]),
            np.concatenate([self.values, other.values]),
            np.concatenate([self.label_set_ids, other.label_set_ids]),
        )


async def copy_samples(conn: Connection, samples: StoredSamples) -> None:
    """Append samples whose series and times are not stored yet."""
    rows = np.empty(len(samples), _COPY_ROW)
    rows["fields"] = 4
    for length in ("l0", "l1", "l2", "l3"):
        rows[length] = 8
    rows["series_id"] = samples.series_ids
    rows["measured_at"] = (samples.times_ms - _POSTGRES_EPOCH_MS) * 1000
    rows["value"] = samples.values
    rows["label_set_id"] = samples.label_set_ids
    await conn.copy_to_table(
        "sample",
        columns=["series_id", "measured_at", "value", "label_set_id"],
        source=BytesIO(_COPY_HEADER + rows.tobytes() + _COPY_END),
        format="binary",
    )


async def replace_samples(conn: Connection, samples: StoredSamples) -> None:
    """Let these samples count instead of the stored ones of the same series and time."""
    samples = samples.where(np.argsort(samples.times_ms, kind="stable"))
    for part in slices(len(samples)):
        times_ms = samples.times_ms[part].tolist()
        await conn.execute(
            """
            UPDATE sample SET value = w.value, label_set_id = w.label_set_id
            FROM unnest($1::bigint[], $2::timestamptz[], $3::float8[], $4::bigint[])
                 AS w(series_id, measured_at, value, label_set_id)
            WHERE sample.series_id = w.series_id AND sample.measured_at = w.measured_at
              AND sample.measured_at BETWEEN $5 AND $6
            """,
            samples.series_ids[part].tolist(),
            [from_ms(ms) for ms in times_ms],
            samples.values[part].tolist(),
            samples.label_set_ids[part].tolist(),
            from_ms(times_ms[0]),
            from_ms(times_ms[-1]),
        )


async def read_tails(conn: Connection, series_ids: list[int]) -> StoredSamples:
    """Read the last two samples of each series."""
    parts = [columns_of([])]
    for part in slices(len(series_ids)):
        rows = await conn.fetch(
            """
            SELECT s.series_id, s.measured_at, s.value, s.label_set_id
            FROM unnest($1::bigint[]) AS w(series_id)
            CROSS JOIN LATERAL (
                (SELECT series_id, measured_at, value, label_set_id FROM sample
                 WHERE sample.series_id = w.series_id ORDER BY measured_at DESC LIMIT 2)
                UNION ALL
                (SELECT series_id, measured_at, value, label_set_id FROM sample_floor f
                 WHERE f.series_id = w.series_id)
                ORDER BY measured_at DESC LIMIT 2
            ) s
            """,
            series_ids[part],
        )
        parts.append(columns_of(rows))
    return _joined(parts)


async def count_samples(
    conn: Connection, series_ids: Sequence[int], start: datetime, end: datetime
) -> dict[int, int]:
    """Count the samples of each series from `start` up to before `end`, where there are any."""
    rows = await conn.fetch(
        """
        SELECT series_id, count(*) AS samples FROM sample
        WHERE series_id = ANY($1::bigint[]) AND measured_at >= $2 AND measured_at < $3
        GROUP BY series_id ORDER BY series_id
        """,
        series_ids,
        start,
        end,
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
        SELECT series_id, measured_at, value, label_set_id FROM sample
        WHERE series_id = ANY($1::bigint[]) AND measured_at >= $2 AND measured_at < $3
        """,
        series_ids,
        start,
        end,
    )
    inside = columns_of(rows)
    edges = [to_ms(edge) for edge in (start, end) if FIRST_MOMENT < edge < LAST_MOMENT]
    around = await read_neighbours(
        conn,
        np.repeat(np.array(series_ids, np.int64), len(edges)),
        np.tile(np.array(edges, np.int64), len(series_ids)),
    )
    return _without_repetition(_joined([inside, around]))


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


async def delete_period(
    conn: Connection, series_ids: Sequence[int], start: datetime, end: datetime
) -> None:
    """Remove the samples of these series from `start` up to before `end`."""
    await conn.execute(
        """
        DELETE FROM sample
        WHERE series_id = ANY($1::bigint[]) AND measured_at >= $2 AND measured_at < $3
        """,
        series_ids,
        start,
        end,
    )


async def read_neighbours(
    conn: Connection, series_ids: NDArray[np.int64], times_ms: NDArray[np.int64]
) -> StoredSamples:
    """Read two samples before each of these places, one at it, and two after it, once each.

    Looks near each place first, where few chunks are touched; only the places that have fewer
    neighbours there are looked at again without a bound.
    """
    order = np.argsort(times_ms, kind="stable")
    series_ids, times_ms = series_ids[order], times_ms[order]
    parts = [columns_of([])]
    for part in slices(len(times_ms)):
        series, times = series_ids[part], times_ms[part]
        start, end = int(times[0]) - _NEAR_MS, int(times[-1]) + _NEAR_MS
        found, is_complete = await _read_around(conn, series, times, from_ms(start), from_ms(end))
        parts.append(found)
        if not is_complete.all():
            series, times = series[~is_complete], times[~is_complete]
            found, _ = await _read_around(conn, series, times, FIRST_MOMENT, LAST_MOMENT)
            parts.append(found)
    return _without_repetition(_joined(parts))


async def _read_around(
    conn: Connection,
    series_ids: NDArray[np.int64],
    times_ms: NDArray[np.int64],
    start: datetime,
    end: datetime,
) -> tuple[StoredSamples, NDArray[np.bool_]]:
    """Read the neighbours of places; tell of each whether it has two on both sides of it."""
    rows = await conn.fetch(
        """
        SELECT s.series_id, s.measured_at, s.value, s.label_set_id, w.place, s.side
        FROM unnest($1::bigint[], $2::timestamptz[]) WITH ORDINALITY AS w(series_id, at, place)
        CROSS JOIN LATERAL (
            (SELECT * FROM (
                (SELECT series_id, measured_at, value, label_set_id, 0 AS side FROM sample
                 WHERE sample.series_id = w.series_id AND measured_at < w.at AND measured_at >= $3
                 ORDER BY measured_at DESC LIMIT 2)
                UNION ALL
                (SELECT series_id, measured_at, value, label_set_id, 0 FROM sample_floor f
                 WHERE f.series_id = w.series_id AND measured_at < w.at AND measured_at >= $3)
             ) earlier ORDER BY measured_at DESC LIMIT 2)
            UNION ALL
            (SELECT series_id, measured_at, value, label_set_id, 1 AS side FROM sample
             WHERE sample.series_id = w.series_id AND measured_at >= w.at AND measured_at <= $4
             ORDER BY measured_at LIMIT 3)
        ) s
        """,
        series_ids.tolist(),
        [from_ms(ms) for ms in times_ms.tolist()],
        start,
        end,
    )
    sides = np.array([2 * (row["place"] - 1) + row["side"] for row in rows], np.int64)
    before, at_or_after = np.bincount(sides, minlength=2 * len(times_ms)).reshape(-1, 2).T
    return columns_of(rows), (before >= 2) & (at_or_after >= 3)  # noqa: PLR2004 - the LIMITs above


def columns_of(rows: Sequence[Record]) -> StoredSamples:
    """Put rows with the columns of `sample` into columns."""
    return StoredSamples(
        np.array([row["series_id"] for row in rows], np.int64),
        np.array([to_ms(row["measured_at"]) for row in rows], np.int64),
        np.array([row["value"] for row in rows], np.float64),
        np.array([row["label_set_id"] for row in rows], np.int64),
    )


def _joined(parts: Sequence[StoredSamples]) -> StoredSamples:
    return StoredSamples(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("series_ids", "times_ms", "values", "label_set_ids")
        )
    )


def _without_repetition(rows: StoredSamples) -> StoredSamples:
    """Keep one row of each series and time."""
    order = np.lexsort((rows.times_ms, rows.series_ids))
    series_ids, times_ms = rows.series_ids[order], rows.times_ms[order]
    is_other = (series_ids[1:] != series_ids[:-1]) | (times_ms[1:] != times_ms[:-1])
    return rows.where(order[np.r_[True, is_other][: len(order)]])
