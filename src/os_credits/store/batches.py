"""Table `batch`: what a push handed in, durable, and waiting to be rated.

A row holds its samples as packed columns, 24 bytes each, so that acknowledging a push costs
one insert whatever its size.
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
    packed = np.empty(len(columns), _ROW)
    packed["label_set_id"] = columns.label_set_ids
    packed["time_ms"] = columns.times_ms
    packed["value"] = columns.values
    await conn.execute(
        "INSERT INTO batch (sample_count, columns) VALUES ($1, $2)", len(columns), packed.tobytes()
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
                      WHERE $2::bigint IS NULL OR id <= $2 ORDER BY id LIMIT 10000) oldest
            ) counted
            WHERE before < $1
        )
        RETURNING columns
        """,
        samples_max,
        newest_id,
    )
    if not rows:
        return None
    packed = np.frombuffer(b"".join(row["columns"] for row in rows), _ROW)
    return BatchColumns(
        np.ascontiguousarray(packed["label_set_id"]),
        np.ascontiguousarray(packed["time_ms"]),
        np.ascontiguousarray(packed["value"]),
    )


async def count_batches(conn: Connection) -> tuple[int, int, datetime | None]:
    """Count waiting batches and their samples, and give the receipt of the oldest."""
    (row,) = await conn.fetch(
        "SELECT count(*) AS batches, coalesce(sum(sample_count), 0) AS samples, "
        "min(received_at) AS oldest FROM batch"
    )
    return row["batches"], row["samples"], row["oldest"]


async def read_now(conn: Connection) -> datetime:
    """Read the database's clock, which judges what is too old or too far ahead."""
    now: datetime = await conn.fetchval("SELECT clock_timestamp()")
    return now
