"""Table `series`, as people ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os_credits.store.pool import Connection


async def list_series_of_project(
    conn: Connection, project_id: int, *, meter_id: int | None, series_id: int | None
) -> list[int]:
    """Give the ids of a project's series, of one meter or one series where given."""
    rows = await conn.fetch(
        """
        SELECT id FROM series WHERE project_id = $1 AND ($2::int IS NULL OR meter_id = $2)
          AND ($3::bigint IS NULL OR id = $3)
        ORDER BY id
        """,
        project_id,
        meter_id,
        series_id,
    )
    return [row["id"] for row in rows]


async def list_series_of_resource(
    conn: Connection, project_id: int, resource: str | None
) -> list[int]:
    """Give the ids of a project's series, or of those of one resource."""
    rows = await conn.fetch(
        """
        SELECT id FROM series WHERE project_id = $1 AND ($2::text IS NULL OR resource = $2)
        ORDER BY id
        """,
        project_id,
        resource,
    )
    return [row["id"] for row in rows]


async def list_series_of_meter(conn: Connection, meter_id: int) -> list[int]:
    """Give the ids of all series of a meter."""
    rows = await conn.fetch("SELECT id FROM series WHERE meter_id = $1 ORDER BY id", meter_id)
    return [row["id"] for row in rows]
