"""Table `flavor_spec`: what flavors are made of; of several revisions the last one holds.

Revisions are not dated. A flavor keeps its name for what it is made of (clouds refuse to change
that), so a revision corrects what was said of it, for all hours alike; no credit depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.flavor import FlavorSpec

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class StoredSpec:
    """The spec of a flavor that holds, who set it and when (None: nobody did)."""

    flavor_id: int
    flavor: str
    spec: FlavorSpec
    author: str | None
    set_at: datetime | None


async def insert_spec(conn: Connection, flavor_id: int, spec: FlavorSpec, *, author: str) -> None:
    """Let a spec hold from now on, for all hours."""
    await conn.execute(
        """
        INSERT INTO flavor_spec (flavor_id, vcpus, ram_gib, disk_gib, author)
        VALUES ($1, $2, $3, $4, $5)
        """,
        flavor_id,
        spec.vcpus,
        spec.ram_gib,
        spec.disk_gib,
        author,
    )


async def read_specs(conn: Connection) -> dict[int, FlavorSpec]:
    """Give the specs that hold, by the id of their flavor."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (flavor_id) flavor_id, vcpus, ram_gib, disk_gib
        FROM flavor_spec ORDER BY flavor_id, id DESC
        """
    )
    return {row[0]: FlavorSpec(*row[1:]) for row in rows}


async def list_specs(conn: Connection, *, are_offered: bool = False) -> list[StoredSpec]:
    """Give all flavors but the nameless one, with the specs that hold, by name.

    Those that `are_offered` are described or priced; any other is only a word of some samples.
    """
    rows = await conn.fetch(
        """
        SELECT f.id, f.name, s.vcpus, s.ram_gib, s.disk_gib, s.author, s.created_at
        FROM flavor f LEFT JOIN LATERAL (
            SELECT * FROM flavor_spec WHERE flavor_id = f.id ORDER BY id DESC LIMIT 1
        ) s ON true
        WHERE f.id <> 0 AND (
            NOT $1 OR s.id IS NOT NULL OR EXISTS (SELECT FROM price WHERE flavor_id = f.id)
        )
        ORDER BY f.name
        """,
        are_offered,
    )
    return [
        StoredSpec(row[0], row[1], FlavorSpec(row[2], row[3], row[4]), row[5], row[6])
        for row in rows
    ]


async def lock_specs(conn: Connection) -> None:
    """Let no other transaction set specs until this one ends."""
    await conn.execute("SELECT pg_advisory_xact_lock('flavor_spec'::regclass::oid::bigint)")
