"""Table `sample` (hypertable): one row for each series and time, the sample that counts."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import to_ms

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
    await conn.execute(
        """
        UPDATE sample SET value = w.value, label_set_id = w.label_set_id
        FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::bigint[])
             AS w(series_id, time_ms, value, label_set_id)
        WHERE sample.series_id = w.series_id
          AND sample.measured_at = 'epoch'::timestamptz + w.time_ms * interval '1 millisecond'
        """,
        samples.series_ids.tolist(),
        samples.times_ms.tolist(),
        samples.values.tolist(),
        samples.label_set_ids.tolist(),
    )


async def read_tails(conn: Connection, series_ids: list[int]) -> StoredSamples:
    """Read the last two samples of each series."""
    rows = await conn.fetch(
        """
        SELECT s.series_id, s.measured_at, s.value, s.label_set_id
        FROM unnest($1::bigint[]) AS w(series_id)
        CROSS JOIN LATERAL (
            SELECT series_id, measured_at, value, label_set_id FROM sample
            WHERE sample.series_id = w.series_id ORDER BY measured_at DESC LIMIT 2
        ) s
        """,
        series_ids,
    )
    return _columns(rows)


async def read_neighbours(
    conn: Connection, series_ids: list[int], times_ms: list[int]
) -> StoredSamples:
    """Read two samples before each of these places, one at it, and two after it, once each."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT s.series_id, s.measured_at, s.value, s.label_set_id
        FROM (SELECT series_id, 'epoch'::timestamptz + time_ms * interval '1 millisecond' AS at
              FROM unnest($1::bigint[], $2::bigint[]) AS w(series_id, time_ms)) w
        CROSS JOIN LATERAL (
            (SELECT series_id, measured_at, value, label_set_id FROM sample
             WHERE sample.series_id = w.series_id AND measured_at < w.at
             ORDER BY measured_at DESC LIMIT 2)
            UNION ALL
            (SELECT series_id, measured_at, value, label_set_id FROM sample
             WHERE sample.series_id = w.series_id AND measured_at >= w.at
             ORDER BY measured_at LIMIT 3)
        ) s
        """,
        series_ids,
        times_ms,
    )
    return _columns(rows)


def _columns(rows: Sequence[Record]) -> StoredSamples:
    return StoredSamples(
        np.array([row["series_id"] for row in rows], np.int64),
        np.array([to_ms(row["measured_at"]) for row in rows], np.int64),
        np.array([row["value"] for row in rows], np.float64),
        np.array([row["label_set_id"] for row in rows], np.int64),
    )
