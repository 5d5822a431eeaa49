"""Table `login`: who may log in; rows are never deleted, since the audit log points at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.invitation import InvitationState
from os_credits.domain.login import Login, Parts
from os_credits.domain.person import Role

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import asyncpg

    from os_credits.store.pool import Connection


def login_of(row: asyncpg.Record) -> Login:
    """Read a login from a row that has all its columns."""
    return Login(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        language=row["language"],
        is_administrator=row["is_administrator"],
        has_password=row["has_password"],
        disabled_at=row["disabled_at"],
        created_at=row["created_at"],
    )


@dataclass(frozen=True, slots=True)
class ListedLogin:
    """A login among others: when it was last in use, and what became of its newest link."""

    login: Login
    last_seen_at: datetime | None
    invitation_state: InvitationState | None
    invitation_expires_at: datetime | None
    invitation_error: str


async def insert_login(
    conn: Connection, *, email: str, name: str, language: str, is_administrator: bool
) -> Login | None:
    """Store a new login; None if its address has one already, however it is spelled."""
    row = await conn.fetchrow(
        """
        INSERT INTO login (email, name, language, is_administrator) VALUES ($1, $2, $3, $4)
        ON CONFLICT (lower(email COLLATE "C")) DO NOTHING
        RETURNING id, email, name, language, is_administrator,
                  password_hash IS NOT NULL AS has_password, disabled_at, created_at
        """,
        email,
        name,
        language,
        is_administrator,
    )
    return None if row is None else login_of(row)


async def lock_login(conn: Connection, login_id: int) -> None:
    """Keep others from changing a login until the transaction ends."""
    await conn.execute("SELECT id FROM login WHERE id = $1 FOR UPDATE", login_id)


async def lock_login_with(conn: Connection, login_id: int, password_hash: str) -> Login | None:
    """Give a login that may come in and whose password is still this one; nobody changes it."""
    row = await conn.fetchrow(
        """
        SELECT id, email, name, language, is_administrator, true AS has_password, disabled_at,
               created_at
        FROM login WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL FOR UPDATE
        """,
        login_id,
        password_hash,
    )
    return None if row is None else login_of(row)


async def find_login(conn: Connection, login_id: int) -> Login | None:
    """Give a login by its number."""
    row = await conn.fetchrow(
        """
        SELECT id, email, name, language, is_administrator,
               password_hash IS NOT NULL AS has_password, disabled_at, created_at
        FROM login WHERE id = $1
        """,
        login_id,
    )
    return None if row is None else login_of(row)


async def find_login_of(conn: Connection, email: str) -> Login | None:
    """Give the login of an address, however it is spelled."""
    row = await conn.fetchrow(
        """
        SELECT id, email, name, language, is_administrator,
               password_hash IS NOT NULL AS has_password, disabled_at, created_at
        FROM login WHERE lower(email COLLATE "C") = lower($1 COLLATE "C")
        """,
        email,
    )
    return None if row is None else login_of(row)


async def read_password_hash(conn: Connection, email: str) -> tuple[int, str] | None:
    """Give the number of a login and its password's hash; None if it cannot log in by one."""
    row = await conn.fetchrow(
        """
        SELECT id, password_hash FROM login
        WHERE lower(email COLLATE "C") = lower($1 COLLATE "C") AND disabled_at IS NULL
          AND password_hash IS NOT NULL
        """,
        email,
    )
    return None if row is None else (row["id"], row["password_hash"])


async def put_password_hash(
    conn: Connection, login_id: int, password_hash: str, *, instead_of: str | None = None
) -> bool:
    """Store a password's hash, only in the place of another one if given; False: it was not."""
    status = await conn.execute(
        """
        UPDATE login SET password_hash = $2
        WHERE id = $1 AND disabled_at IS NULL AND ($3::text IS NULL OR password_hash = $3)
        """,
        login_id,
        password_hash,
        instead_of,
    )
    return status != "UPDATE 0"


async def update_login(conn: Connection, login: Login) -> None:
    """Store what people may change about a login."""
    await conn.execute(
        """
        UPDATE login SET email = $2, name = $3, language = $4, is_administrator = $5,
                         disabled_at = $6
        WHERE id = $1
        """,
        login.id,
        login.email,
        login.name,
        login.language,
        login.is_administrator,
        login.disabled_at,
    )


async def forget_password(conn: Connection, login_id: int) -> None:
    """Let a login have no password."""
    await conn.execute("UPDATE login SET password_hash = NULL WHERE id = $1", login_id)


async def erase_address(conn: Connection, login_id: int) -> None:
    """Put a placeholder in the place of a login's address; the number stays for the audit log."""
    await conn.execute(
        "UPDATE login SET email = 'erased-' || id || '@invalid' WHERE id = $1", login_id
    )


async def lock_administrators(conn: Connection) -> set[int]:
    """Give the administrators that can log in, and keep others from changing them."""
    rows = await conn.fetch(
        """
        SELECT id FROM login
        WHERE is_administrator AND disabled_at IS NULL AND password_hash IS NOT NULL
        ORDER BY id FOR UPDATE
        """
    )
    return {row["id"] for row in rows}


async def list_logins(
    conn: Connection, *, search: str, after_id: int, limit: int
) -> list[ListedLogin]:
    """Give logins by number, of which the name or the address contains a text ('': all)."""
    rows = await conn.fetch(
        """
        SELECT l.id, l.email, l.name, l.language, l.is_administrator,
               l.password_hash IS NOT NULL AS has_password, l.disabled_at, l.created_at,
               (SELECT max(s.last_seen_at) FROM session s WHERE s.login_id = l.id) AS last_seen_at,
               i.state, i.expires_at, i.last_error
        FROM login l LEFT JOIN LATERAL (
            SELECT state, expires_at, last_error FROM invitation
            WHERE login_id = l.id AND used_at IS NULL ORDER BY id DESC LIMIT 1
        ) i ON true
        WHERE l.id > $2
          AND ($1 = '' OR position(lower($1) IN lower(l.email)) > 0
               OR position(lower($1) IN lower(l.name)) > 0)
        ORDER BY l.id LIMIT $3
        """,
        search,
        after_id,
        limit,
    )
    return [
        ListedLogin(
            login=login_of(row),
            last_seen_at=row["last_seen_at"],
            invitation_state=None if row["state"] is None else InvitationState(row["state"]),
            invitation_expires_at=row["expires_at"],
            invitation_error=row["last_error"] or "",
        )
        for row in rows
    ]


async def read_parts(conn: Connection, email: str) -> Parts:
    """Give what an address is named for now, however it is spelled."""
    row = await conn.fetchrow(
        """
        WITH part AS (
            SELECT DISTINCT ON (project_id) project_id, role FROM project_owner
            WHERE lower(email COLLATE "C") = lower($1 COLLATE "C")
            ORDER BY project_id, created_at DESC, email
        )
        SELECT coalesce((SELECT array_agg(project_id) FROM part WHERE role = 'owner'), '{}')
                   AS owned,
               coalesce((SELECT array_agg(project_id) FROM part WHERE role <> 'owner'), '{}')
                   AS joined,
               coalesce((SELECT array_agg(organisation_id) FROM manager
                         WHERE lower(email COLLATE "C") = lower($1 COLLATE "C")), '{}')
                   AS managed,
               (SELECT max(id) FROM membership) AS last_membership,
               (SELECT max(id) FROM organisation_place) AS last_place,
               date_trunc('hour', now(), 'UTC') AS hour
        """,
        email,
    )
    assert row is not None  # noqa: S101 - it selects from nothing, so there is one row
    return Parts(
        roles={
            **dict.fromkeys(row["owned"], Role.OWNER),
            **dict.fromkeys(row["joined"], Role.MEMBER),
        },
        managed=frozenset(row["managed"]),
        tree_stamp=(row["last_membership"] or 0, row["last_place"] or 0, row["hour"]),
    )


async def read_beneath(
    conn: Connection, organisation_ids: Collection[int]
) -> tuple[list[int], list[int]]:
    """Give these organisations with all beneath them now, and the projects that hang on any.

    The place of an organisation, and of a project, is the revision with the latest start until
    now.
    """
    row = await conn.fetchrow(
        """
        WITH RECURSIVE node (id) AS (
            SELECT unnest($1::bigint[])
            UNION
            SELECT p.organisation_id
            FROM node JOIN organisation_place p ON p.parent_id = node.id
            WHERE p.valid_from <= now() AND NOT EXISTS (
                SELECT FROM organisation_place n
                WHERE n.organisation_id = p.organisation_id AND n.valid_from <= now()
                  AND (n.valid_from, n.id) > (p.valid_from, p.id)
            )
        ), beneath AS (
            SELECT m.project_id
            FROM node JOIN membership m ON m.organisation_id = node.id
            WHERE m.valid_from <= now() AND NOT EXISTS (
                SELECT FROM membership n
                WHERE n.project_id = m.project_id AND n.valid_from <= now()
                  AND (n.valid_from, n.id) > (m.valid_from, m.id)
            )
        )
        SELECT coalesce((SELECT array_agg(id) FROM node), '{}') AS organisations,
               coalesce((SELECT array_agg(project_id) FROM beneath), '{}') AS projects
        """,
        list(organisation_ids),
    )
    assert row is not None  # noqa: S101 - it selects from nothing, so there is one row
    return row["organisations"], row["projects"]
