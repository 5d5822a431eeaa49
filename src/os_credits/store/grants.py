"""Table `project_grant`: credits given; each has its entry in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.grant import GrantRequest
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """A grant as it is stored, with the id of its entry."""

    id: int
    project_id: int
    amount: Credits
    reason: str
    author: str
    entry_id: int


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """A grant as people read it."""

    id: int
    amount: Credits
    reason: str
    author: str
    created_at: datetime


async def insert_grant(conn: Connection, request: GrantRequest) -> int:
    """Store a grant and give its id."""
    grant_id = await conn.fetchval(
        """
        INSERT INTO project_grant (project_id, amount, reason, author, idempotency_key)
        VALUES ($1, $2, $3, $4, $5) RETURNING id
        """,
        request.project_id,
        request.amount,
        request.reason,
        request.author,
        request.idempotency_key,
    )
    return int(grant_id)


async def lock_idempotency_key(conn: Connection, idempotency_key: str) -> None:
    """Let callers with the same key wait for each other until the transaction ends."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", idempotency_key)


async def find_grant(conn: Connection, idempotency_key: str) -> StoredGrant | None:
    """Find the grant that this key stands for."""
    row = await conn.fetchrow(
        """
        SELECT g.id, g.project_id, g.amount, g.reason, g.author, e.id AS entry_id
        FROM project_grant g JOIN entry e ON e.grant_id = g.id AND e.kind IN ('grant', 'opening')
        WHERE g.idempotency_key = $1
        """,
        idempotency_key,
    )
    return None if row is None else StoredGrant(**dict(row))


async def list_grants(
    conn: Connection, project_id: int, *, after_id: int, limit: int
) -> list[GrantRecord]:
    """Give a project's grants, oldest first, from the one after `after_id` on."""
    rows = await conn.fetch(
        """
        SELECT id, amount, reason, author, created_at FROM project_grant
        WHERE project_id = $1 AND id > $2 ORDER BY id LIMIT $3
        """,
        project_id,
        after_id,
        limit,
    )
    return [GrantRecord(**dict(row)) for row in rows]
