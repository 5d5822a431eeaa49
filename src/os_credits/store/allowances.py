"""Tables `allowance` and `allowance_end`: grants that come again every month."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.allowance import Allowance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.allowance import AllowanceEnd, AllowanceRequest
    from os_credits.store.pool import Connection


async def insert_allowance(conn: Connection, request: AllowanceRequest) -> int:
    """Store an allowance, nothing of it given yet, and give its id."""
    allowance_id = await conn.fetchval(
        """
        INSERT INTO allowance (project_id, amount, first_month, end_month, carries_over, priority,
                               reason, author, granted_until)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $3) RETURNING id
        """,
        request.project_id,
        request.amount,
        request.first_month,
        request.end_month,
        request.carries_over,
        request.priority,
        request.reason,
        request.author,
    )
    return int(allowance_id)


async def end_allowance(conn: Connection, end: AllowanceEnd) -> bool:
    """Write down from which month on an allowance gives nothing; it is ended once.

    False: it was ended before, and nothing is changed.
    """
    status = await conn.execute(
        """
        INSERT INTO allowance_end (allowance_id, end_month, reason, author)
        VALUES ($1, $2, $3, $4) ON CONFLICT (allowance_id) DO NOTHING
        """,
        end.allowance_id,
        end.end_month,
        end.reason,
        end.author,
    )
    return status != "INSERT 0 0"


async def list_allowances(conn: Connection, project_ids: Sequence[int]) -> list[Allowance]:
    """Give the allowances of these projects, by project and id."""
    rows = await conn.fetch(
        """
        SELECT a.id, a.project_id, a.amount, a.first_month,
               least(a.end_month, e.end_month) AS end_month, a.carries_over, a.priority,
               a.reason, a.author, a.created_at, a.granted_until
        FROM allowance a LEFT JOIN allowance_end e ON e.allowance_id = a.id
        WHERE a.project_id = ANY($1::bigint[]) ORDER BY a.project_id, a.id
        """,
        project_ids,
    )
    return [Allowance(**dict(row)) for row in rows]


async def list_due(
    conn: Connection, project_ids: Sequence[int] | None, *, now: datetime, limit: int
) -> list[tuple[Allowance, bool]]:
    """Give allowances (of all projects: None) with a month that has begun and is not done.

    With each, whether its project is closed.
    """
    rows = await conn.fetch(
        """
        SELECT a.id, a.project_id, a.amount, a.first_month,
               least(a.end_month, e.end_month) AS end_month, a.carries_over, a.priority,
               a.reason, a.author, a.created_at, a.granted_until,
               coalesce((SELECT c.is_closed AND c.hour <= $1 FROM closing c
                         WHERE c.project_id = a.project_id
                         ORDER BY c.id DESC LIMIT 1), false) AS is_closed
        FROM allowance a LEFT JOIN allowance_end e ON e.allowance_id = a.id
        WHERE a.granted_until <= $1 AND ($3::bigint[] IS NULL OR a.project_id = ANY($3))
          AND a.granted_until < coalesce(least(a.end_month, e.end_month), 'infinity')
        ORDER BY a.project_id, a.id LIMIT $2
        """,
        now,
        limit,
        project_ids,
    )
    return [(Allowance(*tuple(row)[:-1]), row["is_closed"]) for row in rows]


async def mark_granted(conn: Connection, allowance_id: int, until: datetime) -> None:
    """Remember for which months an allowance is done."""
    await conn.execute("UPDATE allowance SET granted_until = $2 WHERE id = $1", allowance_id, until)
