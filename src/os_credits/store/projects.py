"""Table `project`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.project import ProjectKey
    from os_credits.store.pool import Connection


async def ensure_projects(conn: Connection, keys: Iterable[ProjectKey]) -> dict[bytes, int]:
    """Give the id of each project by its digest, storing the ones that are new."""
    wanted = {key.digest(): key for key in keys}
    ordered = sorted(wanted)
    await conn.execute(
        """
        INSERT INTO project (key, site, external_id, domain, name)
        SELECT w.key, w.site, w.external_id, w.domain, w.name
        FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[])
             AS w(key, site, external_id, domain, name)
        WHERE NOT EXISTS (SELECT FROM project p WHERE p.key = w.key)
        ORDER BY w.key
        ON CONFLICT (key) DO NOTHING
        """,
        ordered,
        [wanted[key].site for key in ordered],
        [wanted[key].external_id for key in ordered],
        [wanted[key].domain for key in ordered],
        [wanted[key].name for key in ordered],
    )
    rows = await conn.fetch("SELECT id, key FROM project WHERE key = ANY($1::bytea[])", ordered)
    return {row["key"]: row["id"] for row in rows}


async def name_by_samples(
    conn: Connection, latest: Mapping[int, tuple[datetime, str]]
) -> list[int]:
    """Let these samples name their projects (by id) unless a later one has done so already.

    Of two at once the larger name wins. The name is so that of the latest sample whatever the
    order in which they come. Projects whose name is their key keep it. Gives the projects that
    have another name now, or one for the first time.
    """
    rows = await conn.fetch(
        """
        UPDATE project p SET name = w.name, named_at = w.measured_at
        FROM unnest($1::bigint[], $2::timestamptz[], $3::text[]) AS w(id, measured_at, name)
        JOIN project before ON before.id = w.id
        WHERE p.id = w.id AND p.external_id <> ''
          AND (p.named_at IS NULL
               OR (w.measured_at, w.name COLLATE "C") > (p.named_at, p.name COLLATE "C"))
        RETURNING p.id, before.named_at IS NULL OR before.name <> p.name AS is_renamed
        """,
        list(latest),
        [moment for moment, _ in latest.values()],
        [name for _, name in latest.values()],
    )
    return [row["id"] for row in rows if row["is_renamed"]]


def _project(row: dict[str, object]) -> Project:
    return Project(**row)  # type: ignore[arg-type]


async def find_projects(
    conn: Connection, name: str, *, site: str | None = None, domain: str | None = None
) -> list[Project]:
    """Find the projects that a name, or a cloud's own id, could mean."""
    rows = await conn.fetch(
        """
        SELECT id, site, external_id, domain, name FROM project
        WHERE (name = $1 OR (external_id = $1 AND external_id <> ''))
          AND ($2::text IS NULL OR site = $2) AND ($3::text IS NULL OR domain = $3)
        ORDER BY id
        """,
        name,
        site,
        domain,
    )
    return [_project(dict(row)) for row in rows]


async def list_projects(conn: Connection, *, after_id: int = 0, limit: int) -> list[Project]:
    """Give projects in the order of their ids, from the one after `after_id` on."""
    rows = await conn.fetch(
        """
        SELECT id, site, external_id, domain, name FROM project
        WHERE id > $1 ORDER BY id LIMIT $2
        """,
        after_id,
        limit,
    )
    return [_project(dict(row)) for row in rows]


async def list_projects_by_id(conn: Connection, project_ids: Sequence[int]) -> list[Project]:
    """Give the projects with these ids of ours, as far as they exist."""
    rows = await conn.fetch(
        """
        SELECT id, site, external_id, domain, name FROM project
        WHERE id = ANY($1::bigint[]) ORDER BY id
        """,
        project_ids,
    )
    return [_project(dict(row)) for row in rows]


async def find_project_id(conn: Connection, key: ProjectKey) -> int | None:
    """Give our id of the project with this key; None if it is not stored."""
    project_id: int | None = await conn.fetchval(
        "SELECT id FROM project WHERE key = $1", key.digest()
    )
    return project_id


async def search_projects(
    conn: Connection,
    *,
    name: str | None,
    site: str | None,
    domain: str | None,
    among: Sequence[str] | None,
    after_id: int,
    limit: int,
) -> list[Project]:
    """Give projects by id; None filters nothing.

    `name` is the name or the cloud's id; `among` holds names, cloud ids and `#` with our ids,
    which no name can stand for.
    """
    rows = await conn.fetch(
        """
        SELECT id, site, external_id, domain, name FROM project
        WHERE id > $1
          AND ($2::text IS NULL OR name = $2 OR external_id = $2)
          AND ($3::text IS NULL OR site = $3) AND ($4::text IS NULL OR domain = $4)
          AND ($5::text[] IS NULL OR '#' || id = ANY($5)
               OR (name = ANY($5) AND NOT starts_with(name, '#'))
               OR (external_id = ANY($5) AND NOT starts_with(external_id, '#')))
        ORDER BY id LIMIT $6
        """,
        after_id,
        name,
        site,
        domain,
        among,
        limit,
    )
    return [_project(dict(row)) for row in rows]


async def names_of(conn: Connection, project_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Give name and cloud id of each project, by our id.

    The name is '' unless it is the project's key, or given by a sample that was rated: one that
    was refused, or a person's hand, decides about no credits.
    """
    rows = await conn.fetch(
        """
        SELECT id, CASE WHEN named_at IS NULL AND external_id <> '' THEN '' ELSE name END AS name,
               external_id
        FROM project WHERE id = ANY($1::bigint[])
        """,
        project_ids,
    )
    return {row["id"]: (row["name"], row["external_id"]) for row in rows}


async def lock_projects(conn: Connection, project_ids: Sequence[int]) -> None:
    """Hold these projects' accounts for booking until the transaction ends, in a fixed order."""
    await conn.execute(
        "SELECT id FROM project WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE",
        project_ids,
    )
