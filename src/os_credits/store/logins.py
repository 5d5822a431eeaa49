"""Table `login`: who may log in; rows are never deleted, since the audit log points at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.login import Login, Parts
from os_credits.domain.person import Role

if TYPE_CHECKING:
    from collections.abc import Collection

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
