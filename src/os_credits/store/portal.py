"""Table `portal_state`: what a portal said of each project, and when it is asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.portal import PortalAccount, PortalHealth

if TYPE_CHECKING:
    from datetime import timedelta

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


async def admit_projects(conn: Connection, *, limit: int) -> None:
    """Let projects that are new be asked for at once."""
    await conn.execute(
        """
        INSERT INTO portal_state (project_id, next_poll_at)
        SELECT p.id, clock_timestamp() FROM project p
        WHERE NOT EXISTS (SELECT FROM portal_state s WHERE s.project_id = p.id)
        ORDER BY p.id LIMIT $1
        ON CONFLICT DO NOTHING
        """,
        limit,
    )


async def claim_projects(conn: Connection, *, claim: timedelta, limit: int) -> list[PortalAccount]:
    """Take projects that are due, for so long, from all other copies.

    Projects that are closed, or without a name that a rated sample or their key gave them, are
    not asked for. A name is ambiguous if another project has it, unless the portal has answered
    for this one and never for another of that name.
    """
    rows = await conn.fetch(
        """
        WITH due AS (
            SELECT s.project_id FROM portal_state s JOIN project p ON p.id = s.project_id
            WHERE s.next_poll_at <= clock_timestamp()
              AND p.name <> '' AND (p.named_at IS NOT NULL OR p.external_id = '')
              AND NOT coalesce((SELECT c.is_closed FROM closing c WHERE c.project_id = p.id
                                ORDER BY c.id DESC LIMIT 1), false)
            ORDER BY s.next_poll_at, s.project_id LIMIT $2
            FOR UPDATE OF s SKIP LOCKED
        ), claimed AS (
            UPDATE portal_state s SET next_poll_at = clock_timestamp() + $1::interval
            FROM due WHERE s.project_id = due.project_id
            RETURNING s.project_id, s.granted, s.change_count, s.failure_count, s.answered_at
        )
        SELECT c.project_id, p.name, coalesce(c.granted, 0::numeric(30, 6)) AS granted,
               (SELECT coalesce(sum(g.amount), 0::numeric(30, 6)) FROM project_grant g
                WHERE g.project_id = p.id AND g.kind = 'opening') AS opening,
               c.change_count, c.failure_count,
               EXISTS (SELECT FROM project o LEFT JOIN portal_state os ON os.project_id = o.id
                       WHERE o.name = p.name AND o.id <> p.id
                         AND (c.answered_at IS NULL OR os.answered_at IS NOT NULL)
               ) AS is_ambiguous
        FROM claimed c JOIN project p ON p.id = c.project_id ORDER BY c.project_id
        """,
        claim,
        limit,
    )
    return [PortalAccount(**dict(row)) for row in rows]


async def find_change(
    conn: Connection, project_id: int, idempotency_key: str, *, author: str
) -> Credits | None:
    """Give by how many credits the instruction under this key changed the account.

    None if there is none; 0 if somebody else has used the key.
    """
    amount: Credits | None = await conn.fetchval(
        """
        SELECT CASE WHEN i.project_id = $1 AND coalesce(g.author, e.author) = $3
                    THEN coalesce(g.amount, e.amount) ELSE 0 END
        FROM instruction i
        LEFT JOIN project_grant g ON g.id = i.grant_id
        LEFT JOIN entry e ON e.id = i.entry_id
        WHERE i.idempotency_key = $2
        """,
        project_id,
        idempotency_key,
        author,
    )
    return amount


async def add_change(
    conn: Connection, project_id: int, *, change_count: int, change: Credits
) -> None:
    """Count a change that was made; nothing happens if this one is counted already."""
    await conn.execute(
        """
        UPDATE portal_state
        SET granted = coalesce(granted, 0) + $3, change_count = change_count + 1
        WHERE project_id = $1 AND change_count = $2
        """,
        project_id,
        change_count,
        change,
    )


async def mark_answered(conn: Connection, project_id: int, *, wait: timedelta) -> None:
    """Note that the portal gave a number, and ask again after a time."""
    await conn.execute(
        """
        UPDATE portal_state
        SET answered_at = clock_timestamp(), next_poll_at = clock_timestamp() + $2::interval,
            granted = coalesce(granted, 0), failure_count = 0, last_error = ''
        WHERE project_id = $1
        """,
        project_id,
        wait,
    )


async def mark_failed(
    conn: Connection, project_id: int, *, failure_count: int, wait: timedelta, error: str
) -> None:
    """Note why there is no number, and ask again after a time."""
    await conn.execute(
        """
        UPDATE portal_state
        SET next_poll_at = clock_timestamp() + $3::interval, failure_count = $2, last_error = $4
        WHERE project_id = $1
        """,
        project_id,
        failure_count,
        wait,
        error,
    )


async def read_health(conn: Connection) -> PortalHealth:
    """Count the projects that were answered for and those that failed last."""
    [row] = await conn.fetch(
        """
        SELECT count(answered_at) AS answered_count,
               count(*) FILTER (WHERE last_error <> '') AS failing_count,
               coalesce((SELECT p.name || ': ' || s.last_error FROM portal_state s
                         JOIN project p ON p.id = s.project_id
                         WHERE s.last_error <> '' ORDER BY s.project_id LIMIT 1), '') AS example,
               max(answered_at) AS last_answer_at
        FROM portal_state
        """
    )
    return PortalHealth(**dict(row))
