"""Decides who hears of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.errors import Conflict, NotFound
from os_credits.store import projects
from os_credits.store.pool import transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from os_credits.store.pool import Pool

OWNERS_MAX = 100


async def replace_owners(
    pool: Pool, project_id: int, wanted: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Let exactly these addresses (with their names) hear of a project; gives them.

    Of addresses that differ in case only the last one counts.
    """
    kept = {email.lower() for email in wanted}
    async with transaction(pool) as conn:
        await projects.lock_projects(conn, [project_id])
        for email, _ in await projects.list_owners(conn, project_id):
            if email.lower() not in kept:
                await projects.delete_owner(conn, project_id, email)
        for email, name in wanted.items():
            await projects.put_owner(conn, project_id, email, name)
        return await projects.list_owners(conn, project_id)


async def add_owner(pool: Pool, project_id: int, email: str, name: str) -> list[tuple[str, str]]:
    """Let one more address hear of a project, or change its name; gives all of them.

    Raises Conflict where `OWNERS_MAX` addresses hear of it already.
    """
    async with transaction(pool) as conn:
        await projects.lock_projects(conn, [project_id])
        await projects.put_owner(conn, project_id, email, name)
        owners = await projects.list_owners(conn, project_id)
        if len(owners) > OWNERS_MAX:
            raise Conflict(f"a project has at most {OWNERS_MAX} owners")
        return owners


async def remove_owner(pool: Pool, project_id: int, email: str) -> list[tuple[str, str]]:
    """Let an address hear of a project no more; gives those left. Raises NotFound."""
    async with transaction(pool) as conn:
        await projects.lock_projects(conn, [project_id])
        if not await projects.delete_owner(conn, project_id, email):
            raise NotFound(f"{email} is no owner of this project")
        return await projects.list_owners(conn, project_id)
