"""Table `manager`: who manages an organisation and all beneath it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.organisation import ManagedOrganisation, Manager

if TYPE_CHECKING:
    from os_credits.store.pool import Connection


async def list_managers(conn: Connection, organisation_id: int) -> list[Manager]:
    """Give the managers of an organisation itself, by address."""
    rows = await conn.fetch(
        """
        SELECT email, name, author, created_at FROM manager WHERE organisation_id = $1
        ORDER BY lower(email COLLATE "C")
        """,
        organisation_id,
    )
    return [Manager(**dict(row)) for row in rows]


async def put_manager(
    conn: Connection, organisation_id: int, *, email: str, name: str, author: str
) -> bool:
    """Let an address manage an organisation, or change the name beside it; tells whether new."""
    return bool(
        await conn.fetchval(
            """
            INSERT INTO manager (organisation_id, email, name, author) VALUES ($1, $2, $3, $4)
            ON CONFLICT (organisation_id, lower(email COLLATE "C"))
            DO UPDATE SET name = excluded.name
            RETURNING xmax = 0
            """,
            organisation_id,
            email,
            name,
            author,
        )
    )


async def delete_manager(conn: Connection, organisation_id: int, email: str) -> bool:
    """Let an address manage an organisation no more; tells whether it did."""
    status = await conn.execute(
        """
        DELETE FROM manager
        WHERE organisation_id = $1 AND lower(email COLLATE "C") = lower($2 COLLATE "C")
        """,
        organisation_id,
        email,
    )
    return status != "DELETE 0"


async def delete_manager_everywhere(conn: Connection, email: str) -> int:
    """Let an address manage nothing any more; gives of how many organisations."""
    status = await conn.execute(
        'DELETE FROM manager WHERE lower(email COLLATE "C") = lower($1 COLLATE "C")', email
    )
    return int(status.rpartition(" ")[2])


async def list_managed(conn: Connection, email: str) -> list[ManagedOrganisation]:
    """Give the organisations that name an address their manager, without those beneath."""
    rows = await conn.fetch(
        """
        SELECT o.id, o.name AS organisation, m.name, m.created_at
        FROM manager m JOIN organisation o ON o.id = m.organisation_id
        WHERE lower(m.email COLLATE "C") = lower($1 COLLATE "C") ORDER BY o.id
        """,
        email,
    )
    return [ManagedOrganisation(**dict(row)) for row in rows]
