"""Tables `project_grant`, `pending_grant`, `grant_void`, `transfer`: credits given on terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.grant import Grant, GrantState
from os_credits.domain.lot import LotKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import asyncpg

    from os_credits.domain.amount import Credits
    from os_credits.domain.instruction import Transfer, Void
    from os_credits.store.pool import Connection


async def insert_grant(
    conn: Connection,
    *,
    project_id: int,
    kind: LotKind,
    amount: Credits,
    reason: str,
    author: str,
    valid_from: datetime,
    expires_at: datetime | None = None,
    priority: int = 0,
    idempotency_key: str | None = None,
    tops_up: int | None = None,
    allowance_id: int | None = None,
) -> int:
    """Store a lot and give its id; one that can expire gets its row of `expiry`."""
    grant_id = await conn.fetchval(
        """
        WITH given AS (
            INSERT INTO project_grant (project_id, kind, amount, reason, author, valid_from,
                                       expires_at, priority, idempotency_key, tops_up,
                                       allowance_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id
        ), ends AS (
            INSERT INTO expiry (grant_id, project_id, hour)
            SELECT id, $1, $7 FROM given WHERE $7::timestamptz IS NOT NULL
        )
        SELECT id FROM given
        """,
        project_id,
        kind.value,
        amount,
        reason,
        author,
        valid_from,
        expires_at,
        priority,
        idempotency_key,
        tops_up,
        allowance_id,
    )
    return int(grant_id)


async def has_key(conn: Connection, idempotency_key: str) -> bool:
    """Tell whether a lot has this key already, as those of openings do."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM project_grant WHERE idempotency_key = $1)", idempotency_key
    )
    return found


def _grant(row: asyncpg.Record) -> Grant:
    return Grant(**{**dict(row), "kind": LotKind(row["kind"])})


async def find_grants(conn: Connection, grant_ids: Sequence[int]) -> list[Grant]:
    """Give the lots with these ids, as far as they exist, by id."""
    rows = await conn.fetch(
        """
        SELECT g.id, g.project_id, g.kind, g.amount, g.reason, g.author, g.created_at,
               g.valid_from, g.expires_at, g.priority, g.allowance_id, g.tops_up,
               (SELECT min(e.id) FROM entry e WHERE e.grant_id = g.id AND e.amount > 0
                AND e.kind = g.kind) AS entry_id,
               v.grant_id IS NOT NULL AS is_void
        FROM project_grant g LEFT JOIN grant_void v ON v.grant_id = g.id
        WHERE g.id = ANY($1::bigint[]) ORDER BY g.id
        """,
        grant_ids,
    )
    return [_grant(row) for row in rows]


async def list_grants(
    conn: Connection, project_id: int, *, after_id: int, limit: int
) -> list[Grant]:
    """Give a project's lots, oldest first, from the one after `after_id` on."""
    ids = await conn.fetch(
        "SELECT id FROM project_grant WHERE project_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        project_id,
        after_id,
        limit,
    )
    return await find_grants(conn, [row["id"] for row in ids])


async def list_latest_grants(
    conn: Connection,
    *,
    before_id: int,
    kind: LotKind | None,
    author: str,
    state: GrantState | None,
    among: Sequence[int] | None,
    limit: int,
) -> list[Grant]:
    """Give lots of all projects (or of these), newest first, from the one before `before_id` on.

    `kind` and `state` (as of now) narrow it where given, `author` by a part of the name.
    """
    ids = await conn.fetch(
        """
        SELECT g.id FROM project_grant g
        WHERE g.id < $1 AND ($2::text IS NULL OR g.kind = $2)
          AND ($3::text = '' OR position(lower($3) IN lower(g.author)) > 0)
          AND ($4::bigint[] IS NULL OR g.project_id = ANY($4))
          AND ($5::text IS NULL
               OR ($5 = 'void') = EXISTS (SELECT FROM grant_void v WHERE v.grant_id = g.id))
          AND ($5::text IS NULL OR $5 = 'void'
               OR ($5 = 'expired') = coalesce(g.expires_at <= now(), false))
          AND ($5::text IS NULL OR $5 IN ('void', 'expired')
               OR ($5 = 'scheduled')
                  = EXISTS (SELECT FROM pending_grant w WHERE w.grant_id = g.id))
        ORDER BY g.id DESC LIMIT $6
        """,
        before_id,
        None if kind is None else kind.value,
        author,
        among,
        None if state is None else state.value,
        limit,
    )
    return await find_grants(conn, [row["id"] for row in ids])


async def insert_pending(conn: Connection, grant_id: int, valid_from: datetime) -> None:
    """Let a lot wait for its entry until it is valid."""
    await conn.execute(
        "INSERT INTO pending_grant (grant_id, valid_from) VALUES ($1, $2)", grant_id, valid_from
    )


async def take_pending(
    conn: Connection, project_ids: Sequence[int] | None, *, now: datetime, limit: int
) -> list[int]:
    """Take the lots (of all projects: None) that have become valid out of those that wait."""
    rows = await conn.fetch(
        """
        DELETE FROM pending_grant WHERE grant_id IN (
            SELECT w.grant_id FROM pending_grant w JOIN project_grant g ON g.id = w.grant_id
            WHERE w.valid_from <= $1 AND ($3::bigint[] IS NULL OR g.project_id = ANY($3))
            ORDER BY w.valid_from, w.grant_id LIMIT $2
        ) RETURNING grant_id
        """,
        now,
        limit,
        project_ids,
    )
    return [row["grant_id"] for row in rows]


async def is_any_due(conn: Connection, *, now: datetime) -> bool:
    """Tell whether a lot of any project has become valid and waits to be taken."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM pending_grant WHERE valid_from <= $1)", now
    )
    return found


async def delete_pending(conn: Connection, grant_id: int) -> bool:
    """Take one lot out of those that wait; tells whether it waited."""
    status = await conn.execute("DELETE FROM pending_grant WHERE grant_id = $1", grant_id)
    return status != "DELETE 0"


async def insert_void(conn: Connection, void: Void) -> None:
    """Write down that a lot was taken back; it is no longer due to expire."""
    await conn.execute(
        "INSERT INTO grant_void (grant_id, reason, author) VALUES ($1, $2, $3)",
        void.grant_id,
        void.reason,
        void.author,
    )
    await conn.execute("UPDATE expiry SET expired = 0 WHERE grant_id = $1", void.grant_id)


async def insert_transfer(conn: Connection, transfer: Transfer, *, grant_id: int) -> int:
    """Store a transfer with the lot that it made at its target; gives its id."""
    transfer_id = await conn.fetchval(
        """
        INSERT INTO transfer (from_project_id, to_project_id, grant_id, amount, reason, author)
        VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
        """,
        transfer.project_id,
        transfer.to_project_id,
        grant_id,
        transfer.amount,
        transfer.reason,
        transfer.author,
    )
    return int(transfer_id)
