"""Tables `threshold_state` and `notice`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.notice import Notice, NoticeId, ThresholdState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


async def list_states(conn: Connection, *, after_id: int, limit: int) -> list[ThresholdState]:
    """Give the state of each project that has a grant, by id, from the one after `after_id`."""
    rows = await conn.fetch(
        """
        SELECT p.project_id, s.lowest_percent
        FROM (SELECT DISTINCT project_id FROM entry
              WHERE kind IN ('grant', 'opening') AND meter_id IS NULL AND project_id > $1
              ORDER BY project_id LIMIT $2) p
        LEFT JOIN threshold_state s USING (project_id)
        ORDER BY p.project_id
        """,
        after_id,
        limit,
    )
    return [ThresholdState(**dict(row)) for row in rows]


async def ensure_states(conn: Connection, project_ids: Sequence[int]) -> None:
    """Let these projects have a row that can be locked, in the order of their ids."""
    await conn.execute(
        """
        INSERT INTO threshold_state (project_id)
        SELECT id FROM unnest($1::bigint[]) AS w(id) ORDER BY id
        ON CONFLICT (project_id) DO NOTHING
        """,
        project_ids,
    )


async def try_lock_state(conn: Connection, project_id: int) -> ThresholdState | None:
    """Lock a project's state to the end of the transaction; None if somebody else holds it."""
    row = await conn.fetchrow(
        """
        SELECT project_id, lowest_percent FROM threshold_state
        WHERE project_id = $1 FOR UPDATE SKIP LOCKED
        """,
        project_id,
    )
    return None if row is None else ThresholdState(**dict(row))


async def lock_state(conn: Connection, project_id: int) -> ThresholdState:
    """Lock a project's state, storing it if it is new; waits for whoever holds it."""
    row = await conn.fetchrow(
        """
        INSERT INTO threshold_state (project_id) VALUES ($1)
        ON CONFLICT (project_id) DO UPDATE SET lowest_percent = threshold_state.lowest_percent
        RETURNING project_id, lowest_percent
        """,
        project_id,
    )
    assert row is not None  # noqa: S101 - an upsert always returns its row
    return ThresholdState(**dict(row))


async def update_state(conn: Connection, project_id: int, lowest_percent: Decimal | None) -> None:
    """Remember the gravest line of which the project was told; None: all are armed."""
    await conn.execute(
        "UPDATE threshold_state SET lowest_percent = $2 WHERE project_id = $1",
        project_id,
        lowest_percent,
    )


async def insert_notice(
    conn: Connection,
    *,
    project_id: int,
    percent: Decimal,
    balance: Credits,
    granted: Credits,
    created_at: datetime,
) -> NoticeId:
    """Write down that a line was crossed, with the balance (credits) that crossed it."""
    notice_id = await conn.fetchval(
        """
        INSERT INTO notice (project_id, percent, balance, granted, created_at)
        VALUES ($1, $2, $3, $4, $5) RETURNING id
        """,
        project_id,
        percent,
        balance,
        granted,
        created_at,
    )
    return NoticeId(notice_id)


async def list_notices(conn: Connection, project_id: int, *, limit: int) -> list[Notice]:
    """Give a project's notices, the latest first."""
    rows = await conn.fetch(
        """
        SELECT id, project_id, percent, balance, granted, created_at FROM notice
        WHERE project_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2
        """,
        project_id,
        limit,
    )
    return [Notice(**dict(row)) for row in rows]
