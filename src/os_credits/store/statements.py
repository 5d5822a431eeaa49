"""Sums over `entry`, `charge` and `expiry` for statements, and which of them are due."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.closing import StatementKind, StatementLine, StatementSum, kind_of
from os_credits.domain.entry import EntryKind

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class FinalStatement:
    """Which entry was the last that a final statement knew of (0: none), and when that was."""

    sequence: int
    created_at: datetime


async def sum_entries(
    conn: Connection, project_id: int, *, hour: datetime | None, sequence: int | None
) -> list[StatementSum]:
    """Sum a project's entries by what they are, signed.

    After the end are usage of hours from `hour` on (None: there is no end), and every entry
    behind the one of number `sequence` (None: there is no final statement yet).
    """
    rows = await conn.fetch(
        """
        SELECT kind, meter_id, CASE WHEN kind <> 'correction' THEN flavor_id END AS flavor_id,
               amount > 0 AS is_credit,
               coalesce(kind IN ('usage', 'correction') AND meter_id IS NOT NULL
                        AND hour >= $2::timestamptz, false)
                   OR coalesce(sequence > $3::bigint, false) AS is_after,
               sum(amount) AS credits
        FROM entry WHERE project_id = $1 GROUP BY 1, 2, 3, 4, 5
        """,
        project_id,
        hour,
        sequence,
    )
    return [
        StatementSum(
            StatementLine(
                kind_of(
                    EntryKind(row["kind"]),
                    has_meter=row["meter_id"] is not None,
                    is_credit=row["is_credit"],
                ),
                row["credits"],
                row["meter_id"],
                row["flavor_id"],
            ),
            row["is_after"],
        )
        for row in rows
    ]


async def sum_tally(
    conn: Connection, project_id: int, *, hour: datetime | None, is_final: bool
) -> list[StatementSum]:
    """Sum what is charged or expired and not yet booked, signed as its entries will be.

    After the end are charges of hours from `hour` on (None: there is no end), and with
    `is_final` all of it.
    """
    rows = await conn.fetch(
        """
        SELECT meter_id, flavor_id, $3 OR coalesce(hour >= $2::timestamptz, false) AS is_after,
               sum(booked - charged) AS credits
        FROM charge WHERE project_id = $1 AND charged <> booked GROUP BY 1, 2, 3
        UNION ALL
        SELECT NULL, NULL, $3::bool, sum(booked - expired)
        FROM expiry WHERE project_id = $1 AND expired <> booked HAVING count(*) > 0
        """,
        project_id,
        hour,
        is_final,
    )
    return [
        StatementSum(
            StatementLine(StatementKind.TALLY, row["credits"], row["meter_id"], row["flavor_id"]),
            row["is_after"],
        )
        for row in rows
    ]


async def read_hash(conn: Connection, project_id: int, sequence: int) -> bytes:
    """Give the hash of a project's entry by its number; none where there is no such entry."""
    found: bytes | None = await conn.fetchval(
        "SELECT hash FROM entry WHERE project_id = $1 AND sequence = $2", project_id, sequence
    )
    return found or b""


async def find_final(conn: Connection, closing_id: int) -> FinalStatement | None:
    """Find the final statement of a closing, if it is written."""
    row = await conn.fetchrow(
        """
        SELECT (facts ->> 'sequence')::bigint AS sequence, created_at FROM notice
        WHERE closing_id = $1 AND kind = 'closed'
        """,
        closing_id,
    )
    return None if row is None else FinalStatement(row["sequence"], row["created_at"])


async def list_due(conn: Connection, *, after_id: int, limit: int) -> list[int]:
    """Give projects, by id, whose final statement can be written now, and is not.

    All hours before the closing are closed, and what was charged or has expired in them is
    booked.
    """
    rows = await conn.fetch(
        """
        SELECT c.project_id
        FROM (SELECT DISTINCT ON (project_id) id, project_id, is_closed, hour FROM closing
              WHERE project_id > $1 ORDER BY project_id, id DESC) c
        WHERE c.is_closed AND c.hour <= (SELECT closed_until FROM rating_state)
          AND NOT EXISTS (SELECT FROM notice n WHERE n.closing_id = c.id AND n.kind = 'closed')
          AND NOT EXISTS (SELECT FROM charge t WHERE t.project_id = c.project_id
                          AND t.hour < c.hour AND t.charged <> t.booked)
          AND NOT EXISTS (SELECT FROM expiry x WHERE x.project_id = c.project_id
                          AND x.hour <= c.hour AND x.expired IS DISTINCT FROM x.booked)
        ORDER BY c.project_id LIMIT $2
        """,
        after_id,
        limit,
    )
    return [row["project_id"] for row in rows]


async def list_late(conn: Connection, *, after_id: int, limit: int) -> list[int]:
    """Give closed projects, by id, of whose late usage nobody was told.

    What was charged after the end is not what the final statement said, no notice of this
    closing says so, and the project has had none for a day.
    """
    rows = await conn.fetch(
        """
        SELECT c.project_id
        FROM (SELECT DISTINCT ON (project_id) id, project_id, is_closed, hour FROM closing
              WHERE project_id > $1 ORDER BY project_id, id DESC) c
        JOIN notice n ON n.closing_id = c.id AND n.kind = 'closed'
        WHERE c.is_closed
          AND NOT EXISTS (SELECT FROM notice l
                          WHERE l.kind = 'late_usage' AND l.project_id = c.project_id
                            AND (l.closing_id = c.id OR l.created_at > now() - interval '1 day'))
          AND (n.facts ->> 'used_after')::numeric <>
              coalesce((SELECT sum(charged) FROM charge
                        WHERE project_id = c.project_id AND hour >= c.hour), 0)
              + coalesce((SELECT sum(charged - booked) FROM charge
                          WHERE project_id = c.project_id AND hour < c.hour
                            AND charged <> booked), 0)
              - coalesce((SELECT sum(amount) FROM entry
                          WHERE project_id = c.project_id AND meter_id IS NOT NULL
                            AND sequence > (n.facts ->> 'sequence')::bigint
                            AND (hour < c.hour OR kind = 'opening')), 0)
        ORDER BY c.project_id LIMIT $2
        """,
        after_id,
        limit,
    )
    return [row["project_id"] for row in rows]
