"""The limit to measure against: binary COPY of the same rows into a hypertable without an index."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.processes import Cpu, tree_seconds
from benchmarks.runs import Run
from os_credits.store.copying import in_one_piece

if TYPE_CHECKING:
    from benchmarks.bodies import Load

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("l0", ">i4"), ("series_id", ">i8"),
        ("l1", ">i4"), ("measured_at", ">i8"),
        ("l2", ">i4"), ("value", ">f8"),
        ("l3", ">i4"), ("label_set_id", ">i8"),
    ]
)  # fmt: skip
POSTGRES_EPOCH_MS = 946_684_800_000
TABLE = """
DROP TABLE IF EXISTS bench.sample CASCADE;
CREATE TABLE bench.sample (series_id bigint NOT NULL, measured_at timestamptz NOT NULL,
                           value double precision NOT NULL, label_set_id bigint NOT NULL);
SELECT public.create_hypertable('bench.sample', public.by_range('measured_at', INTERVAL '1 day'),
                                create_default_indexes => false)
"""


async def by_copy(conn: Any, load: Load, steps: int, postmaster: int) -> Run:
    """Copy the rows of a load in the batches of its bodies, one after the other."""
    await conn.execute("CREATE SCHEMA IF NOT EXISTS bench")
    await conn.execute(TABLE)
    batches = _batches(load, steps)
    wal = await conn.fetchval("SELECT pg_current_wal_lsn()")
    client, before, started = time.process_time(), tree_seconds(postmaster), time.perf_counter()
    for ids, times_ms in batches:
        await conn.copy_to_table(
            "sample",
            schema_name="bench",
            columns=["series_id", "measured_at", "value", "label_set_id"],
            source=in_one_piece(_encoded(ids, times_ms)),
            format="binary",
        )
    seconds = time.perf_counter() - started
    cpu = Cpu(time.process_time() - client, 0.0, tree_seconds(postmaster) - before)
    written = await conn.fetchval("SELECT pg_current_wal_lsn() - $1::pg_lsn", wal)
    return Run(load.count(steps), seconds, seconds, cpu, float(written))


def _batches(load: Load, steps: int) -> list[tuple[Any, Any]]:
    """Give series and times of each body."""
    made = []
    own = np.arange(load.series, dtype=np.int64)
    for first in range(0, steps, load.form.samples):
        together = range(first, min(first + load.form.samples, steps))
        times = np.array([load.sample(0, one)[0] for one in together], np.int64)
        for start in range(0, load.series, load.form.series):
            part = own[start : start + load.form.series]
            made.append((np.repeat(part, len(times)), np.tile(times, len(part))))
    return made


def _encoded(ids: Any, times_ms: Any) -> bytes:
    rows = np.empty(len(ids), ROW)
    rows["fields"] = 4
    for length in ("l0", "l1", "l2", "l3"):
        rows[length] = 8
    rows["series_id"], rows["label_set_id"], rows["value"] = ids, ids, ids * 0.001
    rows["measured_at"] = (times_ms - POSTGRES_EPOCH_MS) * 1000
    return HEADER + rows.tobytes() + END
