"""Table `session`: who is logged in where, by the hash of a token; ending one deletes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.login import Login, SeenSession
from os_credits.store.logins import login_of

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session that is good at this moment, with its login."""

    id: int
    login: Login
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    is_to_touch: bool


async def insert_session(
    conn: Connection,
    *,
    login_id: int,
    digest: bytes,
    lasts: timedelta,
    address: str,
    agent: str,
    now: datetime | None = None,
) -> int:
    """Store a new session and give its id; None for now is the database's clock."""
    session_id = await conn.fetchval(
        """
        INSERT INTO session (login_id, digest, created_at, last_seen_at, expires_at, address, agent)
        SELECT $1, $2, n.at, n.at, n.at + $3::interval, $4, $5
        FROM (SELECT coalesce($6::timestamptz, now()) AS at) n
        RETURNING id
        """,
        login_id,
        digest,
        lasts,
        address,
        agent,
        now,
    )
    return int(session_id)


async def find_session(
    conn: Connection,
    digest: bytes,
    *,
    idle: timedelta,
    seen_every: timedelta,
    now: datetime | None = None,
) -> StoredSession | None:
    """Give the session with this hash; None if it ended, expired, or its login is disabled."""
    row = await conn.fetchrow(
        """
        SELECT s.id AS session_id, s.created_at AS began_at, s.last_seen_at, s.expires_at,
               s.last_seen_at + $3::interval <= coalesce($4::timestamptz, now()) AS is_to_touch,
               l.id, l.email, l.name, l.language, l.is_administrator,
               l.password_hash IS NOT NULL AS has_password, l.disabled_at, l.created_at
        FROM session s JOIN login l ON l.id = s.login_id
        WHERE s.digest = $1 AND l.disabled_at IS NULL
          AND s.expires_at > coalesce($4::timestamptz, now())
          AND s.last_seen_at + $2::interval > coalesce($4::timestamptz, now())
        """,
        digest,
        idle,
        seen_every,
        now,
    )
    if row is None:
        return None
    return StoredSession(
        id=row["session_id"],
        login=login_of(row),
        created_at=row["began_at"],
        last_seen_at=row["last_seen_at"],
        expires_at=row["expires_at"],
        is_to_touch=row["is_to_touch"],
    )


async def touch_session(conn: Connection, session_id: int, now: datetime | None = None) -> None:
    """Note that a session is in use; it does not last longer than it was to."""
    await conn.execute(
        """
        UPDATE session SET last_seen_at = greatest(last_seen_at, coalesce($2::timestamptz, now()))
        WHERE id = $1
        """,
        session_id,
        now,
    )


async def list_sessions(
    conn: Connection, login_id: int, *, idle: timedelta, now: datetime | None = None
) -> list[SeenSession]:
    """Give the sessions of a login that are still good, the latest used first."""
    rows = await conn.fetch(
        """
        SELECT id, created_at, last_seen_at, expires_at, address, agent FROM session
        WHERE login_id = $1 AND expires_at > coalesce($3::timestamptz, now())
          AND last_seen_at + $2::interval > coalesce($3::timestamptz, now())
        ORDER BY last_seen_at DESC, id DESC
        """,
        login_id,
        idle,
        now,
    )
    return [SeenSession(**dict(row)) for row in rows]


async def delete_session(conn: Connection, digest: bytes) -> bool:
    """End the session with this hash; tells whether there was one."""
    return await conn.execute("DELETE FROM session WHERE digest = $1", digest) != "DELETE 0"


async def delete_session_of(conn: Connection, login_id: int, session_id: int) -> bool:
    """End one session of a login; tells whether there was one."""
    status = await conn.execute(
        "DELETE FROM session WHERE login_id = $1 AND id = $2", login_id, session_id
    )
    return status != "DELETE 0"


async def delete_sessions(conn: Connection, login_id: int, *, but: int = 0) -> int:
    """End all sessions of a login but one (by id; 0: none is spared); gives how many ended."""
    rows = await conn.fetch(
        "DELETE FROM session WHERE login_id = $1 AND id <> $2 RETURNING id", login_id, but
    )
    return len(rows)


async def delete_beyond(conn: Connection, login_id: int, *, kept: int) -> None:
    """End those sessions of a login that were not used for longest, but for so many."""
    await conn.execute(
        """
        DELETE FROM session WHERE id IN (
            SELECT id FROM session WHERE login_id = $1
            ORDER BY last_seen_at DESC, id DESC OFFSET $2
        )
        """,
        login_id,
        kept,
    )


async def prune_sessions(
    conn: Connection, *, idle: timedelta, limit: int, now: datetime | None = None
) -> int:
    """Delete sessions that are over by age or for want of use; gives how many went."""
    rows = await conn.fetch(
        """
        DELETE FROM session WHERE id IN (
            SELECT id FROM session
            WHERE expires_at <= coalesce($3::timestamptz, now())
               OR last_seen_at + $1::interval <= coalesce($3::timestamptz, now())
            ORDER BY id LIMIT $2
        ) RETURNING id
        """,
        idle,
        limit,
        now,
    )
    return len(rows)
