"""Table `host`: compute nodes with their region and provider; 0 is the one nobody names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from os_credits.store.pool import Connection

# Name, region, provider.
HostName = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Host:
    """A compute node as samples name it; '' where they do not."""

    id: int
    name: str
    region: str
    provider: str


async def ensure_hosts(conn: Connection, names: Iterable[HostName]) -> dict[HostName, int]:
    """Give the id of each host, storing those that are new (in a fixed order)."""
    wanted = sorted(set(names))
    columns = [[name[place] for name in wanted] for place in range(3)]
    await conn.execute(
        """
        INSERT INTO host (name, region, provider, key)
        SELECT w.name, w.region, w.provider, w.key
        FROM (
            SELECT name, region, provider, sha256(convert_to(
                       jsonb_build_array(name, region, provider)::text, 'UTF8')) AS key
            FROM unnest($1::text[], $2::text[], $3::text[]) AS n(name, region, provider)
        ) w
        WHERE NOT EXISTS (SELECT FROM host WHERE host.key = w.key)
        ON CONFLICT (key) DO NOTHING
        """,
        *columns,
    )
    rows = await conn.fetch(
        """
        SELECT h.id, h.name, h.region, h.provider
        FROM unnest($1::text[], $2::text[], $3::text[]) AS n(name, region, provider)
        JOIN host h ON h.key = sha256(convert_to(
            jsonb_build_array(n.name, n.region, n.provider)::text, 'UTF8'))
        """,
        *columns,
    )
    return {(row["name"], row["region"], row["provider"]): row["id"] for row in rows}


async def find_host(conn: Connection, host_id: int) -> Host | None:
    """Give a host by its id."""
    row = await conn.fetchrow("SELECT id, name, region, provider FROM host WHERE id = $1", host_id)
    return None if row is None else Host(**dict(row))
