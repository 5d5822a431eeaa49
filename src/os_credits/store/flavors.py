"""Table `flavor`: hardware configurations by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from os_credits.store.pool import Connection


async def ensure_flavors(conn: Connection, names: Iterable[str]) -> dict[str, int]:
    """Give the id of each name, storing the names that are new (in a fixed order)."""
    wanted = sorted(set(names))
    await conn.execute(
        """
        INSERT INTO flavor (name)
        SELECT name FROM unnest($1::text[]) AS wanted(name)
        WHERE NOT EXISTS (SELECT FROM flavor WHERE flavor.name = wanted.name)
        ORDER BY name
        ON CONFLICT (name) DO NOTHING
        """,
        wanted,
    )
    rows = await conn.fetch("SELECT id, name FROM flavor WHERE name = ANY($1::text[])", wanted)
    return {row["name"]: row["id"] for row in rows}


async def find_flavor(conn: Connection, name: str) -> int | None:
    """Give the id of a flavor that was seen or priced before."""
    flavor_id: int | None = await conn.fetchval("SELECT id FROM flavor WHERE name = $1", name)
    return flavor_id


async def list_flavors(conn: Connection) -> dict[int, str]:
    """Give all flavors that were ever seen or priced, by id."""
    rows = await conn.fetch("SELECT id, name FROM flavor")
    return {row["id"]: row["name"] for row in rows}
