"""Tables `entry`, `charge` and `expiry` read together: the lines of a project's history.

A place is (hour, rank, major, minor): entries have rank 0 and their sequence, charges that
are not fully booked rank 1, meter and flavor, expiries that are not rank 2 and their grant. Row
comparison keeps that order in SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.entry import EntryKind
from os_credits.domain.history import Line, Place, Totals

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection

_OPEN = "open"


async def sum_lines(conn: Connection, project_id: int, after: Place) -> Totals:
    """Sum what the lines behind a place use, and by how much they change the balance."""
    row = await conn.fetchrow(
        """
        SELECT coalesce(sum(amount), 0) AS balance,
               coalesce(-sum(amount) FILTER (WHERE is_usage), 0) AS used
        FROM (
            SELECT amount, meter_id IS NOT NULL AS is_usage FROM entry
            WHERE project_id = $1 AND hour >= $2
              AND (hour, 0, sequence, 0) > ($2, $3::int, $4::bigint, $5::int)
            UNION ALL
            SELECT booked - charged, true FROM charge
            WHERE project_id = $1 AND charged <> booked AND hour >= $2
              AND (hour, 1, meter_id, flavor_id) > ($2, $3::int, $4::bigint, $5::int)
            UNION ALL
            SELECT booked - expired, false FROM expiry
            WHERE project_id = $1 AND expired <> booked AND hour >= $2
              AND (hour, 2, grant_id, 0) > ($2, $3::int, $4::bigint, $5::int)
        ) lines
        """,
        project_id,
        after.hour,
        after.rank,
        after.major,
        after.minor,
    )
    assert row is not None  # noqa: S101 - an aggregate always returns its row
    return Totals(used=row["used"], balance=row["balance"])


async def list_lines(
    conn: Connection, project_id: int, *, after: Place, until: datetime | None, limit: int
) -> list[Line]:
    """Give the lines behind a place, up to the hour `until` (excluded), in their order."""
    rows = await conn.fetch(
        """
        SELECT hour, 0 AS rank, sequence AS major, 0 AS minor, kind, amount, meter_id, flavor_id,
               id AS entry_id, booked_at, reason, grant_id
        FROM entry
        WHERE project_id = $1 AND hour >= $2 AND ($6::timestamptz IS NULL OR hour < $6)
          AND (hour, 0, sequence, 0) > ($2, $3::int, $4::bigint, $5::int)
        UNION ALL
        SELECT hour, 1, meter_id, flavor_id, 'open', booked - charged, meter_id, flavor_id,
               entry_id, NULL, '', NULL
        FROM charge
        WHERE project_id = $1 AND charged <> booked
          AND hour >= $2 AND ($6::timestamptz IS NULL OR hour < $6)
          AND (hour, 1, meter_id, flavor_id) > ($2, $3::int, $4::bigint, $5::int)
        UNION ALL
        SELECT hour, 2, grant_id, 0, 'open', booked - expired, NULL, NULL, entry_id, NULL, '',
               grant_id
        FROM expiry
        WHERE project_id = $1 AND expired <> booked
          AND hour >= $2 AND ($6::timestamptz IS NULL OR hour < $6)
          AND (hour, 2, grant_id, 0) > ($2, $3::int, $4::bigint, $5::int)
        ORDER BY hour, rank, major, minor LIMIT $7
        """,
        project_id,
        after.hour,
        after.rank,
        after.major,
        after.minor,
        until,
        limit,
    )
    return [_line(row) for row in rows]


@dataclass(frozen=True, slots=True)
class UsedColumns:
    """Hours (as UTC text), what was used in all after each line, and the metrics that used it.

    The totals are floats, for the shapes of the de.NBI service only.
    """

    hours: list[str]
    used: list[float]
    metrics: list[str]


async def read_used_columns(
    conn: Connection,
    project_id: int,
    *,
    start: datetime,
    until: datetime | None,
    opening: Credits,
    limit: int,
) -> UsedColumns:
    """Read the lines of usage from `start` up to `until` (excluded), added up from `opening`.

    Added up and written as text by the database, since there may be very many.
    """
    row = await conn.fetchrow(
        """
        WITH lines AS (
            SELECT hour, 0 AS rank, sequence AS major, 0 AS minor, meter_id, -amount AS used
            FROM entry
            WHERE project_id = $1 AND hour >= $2 AND ($3::timestamptz IS NULL OR hour < $3)
              AND meter_id IS NOT NULL
            UNION ALL
            SELECT hour, 1, meter_id, flavor_id, meter_id, charged - booked FROM charge
            WHERE project_id = $1 AND charged <> booked
              AND hour >= $2 AND ($3::timestamptz IS NULL OR hour < $3)
        ), told AS (
            SELECT hour, meter_id, row_number() OVER place AS number,
                   $4::numeric + sum(used) OVER place AS used
            FROM lines WINDOW place AS (ORDER BY hour, rank, major, minor)
            ORDER BY number LIMIT $5
        )
        SELECT coalesce(array_agg(to_char(t.hour AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
                                  ORDER BY t.number), '{}') AS hours,
               coalesce(array_agg(t.used::float8 ORDER BY t.number), '{}') AS used,
               coalesce(array_agg(m.metric ORDER BY t.number), '{}') AS metrics
        FROM told t JOIN meter m ON m.id = t.meter_id
        """,
        project_id,
        start,
        until,
        opening,
        limit,
    )
    assert row is not None  # noqa: S101 - an aggregate always returns its row
    return UsedColumns(row["hours"], row["used"], row["metrics"])


def _line(row: asyncpg.Record) -> Line:
    return Line(
        place=Place(row["hour"], row["rank"], row["major"], row["minor"]),
        kind=None if row["kind"] == _OPEN else EntryKind(row["kind"]),
        amount=row["amount"],
        meter_id=row["meter_id"],
        flavor_id=row["flavor_id"],
        entry_id=row["entry_id"],
        booked_at=row["booked_at"],
        reason=row["reason"],
        grant_id=row["grant_id"],
    )
