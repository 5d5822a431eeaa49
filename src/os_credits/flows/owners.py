"""Decides who hears of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.store import projects
from os_credits.store.pool import transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from os_credits.store.pool import Pool


async def replace_owners(
    pool: Pool, project_id: int, wanted: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Let exactly these addresses (with their names) hear of a project; gives them."""
    async with transaction(pool) as conn:
        await projects.lock_projects(conn, [project_id])
        for email, _ in await projects.list_owners(conn, project_id):
            if email not in wanted:
                await projects.delete_owner(conn, project_id, email)
        for email in sorted(wanted):
            await projects.put_owner(conn, project_id, email, wanted[email])
        return await projects.list_owners(conn, project_id)
