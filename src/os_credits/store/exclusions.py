"""Tables `exclusion`, `exclusion_lift` and `excluded_sample`: samples taken out of the set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.exclusion import Exclusion
from os_credits.domain.period import from_ms
from os_credits.store.sample_columns import StoredSamples, columns_of
from os_credits.store.slices import slices

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.store.pool import Connection


async def insert_exclusion(
    conn: Connection,
    *,
    project_id: int,
    meter_id: int | None,
    series_id: int | None,
    starts_at: datetime | None,
    ends_at: datetime | None,
    reason: str,
    author: str,
) -> int:
    """Store an exclusion and give its id."""
    exclusion_id = await conn.fetchval(
        """
        INSERT INTO exclusion (project_id, meter_id, series_id, starts_at, ends_at, reason, author)
        VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id
        """,
        project_id,
        meter_id,
        series_id,
        starts_at,
        ends_at,
        reason,
        author,
    )
    return int(exclusion_id)


async def insert_lift(conn: Connection, exclusion_id: int, *, reason: str, author: str) -> bool:
    """End an exclusion; false if it had been lifted before."""
    done = await conn.fetchval(
        """
        INSERT INTO exclusion_lift (exclusion_id, reason, author) VALUES ($1, $2, $3)
        ON CONFLICT (exclusion_id) DO NOTHING RETURNING exclusion_id
        """,
        exclusion_id,
        reason,
        author,
    )
    return done is not None


async def find_exclusion(conn: Connection, exclusion_id: int) -> Exclusion | None:
    """Give an exclusion, lifted or not."""
    row = await conn.fetchrow(
        """
        SELECT id, project_id, meter_id, series_id, starts_at, ends_at, reason, author
        FROM exclusion WHERE id = $1
        """,
        exclusion_id,
    )
    return None if row is None else Exclusion(**dict(row))


async def read_last_id(conn: Connection, project_id: int, *, before: int | None = None) -> int:
    """Give the newest exclusion of a project, lifted or not, 0 if there is none.

    With `before`, the newest of those that came before that one.
    """
    last_id = await conn.fetchval(
        "SELECT max(id) FROM exclusion WHERE project_id = $1 AND ($2::bigint IS NULL OR id < $2)",
        project_id,
        before,
    )
    return int(last_id or 0)


async def list_active_exclusions(conn: Connection) -> list[Exclusion]:
    """Give the exclusions that were not lifted, oldest first."""
    rows = await conn.fetch(
        """
        SELECT id, project_id, meter_id, series_id, starts_at, ends_at, reason, author
        FROM exclusion e
        WHERE NOT EXISTS (SELECT FROM exclusion_lift l WHERE l.exclusion_id = e.id)
        ORDER BY id
        """
    )
    return [Exclusion(**dict(row)) for row in rows]


async def keep_excluded(conn: Connection, samples: StoredSamples) -> None:
    """Store samples that are out of the set; of the same label set and time the larger counts."""
    order = np.lexsort(
        (
            np.where(np.isnan(samples.values), -np.inf, samples.values),
            samples.label_set_ids,
            samples.times_ms,
            samples.series_ids,
        )
    )
    rows = samples.where(order)
    is_last = np.r_[
        (rows.series_ids[1:] != rows.series_ids[:-1])
        | (rows.times_ms[1:] != rows.times_ms[:-1])
        | (rows.label_set_ids[1:] != rows.label_set_ids[:-1]),
        True,
    ][: len(rows)]
    rows = rows.where(is_last)
    for part in slices(len(rows)):
        await conn.execute(
            """
            INSERT INTO excluded_sample (series_id, measured_at, label_set_id, value)
            SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::float8[])
            ON CONFLICT (series_id, measured_at, label_set_id) DO UPDATE SET value = excluded.value
            WHERE excluded_sample.value = 'NaN'
               OR (excluded.value <> 'NaN' AND excluded.value > excluded_sample.value)
            """,
            rows.series_ids[part].tolist(),
            [from_ms(ms) for ms in rows.times_ms[part].tolist()],
            rows.label_set_ids[part].tolist(),
            rows.values[part].tolist(),
        )


async def read_excluded(conn: Connection, exclusion: Exclusion) -> StoredSamples:
    """Read what is kept of the samples that an exclusion covers."""
    rows = await conn.fetch(
        """
        SELECT x.series_id, x.measured_at, x.value, x.label_set_id
        FROM excluded_sample x JOIN series s ON s.id = x.series_id
        WHERE s.project_id = $1 AND ($2::int IS NULL OR s.meter_id = $2)
          AND ($3::bigint IS NULL OR s.id = $3)
          AND ($4::timestamptz IS NULL OR x.measured_at >= $4)
          AND ($5::timestamptz IS NULL OR x.measured_at < $5)
        """,
        exclusion.project_id,
        exclusion.meter_id,
        exclusion.series_id,
        exclusion.starts_at,
        exclusion.ends_at,
    )
    return columns_of(rows)


async def forget_excluded(conn: Connection, samples: StoredSamples) -> None:
    """Remove samples that came back into the set."""
    for part in slices(len(samples)):
        await conn.execute(
            """
            DELETE FROM excluded_sample x
            USING unnest($1::bigint[], $2::timestamptz[], $3::bigint[])
                AS w(series_id, measured_at, label_set_id)
            WHERE x.series_id = w.series_id AND x.measured_at = w.measured_at
              AND x.label_set_id = w.label_set_id
            """,
            samples.series_ids[part].tolist(),
            [from_ms(ms) for ms in samples.times_ms[part].tolist()],
            samples.label_set_ids[part].tolist(),
        )
