"""Table `closing`: decisions about the end of projects; the latest of a project counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.closing import Closing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.store.pool import Connection


async def insert_closing(
    conn: Connection, *, project_id: int, is_closed: bool, hour: datetime, reason: str, author: str
) -> Closing:
    """Store a decision; whoever calls holds the project's lock."""
    row = await conn.fetchrow(
        """
        INSERT INTO closing (project_id, is_closed, hour, reason, author)
        VALUES ($1, $2, $3, $4, $5)
        RETURNING id, project_id, is_closed, hour, reason, author, created_at
        """,
        project_id,
        is_closed,
        hour,
        reason,
        author,
    )
    assert row is not None  # noqa: S101 - an insert always returns its row
    return Closing(**dict(row))


async def list_closings(conn: Connection, project_id: int) -> list[Closing]:
    """Give all decisions about a project's end, the latest first."""
    rows = await conn.fetch(
        """
        SELECT id, project_id, is_closed, hour, reason, author, created_at FROM closing
        WHERE project_id = $1 ORDER BY id DESC
        """,
        project_id,
    )
    return [Closing(**dict(row)) for row in rows]


async def find_latest(conn: Connection, project_id: int) -> Closing | None:
    """Give the decision that counts: None where there never was one."""
    row = await conn.fetchrow(
        """
        SELECT id, project_id, is_closed, hour, reason, author, created_at FROM closing
        WHERE project_id = $1 ORDER BY id DESC LIMIT 1
        """,
        project_id,
    )
    return None if row is None else Closing(**dict(row))


async def list_decided(conn: Connection, project_ids: Sequence[int]) -> dict[int, Closing]:
    """Give the closing of each of these projects whose end is decided, even if yet to come."""
    rows = await conn.fetch(
        """
        SELECT id, project_id, is_closed, hour, reason, author, created_at
        FROM (SELECT DISTINCT ON (project_id) * FROM closing
              WHERE project_id = ANY($1::bigint[]) ORDER BY project_id, id DESC) latest
        WHERE is_closed
        """,
        project_ids,
    )
    return {row["project_id"]: Closing(**dict(row)) for row in rows}


async def list_closed(conn: Connection, project_ids: Sequence[int]) -> dict[int, Closing]:
    """Give the closing of each of these projects that is closed now, by the database's clock."""
    rows = await conn.fetch(
        """
        SELECT id, project_id, is_closed, hour, reason, author, created_at
        FROM (SELECT DISTINCT ON (project_id) * FROM closing
              WHERE project_id = ANY($1::bigint[]) ORDER BY project_id, id DESC) latest
        WHERE is_closed AND hour <= now()
        """,
        project_ids,
    )
    return {row["project_id"]: Closing(**dict(row)) for row in rows}
