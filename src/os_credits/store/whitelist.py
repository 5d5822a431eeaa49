"""Table `whitelist`: which projects are billed, from which full hour on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.store.pool import Connection


async def list_whitelists(conn: Connection) -> list[tuple[datetime, frozenset[str] | None]]:
    """Give each start with its names or ids (None: everyone is billed); later ones win."""
    rows = await conn.fetch("SELECT valid_from, projects FROM whitelist ORDER BY valid_from, id")
    return [
        (row["valid_from"], None if row["projects"] is None else frozenset(row["projects"]))
        for row in rows
    ]


async def insert_whitelist(
    conn: Connection, valid_from: datetime, projects: list[str] | None
) -> None:
    """Let a list of names or ids (None: everyone) hold from a full hour on."""
    await conn.execute(
        "INSERT INTO whitelist (valid_from, projects) VALUES ($1, $2)", valid_from, projects
    )
