"""Samples and usage as `verify` reads them: whole series, in columns, slice by slice.

Nothing here locks more than every reader does, and samples are not sorted by the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import EPOCH, to_ms
from os_credits.store.block_bytes import arrays_of, unpack
from os_credits.store.block_faults import BlockFault, Blocks, find_faults
from os_credits.store.sample_columns import StoredSamples, columns_of
from os_credits.store.summed_days import read_open_days

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection

# One statement may take longer here than where somebody waits for it.
STATEMENT_SECONDS_MAX = 600
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SizedSeries:
    """A series, whose it is, and how many rows of samples and usage it has."""

    id: int
    project_id: int
    meter_id: int
    row_count: int


@dataclass(frozen=True, slots=True)
class ReadSamples:
    """Samples, in how many blocks they are stored, and what is wrong with these."""

    samples: StoredSamples
    block_count: int
    faults: Sequence[BlockFault]


async def allow_long_statements(conn: Connection) -> None:
    """Let statements of this transaction take as long as reading everything may take."""
    milliseconds = str(STATEMENT_SECONDS_MAX * 1000)
    await conn.execute(
        """
        SELECT set_config('statement_timeout', $1, true),
               set_config('idle_in_transaction_session_timeout', $1, true)
        """,
        milliseconds,
    )


async def list_sized_series(conn: Connection, project_ids: Sequence[int]) -> list[SizedSeries]:
    """Give the series of these projects, by project."""
    rows = await conn.fetch(
        """
        WITH chosen AS (
            SELECT id, project_id, meter_id FROM series WHERE project_id = ANY($1::bigint[])
        ), sized AS (
            SELECT series_id, sum(cardinality(offsets_ms)) AS row_count FROM sample_block
            WHERE series_id = ANY(ARRAY(SELECT id FROM chosen)) GROUP BY series_id
            UNION ALL
            SELECT series_id, count(*) FROM usage
            WHERE series_id = ANY(ARRAY(SELECT id FROM chosen)) GROUP BY series_id
        )
        SELECT c.id, c.project_id, c.meter_id, coalesce(sum(s.row_count), 0)::bigint
        FROM chosen c LEFT JOIN sized s ON s.series_id = c.id
        GROUP BY c.id, c.project_id, c.meter_id ORDER BY c.project_id, c.id
        """,
        project_ids,
        timeout=STATEMENT_SECONDS_MAX,
    )
    return [SizedSeries(*row) for row in rows]


async def read_samples(conn: Connection, series_ids: Sequence[int]) -> ReadSamples:
    """Read every sample of these series, in no order, and look at the blocks that hold them."""
    rows = await conn.fetch(
        """
        SELECT series_id, first_at, last_at, label_set_id, array_send(offsets_ms) AS offsets,
               array_send(b.values) AS values, array_send(label_set_ids) AS label_sets
        FROM sample_block b WHERE series_id = ANY($1::bigint[])
        """,
        series_ids,
        timeout=STATEMENT_SECONDS_MAX,
    )
    offsets_ms, values, label_sets = arrays_of(
        [row["offsets"] for row in rows],
        [row["values"] for row in rows],
        [row["label_sets"] for row in rows],
    )
    blocks = Blocks(
        np.array([row["series_id"] for row in rows], np.int64),
        np.array([(row["first_at"] - EPOCH) // _MICROSECOND for row in rows], np.int64),
        np.array([(row["last_at"] - EPOCH) // _MICROSECOND for row in rows], np.int64),
        np.array([row["label_set_id"] for row in rows], np.int64),
        offsets_ms,
        values,
        label_sets,
        np.array([row["label_sets"] is not None for row in rows], np.bool_),
    )
    held = unpack(offsets_ms, values, label_sets, blocks.label_set_ids)
    samples = StoredSamples(
        blocks.series_ids[held.blocks],
        blocks.first_us[held.blocks] // 1000 + held.offsets_ms,
        held.values,
        held.label_set_ids,
    )
    return ReadSamples(samples, len(rows), list(find_faults(blocks)))


async def read_floor(conn: Connection, series_ids: Sequence[int]) -> StoredSamples:
    """Read what was kept of these series when older samples were dropped."""
    rows = await conn.fetch(
        """
        SELECT series_id, measured_at, value, label_set_id FROM sample_floor
        WHERE series_id = ANY($1::bigint[])
        """,
        series_ids,
    )
    return columns_of(rows)


async def read_usage_rows(
    conn: Connection, series_ids: Sequence[int], first_hour: datetime
) -> list[tuple[int, int, int, int, int, Credits | None]]:
    """Read series, hour (ms), flavor, kind, quantity and credits of all usage from an hour on."""
    rows = await conn.fetch(
        """
        SELECT series_id, hour, flavor_id, kind, quantity, credits FROM usage
        WHERE series_id = ANY($1::bigint[]) AND hour >= $2
        """,
        series_ids,
        first_hour,
        timeout=STATEMENT_SECONDS_MAX,
    )
    hours_ms = {hour: to_ms(hour) for hour in {row[1] for row in rows}}
    return [(row[0], hours_ms[row[1]], row[2], row[3], int(row[4]), row[5]) for row in rows]


async def find_excluded_outside(
    conn: Connection, project_id: int | None
) -> list[tuple[int, int, datetime]]:
    """Give project, series and time of samples set aside, but in no exclusion that holds."""
    rows = await conn.fetch(
        """
        SELECT s.project_id, x.series_id, x.measured_at
        FROM excluded_sample x JOIN series s ON s.id = x.series_id
        WHERE ($1::bigint IS NULL OR s.project_id = $1) AND NOT EXISTS (
            SELECT FROM exclusion e
            WHERE e.project_id = s.project_id
              AND (e.meter_id IS NULL OR e.meter_id = s.meter_id)
              AND (e.series_id IS NULL OR e.series_id = s.id)
              AND (e.starts_at IS NULL OR e.starts_at <= x.measured_at)
              AND (e.ends_at IS NULL OR e.ends_at > x.measured_at)
              AND NOT EXISTS (SELECT FROM exclusion_lift l WHERE l.exclusion_id = e.id)
        )
        ORDER BY x.series_id, x.measured_at LIMIT 1000
        """,
        project_id,
        timeout=STATEMENT_SECONDS_MAX,
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def count_rows(conn: Connection, first_hour: datetime) -> tuple[int, int]:
    """Count all samples, and all usage from an hour on."""
    (row,) = await conn.fetch(
        """
        SELECT (SELECT coalesce(sum(cardinality(offsets_ms)), 0)::bigint FROM sample_block),
               (SELECT count(*) FROM usage WHERE hour >= $1)
        """,
        first_hour,
        timeout=STATEMENT_SECONDS_MAX,
    )
    return row[0], row[1]


async def find_series_of_nobody(conn: Connection) -> list[tuple[str, int]]:
    """Give the table and the series of samples and usage whose series is not known."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT 'sample', series_id FROM sample_block
        WHERE NOT EXISTS (SELECT FROM series s WHERE s.id = series_id)
        UNION ALL
        SELECT DISTINCT 'usage', series_id FROM usage
        WHERE NOT EXISTS (SELECT FROM series s WHERE s.id = series_id)
        LIMIT 1000
        """,
        timeout=STATEMENT_SECONDS_MAX,
    )
    return [(row[0], row[1]) for row in rows]


async def find_other_days(
    conn: Connection, series_ids: Sequence[int]
) -> list[tuple[int, datetime, int, Decimal, Decimal]]:
    """Give series, day, flavor and both sums where days are not the sum of their hours.

    Of quantities, in smallest steps, or where these are the same, of credits. Days that are to be
    summed anew are left out: nobody reads what is summed of them.
    """
    open_days = await read_open_days(conn)
    rows = await conn.fetch(
        """
        WITH open AS MATERIALIZED (
            SELECT * FROM unnest($2::timestamptz[], $3::timestamptz[]) AS o(start, "end")
        ), hours AS (
            SELECT series_id, date_trunc('day', hour, 'UTC') AS day, flavor_id,
                   coalesce(sum(quantity) FILTER (WHERE kind = 0 OR credits > 0), 0) AS quantity,
                   sum(quantity) AS measured, coalesce(sum(credits), 0) AS credits
            FROM usage WHERE series_id = ANY($1::bigint[]) AND quantity > 0
            GROUP BY 1, 2, 3
        ), days AS (
            SELECT series_id, day, flavor_id, sum(quantity + unpriced) AS quantity,
                   sum(quantity + unpriced + free + undecided) AS measured,
                   sum(credits) AS credits
            FROM daily_usage WHERE series_id = ANY($1::bigint[]) GROUP BY 1, 2, 3
        ), pair AS (
            SELECT series_id, day, flavor_id,
                   ARRAY[coalesce(d.quantity, 0), coalesce(d.measured, 0),
                         coalesce(d.credits, 0)] AS stored,
                   ARRAY[coalesce(h.quantity, 0), coalesce(h.measured, 0),
                         coalesce(h.credits, 0)] AS computed
            FROM days d FULL JOIN hours h USING (series_id, day, flavor_id)
        )
        SELECT series_id, day, flavor_id, stored[place], computed[place]
        FROM pair CROSS JOIN LATERAL (
            SELECT min(n) AS place FROM generate_series(1, 3) n WHERE stored[n] <> computed[n]
        ) p
        WHERE place IS NOT NULL
          AND NOT EXISTS (SELECT FROM open o WHERE pair.day >= o.start AND pair.day < o."end")
        ORDER BY 1, 2, 3 LIMIT 1000
        """,
        series_ids,
        open_days.starts,
        open_days.ends,
        timeout=STATEMENT_SECONDS_MAX,
    )
    return [tuple(row) for row in rows]
