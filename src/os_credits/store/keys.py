"""Table `api_key`: hashes of the API keys and what each may do; rows are never deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.access import Access, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is stored; None for projects, sites or meters means all of them."""

    id: int
    name: str
    scopes: list[str]
    projects: list[str] | None
    sites: list[str] | None
    meters: list[str] | None
    created_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None = None


async def insert_key(
    conn: Connection,
    *,
    name: str,
    digest: bytes,
    scopes: Sequence[str],
    projects: Sequence[str] | None,
    sites: Sequence[str] | None,
    meters: Sequence[str] | None,
) -> KeyRecord:
    """Store the hash of a new key."""
    [row] = await conn.fetch(
        """
        INSERT INTO api_key (name, digest, scopes, projects, sites, meters)
        VALUES ($1, $2, $3, $4, $5, $6)
        RETURNING id, name, scopes, projects, sites, meters, created_at, revoked_at
        """,
        name,
        digest,
        scopes,
        projects,
        sites,
        meters,
    )
    return KeyRecord(**dict(row))


async def insert_key_once(
    conn: Connection, *, name: str, digest: bytes, scopes: Sequence[str]
) -> bool:
    """Store the hash of a key without limits, unless it is stored; tells whether it is new."""
    status = await conn.execute(
        """
        INSERT INTO api_key (name, digest, scopes) VALUES ($1, $2, $3)
        ON CONFLICT (digest) DO NOTHING
        """,
        name,
        digest,
        scopes,
    )
    return status != "INSERT 0 0"


async def find_access(conn: Connection, digest: bytes) -> Access | None:
    """Give what the key with this hash may do; None if there is none, or it was revoked."""
    row = await conn.fetchrow(
        """
        SELECT id, name, scopes, projects, sites, meters FROM api_key
        WHERE digest = $1 AND revoked_at IS NULL
        """,
        digest,
    )
    if row is None:
        return None
    return Access(
        name=row["name"],
        scopes=frozenset(Scope(scope) for scope in row["scopes"]),
        projects=_limit(row["projects"]),
        sites=_limit(row["sites"]),
        meters=_limit(row["meters"]),
        key_id=row["id"],
    )


async def has_admin_key(conn: Connection) -> bool:
    """Tell whether a key with the scope admin is good."""
    return bool(
        await conn.fetchval(
            """
            SELECT EXISTS (SELECT FROM api_key
                           WHERE revoked_at IS NULL AND scopes @> ARRAY['admin'])
            """
        )
    )


async def list_keys(conn: Connection) -> list[KeyRecord]:
    """Give every key that was ever made, the oldest first."""
    rows = await conn.fetch(
        """
        SELECT id, name, scopes, projects, sites, meters, created_at, revoked_at, used_at
        FROM api_key LEFT JOIN key_use ON key_use.key_id = api_key.id ORDER BY id
        """
    )
    return [KeyRecord(**dict(row)) for row in rows]


async def revoke_key(conn: Connection, key_id: int) -> KeyRecord | None:
    """Mark a key as revoked, once; None if there is no such key."""
    row = await conn.fetchrow(
        """
        UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1
        RETURNING id, name, scopes, projects, sites, meters, created_at, revoked_at
        """,
        key_id,
    )
    return None if row is None else KeyRecord(**dict(row))


def _limit(names: list[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)
