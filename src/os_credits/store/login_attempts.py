"""Table `login_attempt`: who tried to come in, from where; written before anything is verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from os_credits.store.pool import Connection

Kind = Literal["password", "reset", "link"]
# One lock for each client and one for each address: any constants will do, in this order.
_CLIENT_LOCKS = 0x05C7C11E
_ADDRESS_LOCKS = 0x05C7ADD2


async def lock_attempts(conn: Connection, client: str, email_digest: bytes) -> None:
    """Let attempts of one client, and at one address, wait for each other.

    So however many come at once, each sees those before it.
    """
    await conn.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _CLIENT_LOCKS, client)
    await conn.execute(
        "SELECT pg_advisory_xact_lock($1, hashtext(encode($2, 'hex')))",
        _ADDRESS_LOCKS,
        email_digest,
    )


async def insert_attempt(
    conn: Connection,
    kind: Kind,
    client: str,
    email_digest: bytes,
    *,
    succeeded: bool = False,
    now: datetime | None = None,
) -> int:
    """Note an attempt, as failed until it has succeeded; gives its id."""
    attempt_id = await conn.fetchval(
        """
        INSERT INTO login_attempt (kind, address, email_digest, succeeded, made_at)
        VALUES ($1, $2, $3, $4, coalesce($5::timestamptz, clock_timestamp())) RETURNING id
        """,
        kind,
        client,
        email_digest,
        succeeded,
        now,
    )
    return int(attempt_id)


async def mark_succeeded(conn: Connection, attempt_id: int) -> None:
    """Note that an attempt was good."""
    await conn.execute("UPDATE login_attempt SET succeeded = true WHERE id = $1", attempt_id)


async def list_failures(
    conn: Connection, email_digest: bytes, *, within: timedelta, now: datetime | None = None
) -> tuple[Sequence[datetime], datetime]:
    """Give when passwords failed at an address since the last good one, and what time it is."""
    row = await conn.fetchrow(
        """
        SELECT coalesce(array_agg(made_at ORDER BY made_at, id), '{}') AS failures,
               coalesce($3::timestamptz, clock_timestamp()) AS now
        FROM login_attempt
        WHERE email_digest = $1 AND kind = 'password' AND NOT succeeded
          AND made_at > coalesce($3::timestamptz, now()) - $2::interval
          AND id > coalesce((SELECT max(id) FROM login_attempt
                             WHERE email_digest = $1 AND kind = 'password' AND succeeded), 0)
        """,
        email_digest,
        within,
        now,
    )
    assert row is not None  # noqa: S101 - an aggregate always gives a row
    return row["failures"], row["now"]


async def count_tries(
    conn: Connection, kinds: Sequence[Kind], client: str, *, within: timedelta
) -> tuple[int, float]:
    """Count what a client tried lately, and tell in how many seconds the oldest is too old."""
    row = await conn.fetchrow(
        """
        SELECT count(*) AS tries,
               coalesce(extract(epoch FROM min(made_at) + $3::interval - now()), 0)::float8
                   AS seconds
        FROM login_attempt
        WHERE address = $1 AND kind = ANY($2::text[]) AND made_at > now() - $3::interval
        """,
        client,
        kinds,
        within,
    )
    assert row is not None  # noqa: S101 - a count always gives a row
    return row["tries"], row["seconds"]


async def count_tries_at(
    conn: Connection, kind: Kind, email_digest: bytes, *, within: timedelta
) -> int:
    """Count what was tried at an address lately, by whomever."""
    count = await conn.fetchval(
        """
        SELECT count(*) FROM login_attempt
        WHERE email_digest = $1 AND kind = $2 AND made_at > now() - $3::interval
        """,
        email_digest,
        kind,
        within,
    )
    return int(count)


async def delete_attempts_at(conn: Connection, email_digest: bytes) -> None:
    """Forget who tried at an address."""
    await conn.execute("DELETE FROM login_attempt WHERE email_digest = $1", email_digest)


async def prune_attempts(
    conn: Connection, *, kept: timedelta, limit: int, now: datetime | None = None
) -> int:
    """Forget attempts that are no longer of use; gives how many."""
    rows = await conn.fetch(
        """
        DELETE FROM login_attempt WHERE id IN (
            SELECT id FROM login_attempt
            WHERE made_at + $1::interval <= coalesce($3::timestamptz, now())
            ORDER BY made_at LIMIT $2
        ) RETURNING id
        """,
        kept,
        limit,
        now,
    )
    return len(rows)
