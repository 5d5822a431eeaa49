"""Tables `charge`, `entry` and `booked_usage`, summed over the hours that lay beneath a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from os_credits.domain.amount import to_micro
from os_credits.domain.organisation import OrganisationSum

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.stretch import Stretches
    from os_credits.domain.tree import Span
    from os_credits.store.pool import Connection

# What stands for None among numbers of organisations.
_ITSELF = 0


async def sum_by_part(conn: Connection, spans: Sequence[Span]) -> list[OrganisationSum]:
    """Sum what was used in these hours, by part, project and meter.

    What a project opened with counts in the hour of its opening.
    """
    rows = await conn.fetch(
        """
        WITH span AS (
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[])
                          AS s(project_id, part, start, "end")
        ), used AS (
            SELECT s.part, s.project_id, c.meter_id, c.charged AS amount
            FROM span s JOIN charge c
                ON c.project_id = s.project_id AND c.hour >= s.start AND c.hour < s."end"
            UNION ALL
            SELECT s.part, s.project_id, e.meter_id, -e.amount
            FROM span s JOIN entry e
                ON e.project_id = s.project_id AND e.hour >= s.start AND e.hour < s."end"
            WHERE e.kind = 'opening' AND e.meter_id IS NOT NULL
        )
        SELECT nullif(part, 0) AS part, project_id, meter_id, sum(amount) AS credits FROM used
        GROUP BY used.part, project_id, meter_id HAVING sum(amount) <> 0
        ORDER BY project_id, meter_id, used.part
        """,
        [span.project_id for span in spans],
        [_ITSELF if span.part is None else span.part for span in spans],
        [span.start for span in spans],
        [span.end for span in spans],
    )
    return [OrganisationSum(**dict(row)) for row in rows]


# Used is what is booked (by months, by days, and where these do not fit by entries) and what is
# charged, but not booked yet. What was opened with counts in the hour of the opening.
_USED = """
WITH stretch AS (
    SELECT p.sum_id, m.project_id, p.length, p.start, p."end"
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[])
         AS p(sum_id, group_id, length, start, "end")
    JOIN unnest($6::bigint[], $7::bigint[]) AS m(group_id, project_id) USING (group_id)
), used AS (
    SELECT s.sum_id, b.start AS at, b.amount
    FROM stretch s JOIN booked_usage b
        ON b.project_id = s.project_id AND b.length = s.length
        AND b.start >= s.start AND b.start < s."end"
    UNION ALL
    SELECT s.sum_id, e.hour, -e.amount
    FROM stretch s JOIN entry e
        ON e.project_id = s.project_id AND e.hour >= s.start AND e.hour < s."end"
    WHERE s.length = 'hour' AND e.meter_id IS NOT NULL
    UNION ALL
    SELECT s.sum_id, c.hour, c.charged - c.booked
    FROM stretch s JOIN charge c
        ON c.project_id = s.project_id AND c.hour >= s.start AND c.hour < s."end"
    WHERE c.charged <> c.booked
)
"""


async def sum_stretches(conn: Connection, wanted: Stretches) -> dict[int, int]:
    """Sum what was used in these stretches of time, by their `sum_id`, in millionths."""
    statement = _with_used("SELECT sum_id, sum(amount) AS used FROM used GROUP BY sum_id")
    rows = await conn.fetch(statement, *_columns(wanted))
    return {row["sum_id"]: to_micro(row["used"]) for row in rows}


async def sum_steps(
    conn: Connection, wanted: Stretches, step: Literal["day", "month"]
) -> list[tuple[datetime, Credits]]:
    """Sum what was used in all of these stretches, by day or month, oldest first.

    They must not be cut into longer pieces.
    """
    statement = _with_used(
        "SELECT date_trunc($8, at, 'UTC'), sum(amount) FROM used GROUP BY 1 ORDER BY 1"
    )
    return [(start, used) for start, used in await conn.fetch(statement, *_columns(wanted), step)]


def _with_used(statement: str) -> str:
    return f"{_USED}{statement}"


def _columns(wanted: Stretches) -> tuple[object, ...]:
    return (
        [one.sum_id for one in wanted.pieces],
        [one.group for one in wanted.pieces],
        [one.length for one in wanted.pieces],
        [one.start for one in wanted.pieces],
        [one.end for one in wanted.pieces],
        [group for group, _ in wanted.members],
        [project_id for _, project_id in wanted.members],
    )
