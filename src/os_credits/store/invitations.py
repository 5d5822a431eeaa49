"""Table `invitation`: links by which a password is chosen, by the hashes of their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.invitation import DueInvitation, Invitation, InvitationState, Purpose

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    import asyncpg

    from os_credits.store.pool import Connection


def _invitation(row: asyncpg.Record) -> Invitation:
    return Invitation(
        **{
            **dict(row),
            "purpose": Purpose(row["purpose"]),
            "state": InvitationState(row["state"]),
        }
    )


async def insert_invitation(
    conn: Connection,
    *,
    login_id: int,
    purpose: Purpose,
    state: InvitationState,
    author: str,
    digest: bytes | None,
) -> Invitation:
    """Store a link; the hash is None as long as no token was made."""
    row = await conn.fetchrow(
        """
        INSERT INTO invitation (login_id, purpose, author, digest, state, expires_at)
        VALUES ($1, $2, $3, $4, $5, now() + $6::interval)
        RETURNING id, login_id, purpose, state, author, created_at, expires_at, used_at, last_error
        """,
        login_id,
        purpose.value,
        author,
        digest,
        state.value,
        purpose.lasts,
    )
    assert row is not None  # noqa: S101 - what is inserted is returned
    return _invitation(row)


async def insert_reset_for(conn: Connection, email: str, *, author: str) -> int:
    """Let a link be mailed to the login of an address, if one may log in; gives how many do.

    One statement whether there is such a login or not: both take as long.
    """
    status = await conn.execute(
        """
        INSERT INTO invitation (login_id, purpose, author, state, expires_at)
        SELECT id, 'reset', $2, 'pending', now() + $3::interval FROM login
        WHERE lower(email COLLATE "C") = lower($1 COLLATE "C") AND disabled_at IS NULL
        """,
        email,
        author,
        Purpose.RESET.lasts,
    )
    return int(status.rpartition(" ")[2])


async def list_open_invitations(conn: Connection, login_id: int) -> list[Invitation]:
    """Give the links of a login that were not used and are still good, the newest first."""
    rows = await conn.fetch(
        """
        SELECT id, login_id, purpose, state, author, created_at, expires_at, used_at, last_error
        FROM invitation
        WHERE login_id = $1 AND used_at IS NULL AND expires_at > now() AND state <> 'refused'
        ORDER BY id DESC
        """,
        login_id,
    )
    return [_invitation(row) for row in rows]


async def list_invitations(conn: Connection, login_id: int) -> list[Invitation]:
    """Give all links of a login that are still stored, the newest first."""
    rows = await conn.fetch(
        """
        SELECT id, login_id, purpose, state, author, created_at, expires_at, used_at, last_error
        FROM invitation WHERE login_id = $1 ORDER BY id DESC
        """,
        login_id,
    )
    return [_invitation(row) for row in rows]


async def find_good_invitation(
    conn: Connection, digest: bytes, now: datetime | None = None
) -> Invitation | None:
    """Give the link with this hash and lock it; None if it was used, replaced or is too old."""
    row = await conn.fetchrow(
        """
        SELECT i.id, i.login_id, i.purpose, i.state, i.author, i.created_at, i.expires_at,
               i.used_at, i.last_error
        FROM invitation i JOIN login l ON l.id = i.login_id
        WHERE i.digest = $1 AND i.used_at IS NULL AND i.state <> 'refused'
          AND i.expires_at > coalesce($2::timestamptz, now()) AND l.disabled_at IS NULL
        FOR UPDATE OF i
        """,
        digest,
        now,
    )
    return None if row is None else _invitation(row)


async def use_invitation(conn: Connection, invitation_id: int, now: datetime | None = None) -> None:
    """Note that a link was used, so that it never is again."""
    await conn.execute(
        "UPDATE invitation SET used_at = coalesce($2::timestamptz, now()) WHERE id = $1",
        invitation_id,
        now,
    )


async def void_invitations(
    conn: Connection, login_id: int, *, purpose: Purpose | None = None, reason: str
) -> int:
    """Let no open link of a login lead anywhere, of one purpose or of any; gives how many."""
    status = await conn.execute(
        """
        UPDATE invitation SET state = 'refused', last_error = $3
        WHERE login_id = $1 AND used_at IS NULL AND state <> 'refused'
          AND ($2::text IS NULL OR purpose = $2)
        """,
        login_id,
        None if purpose is None else purpose.value,
        reason,
    )
    return int(status.rpartition(" ")[2])


async def delete_invitations(conn: Connection, login_id: int) -> None:
    """Forget all links of a login."""
    await conn.execute("DELETE FROM invitation WHERE login_id = $1", login_id)


async def claim_invitations(
    conn: Connection, *, claim: timedelta, limit: int, now: datetime | None = None
) -> list[DueInvitation]:
    """Take links that are due, and let nobody else take them before the claim has run out.

    The attempt is counted here, so that one which kills its process counts too. Who may not log
    in is sent nothing.
    """
    rows = await conn.fetch(
        """
        WITH due AS (
            SELECT i.id FROM invitation i JOIN login l ON l.id = i.login_id
            WHERE i.state = 'pending' AND i.next_attempt_at <= coalesce($1::timestamptz, now())
              AND i.expires_at > coalesce($1::timestamptz, now()) AND l.disabled_at IS NULL
            ORDER BY i.next_attempt_at, i.id LIMIT $3 FOR UPDATE OF i SKIP LOCKED
        )
        UPDATE invitation i
        SET attempt_count = i.attempt_count + 1,
            next_attempt_at = coalesce($1::timestamptz, now()) + $2::interval
        FROM due, login l WHERE i.id = due.id AND l.id = i.login_id
        RETURNING i.id, i.purpose, l.email, l.name, l.language, i.created_at, i.expires_at,
                  i.attempt_count
        """,
        now,
        claim,
        limit,
    )
    return [DueInvitation(**{**dict(row), "purpose": Purpose(row["purpose"])}) for row in rows]


async def put_token(
    conn: Connection, invitation_id: int, *, attempt_count: int, digest: bytes
) -> bool:
    """Give a link its token for this attempt, in the place of an earlier one.

    False if the link was used or replaced meanwhile, or a later attempt has begun.
    """
    status = await conn.execute(
        """
        UPDATE invitation SET digest = $3
        WHERE id = $1 AND attempt_count = $2 AND state = 'pending' AND used_at IS NULL
        """,
        invitation_id,
        attempt_count,
        digest,
    )
    return status != "UPDATE 0"


async def mark_sent(conn: Connection, invitation_id: int, now: datetime | None = None) -> None:
    """Remember that a server took the mail."""
    await conn.execute(
        """
        UPDATE invitation
        SET state = 'sent', last_error = '', sent_at = coalesce($2::timestamptz, now())
        WHERE id = $1 AND state = 'pending'
        """,
        invitation_id,
        now,
    )


async def postpone(
    conn: Connection,
    invitation_id: int,
    *,
    attempt_count: int,
    wait: timedelta,
    error: str,
    now: datetime | None = None,
) -> None:
    """Let the mail wait for its next attempt, unless a later one has begun already."""
    await conn.execute(
        """
        UPDATE invitation
        SET last_error = $4, next_attempt_at = coalesce($5::timestamptz, now()) + $3::interval
        WHERE id = $1 AND attempt_count = $2 AND state = 'pending'
        """,
        invitation_id,
        attempt_count,
        wait,
        error,
        now,
    )


async def refuse(conn: Connection, invitation_id: int, *, attempt_count: int, error: str) -> None:
    """Give the mail up, unless a later attempt has begun already."""
    await conn.execute(
        """
        UPDATE invitation SET state = 'refused', last_error = $3
        WHERE id = $1 AND attempt_count = $2 AND state = 'pending'
        """,
        invitation_id,
        attempt_count,
        error,
    )


async def refuse_expired(conn: Connection, *, limit: int, now: datetime | None = None) -> int:
    """Give up what could not be mailed before it was too old; gives how many."""
    rows = await conn.fetch(
        """
        UPDATE invitation SET state = 'refused',
               last_error = CASE WHEN attempt_count = 0
                                 THEN 'given up: nothing is set up that would send it'
                                 ELSE 'given up: too old. ' || last_error END
        WHERE id IN (
            SELECT id FROM invitation
            WHERE state = 'pending' AND expires_at <= coalesce($2::timestamptz, now())
            ORDER BY id LIMIT $1
        ) RETURNING id
        """,
        limit,
        now,
    )
    return len(rows)


async def prune_invitations(
    conn: Connection, *, kept: timedelta, limit: int, now: datetime | None = None
) -> int:
    """Forget links that have been useless for so long; gives how many."""
    rows = await conn.fetch(
        """
        DELETE FROM invitation WHERE id IN (
            SELECT id FROM invitation
            WHERE expires_at + $1::interval <= coalesce($3::timestamptz, now())
            ORDER BY id LIMIT $2
        ) RETURNING id
        """,
        kept,
        limit,
        now,
    )
    return len(rows)
