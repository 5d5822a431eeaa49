"""Table `batch`: what a push handed in, durable, and waiting to be rated.

A row holds its samples as packed columns, so that acknowledging a push costs one insert whatever
its size: 16 bytes for each sample, or 24 where ids or times lie too far apart for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from os_credits.store.pool import Connection

_ROW = np.dtype([("label_set_id", "<i8"), ("time_ms", "<i8"), ("value", "<f8")])
# The short form: a head, then all ids, all times since the first, and all values. Of no count of
# samples is it as long as the other.
_HEAD = np.dtype([("form", "<i4"), ("first_ms", "<i8")])
_SHORT_FORM = 1
_SHORT = np.uint32
_SHORT_MAX = 2**32
# However little they hold, no more are taken at once.
BATCHES_AT_ONCE_MAX = 10_000


@dataclass(frozen=True, slots=True)
class BatchColumns:
    """Accepted samples: label set, time (ms since the epoch), value (bits kept)."""

    label_set_ids: NDArray[np.int64]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.times_ms)


def joined(parts: Sequence[BatchColumns]) -> BatchColumns:
    """Put samples one after the other."""
    if len(parts) == 1:
        return parts[0]
    return BatchColumns(
        np.concatenate([part.label_set_ids for part in parts]),
        np.concatenate([part.times_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


async def insert_batch(conn: Connection, columns: BatchColumns) -> None:
    """Store accepted samples; they are durable when the transaction commits."""
    await conn.execute(
        "INSERT INTO batch (sample_count, columns) VALUES ($1, $2)", len(columns), packed(columns)
    )


def packed(columns: BatchColumns) -> bytes:
    """Write at least one sample as the column `columns` holds it, as short as it goes."""
    first_ms = int(columns.times_ms.min())
    is_short = (
        int(columns.times_ms.max()) - first_ms < _SHORT_MAX
        and int(columns.label_set_ids.min()) >= 0
        and int(columns.label_set_ids.max()) < _SHORT_MAX
    )
    if is_short:
        head = np.array([(_SHORT_FORM, first_ms)], _HEAD)
        ids = columns.label_set_ids.astype(_SHORT)
        offsets = (columns.times_ms - first_ms).astype(_SHORT)
        return b"".join(part.tobytes() for part in (head, ids, offsets, columns.values))
    rows = np.empty(len(columns), _ROW)
    rows["label_set_id"] = columns.label_set_ids
    rows["time_ms"] = columns.times_ms
    rows["value"] = columns.values
    return rows.tobytes()


def unpacked(written: bytes, sample_count: int) -> BatchColumns:
    """Read what `packed` wrote, or what older versions did."""
    if len(written) == sample_count * _ROW.itemsize:
        rows = np.frombuffer(written, _ROW)
        return BatchColumns(
            np.ascontiguousarray(rows["label_set_id"]),
            np.ascontiguousarray(rows["time_ms"]),
            np.ascontiguousarray(rows["value"]),
        )
    first_ms = int(np.frombuffer(written, _HEAD, 1)["first_ms"][0])
    numbers = np.frombuffer(written, _SHORT, 2 * sample_count, _HEAD.itemsize).astype(np.int64)
    at = _HEAD.itemsize + 2 * sample_count * np.dtype(_SHORT).itemsize
    return BatchColumns(
        numbers[:sample_count],
        numbers[sample_count:] + first_ms,
        np.frombuffer(written, np.float64, sample_count, at),
    )


async def read_newest_id(conn: Connection) -> int:
    """Read the id of the newest waiting batch, 0 when none waits."""
    newest_id: int = await conn.fetchval("SELECT coalesce(max(id), 0) FROM batch")
    return newest_id


async def take_batches(
    conn: Connection, *, samples_max: int, newest_id: int | None
) -> BatchColumns | None:
    """Remove waiting batches, oldest first, and give their samples; None when none waits.

    Takes at least one batch, then more until they hold `samples_max` samples together, none
    newer than `newest_id`. Gone only if the transaction commits.
    """
    rows = await conn.fetch(
        """
        DELETE FROM batch WHERE id IN (
            SELECT id FROM (
                SELECT id, sum(sample_count) OVER (ORDER BY id) - sample_count AS before
                FROM (SELECT id, sample_count FROM batch
                      WHERE $2::bigint IS NULL OR id <= $2 ORDER BY id LIMIT $3) oldest
            ) counted
            WHERE before < $1
        )
        RETURNING sample_count, columns
        """,
        samples_max,
        newest_id,
        BATCHES_AT_ONCE_MAX,
    )
    if not rows:
        return None
    return joined([unpacked(row["columns"], row["sample_count"]) for row in rows])


async def count_batches(conn: Connection) -> tuple[int, int, datetime | None]:
    """Count waiting batches and their samples, and give the receipt of the oldest."""
    (row,) = await conn.fetch(
        "SELECT count(*) AS batches, coalesce(sum(sample_count), 0) AS samples, "
        "min(received_at) AS oldest FROM batch"
    )
    return row["batches"], row["samples"], row["oldest"]


async def has_waiting(conn: Connection, samples_max: int) -> bool:
    """Tell whether so many samples wait, or as many batches as are taken at once."""
    has: bool = await conn.fetchval(
        """
        SELECT coalesce(sum(sample_count) >= $1 OR count(*) = $2, false)
        FROM (SELECT sample_count FROM batch ORDER BY id LIMIT $2) oldest
        """,
        samples_max,
        BATCHES_AT_ONCE_MAX,
    )
    return has


async def read_now(conn: Connection) -> datetime:
    """Read the database's clock, which judges what is too old or too far ahead."""
    now: datetime = await conn.fetchval("SELECT clock_timestamp()")
    return now
