"""Tables `organisation` and `membership`: where projects belong, from which hour on.

Revisions of a project's place are only ever appended; the latest of each start counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.organisation import Membership, Organisation
from os_credits.domain.project import Project
from os_credits.domain.tree import DEPTH_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from os_credits.domain.organisation import MembershipRequest
    from os_credits.domain.tree import Revision
    from os_credits.store.pool import Connection


async def ensure_organisation(conn: Connection, name: str) -> tuple[int, bool]:
    """Give the id of an organisation, storing it if it is new, and whether it is."""
    made = await conn.fetchval(
        """
        INSERT INTO organisation (name)
        SELECT $1::text WHERE NOT EXISTS (SELECT FROM organisation WHERE name = $1)
        ON CONFLICT (name) DO NOTHING RETURNING id
        """,
        name,
    )
    if made is not None:
        return int(made), True
    found = await conn.fetchval("SELECT id FROM organisation WHERE name = $1", name)
    return int(found), False


async def list_organisations(
    conn: Connection,
    *,
    among: Collection[int] | None,
    after_id: int = 0,
    name: str | None = None,
    limit: int,
) -> list[Organisation]:
    """Give organisations by id, of these ids only, or of one name; None filters nothing."""
    rows = await conn.fetch(
        """
        SELECT id, name FROM organisation
        WHERE id > $2 AND ($1::bigint[] IS NULL OR id = ANY($1))
          AND ($3::text IS NULL OR name = $3)
        ORDER BY id LIMIT $4
        """,
        None if among is None else list(among),
        after_id,
        name,
        limit,
    )
    return [Organisation(**dict(row)) for row in rows]


async def name_organisations(
    conn: Connection, organisation_ids: Collection[int]
) -> dict[int, Organisation]:
    """Give the organisations with these ids, by them."""
    rows = await conn.fetch(
        "SELECT id, name FROM organisation WHERE id = ANY($1::bigint[])", list(organisation_ids)
    )
    return {row["id"]: Organisation(**dict(row)) for row in rows}


async def insert_membership(
    conn: Connection, request: MembershipRequest, organisation_id: int | None
) -> int:
    """Store a revision of a project's place and give its id."""
    membership_id = await conn.fetchval(
        """
        INSERT INTO membership (project_id, organisation_id, valid_from, reason, author)
        VALUES ($1, $2, $3, $4, $5) RETURNING id
        """,
        request.project_id,
        organisation_id,
        request.valid_from,
        request.reason,
        request.author,
    )
    return int(membership_id)


async def list_memberships(
    conn: Connection, project_id: int, *, valid_from: datetime | None = None
) -> list[Membership]:
    """Give the revisions that count, by their start; of one start only if given."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (m.valid_from) m.id, o.name AS organisation, m.valid_from, m.reason,
               m.author, m.created_at
        FROM membership m LEFT JOIN organisation o ON o.id = m.organisation_id
        WHERE m.project_id = $1 AND ($2::timestamptz IS NULL OR m.valid_from = $2)
        ORDER BY m.valid_from, m.id DESC
        """,
        project_id,
        valid_from,
    )
    return [Membership(**dict(row)) for row in rows]


async def read_memberships(conn: Connection, organisation_ids: Sequence[int]) -> list[Revision]:
    """Give all places of the projects that were ever in one of these, as they were said."""
    rows = await conn.fetch(
        """
        SELECT project_id, organisation_id, valid_from FROM membership
        WHERE project_id IN (SELECT project_id FROM membership
                             WHERE organisation_id = ANY($1::bigint[]))
        ORDER BY id
        """,
        organisation_ids,
    )
    return [tuple(row) for row in rows]


async def read_memberships_of(conn: Connection, project_ids: Sequence[int]) -> list[Revision]:
    """Give all places of these projects, as they were said."""
    rows = await conn.fetch(
        """
        SELECT project_id, organisation_id, valid_from FROM membership
        WHERE project_id = ANY($1::bigint[]) ORDER BY id
        """,
        project_ids,
    )
    return [tuple(row) for row in rows]


async def path_of(
    conn: Connection, project_ids: Sequence[int], at: datetime
) -> dict[int, list[int]]:
    """Give the organisations above each of these projects at a moment, the nearest first.

    A project that belongs to none has no path.
    """
    rows = await conn.fetch(
        """
        WITH RECURSIVE path (project_id, organisation_id, level) AS (
            SELECT p.id, m.organisation_id, 1
            FROM (SELECT DISTINCT unnest($1::bigint[])) AS p(id)
            CROSS JOIN LATERAL (
                SELECT organisation_id FROM membership
                WHERE project_id = p.id AND valid_from <= $2
                ORDER BY valid_from DESC, id DESC LIMIT 1
            ) m
            WHERE m.organisation_id IS NOT NULL
            UNION ALL
            SELECT path.project_id, o.parent_id, path.level + 1
            FROM path CROSS JOIN LATERAL (
                SELECT parent_id FROM organisation_place
                WHERE organisation_id = path.organisation_id AND valid_from <= $2
                ORDER BY valid_from DESC, id DESC LIMIT 1
            ) o
            WHERE o.parent_id IS NOT NULL AND path.level < $3
        )
        SELECT project_id, array_agg(organisation_id ORDER BY level) AS organisations
        FROM path GROUP BY project_id
        """,
        project_ids,
        at,
        DEPTH_MAX,
    )
    return {row["project_id"]: row["organisations"] for row in rows}


async def count_projects(conn: Connection, at: datetime) -> dict[int, int]:
    """Count the projects that hang on each organisation itself at a moment."""
    rows = await conn.fetch(
        """
        SELECT m.organisation_id, count(*) AS project_count
        FROM (
            SELECT DISTINCT ON (project_id) project_id, organisation_id FROM membership
            WHERE valid_from <= $1 ORDER BY project_id, valid_from DESC, id DESC
        ) m
        WHERE m.organisation_id IS NOT NULL GROUP BY m.organisation_id
        """,
        at,
    )
    return {row["organisation_id"]: row["project_count"] for row in rows}


@dataclass(frozen=True, slots=True)
class PlacedProject:
    """A project that hangs on an organisation, and since when."""

    project: Project
    valid_from: datetime


async def list_projects_of(
    conn: Connection, organisation_id: int, at: datetime, *, after_id: int, limit: int
) -> list[PlacedProject]:
    """Give the projects that hang on an organisation itself at a moment, by their ids."""
    rows = await conn.fetch(
        """
        SELECT p.id, p.site, p.external_id, p.domain, p.name, m.valid_from
        FROM (SELECT DISTINCT project_id FROM membership
              WHERE organisation_id = $1 AND project_id > $3) c
        CROSS JOIN LATERAL (
            SELECT organisation_id, valid_from FROM membership
            WHERE project_id = c.project_id AND valid_from <= $2
            ORDER BY valid_from DESC, id DESC LIMIT 1
        ) m
        JOIN project p ON p.id = c.project_id
        WHERE m.organisation_id = $1 ORDER BY p.id LIMIT $4
        """,
        organisation_id,
        at,
        after_id,
        limit,
    )
    return [
        PlacedProject(
            Project(row["id"], row["site"], row["external_id"], row["domain"], row["name"]),
            row["valid_from"],
        )
        for row in rows
    ]
