"""Finds the project that a caller means, and creates one before its first sample."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from os_credits.domain.text import is_blank
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.store import projects
from os_credits.store.pool import transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from os_credits.domain.project import Project, ProjectKey
    from os_credits.store.pool import Connection, Pool

CANDIDATES_MAX = 20
TEXT_LENGTH_MAX = 1024
# Our own number of a project, as the candidates of a Conflict name it.
_NUMBER = re.compile(r"#([0-9]{1,18})")


def _everything(_project: Project) -> bool:
    return True


async def resolve_project(
    conn: Connection,
    name: str,
    *,
    site: str | None = None,
    domain: str | None = None,
    may_see: Callable[[Project], bool] = _everything,
) -> Project:
    """Find the one project that a name, a cloud's own id or `#number` means to this caller.

    A number of ours that exists goes before a name, which any sender could choose like it.
    Raises NotFound if there is none that `may_see` allows, and Conflict with the candidates if
    there are several.
    """
    found = [one for one in await _find(conn, name, site, domain) if may_see(one)]
    if not found:
        raise NotFound(f"there is no project {name[:200]!r}{_narrowed(site, domain)}")
    if len(found) > 1:
        found.sort(key=lambda one: (one.site, one.domain, one.external_id, one.id))
        raise Conflict(
            f"{name!r} could mean {len(found)} projects: give site or domain,"
            " or the number of a candidate instead of the name",
            candidates=[_candidate(one) for one in found[:CANDIDATES_MAX]],
        )
    return found[0]


async def _find(conn: Connection, name: str, site: str | None, domain: str | None) -> list[Project]:
    if any("\0" in text for text in (name, site or "", domain or "")):
        return []
    if (number := _NUMBER.fullmatch(name)) and (
        numbered := await projects.list_projects_by_id(conn, [int(number[1])])
    ):
        return numbered
    return await projects.find_projects(conn, name, site=site, domain=domain)


def _narrowed(site: str | None, domain: str | None) -> str:
    by = [("site", site), ("domain", domain)]
    return "".join(f" in {what} {value[:200]!r}" for what, value in by if value is not None)


def _candidate(project: Project) -> dict[str, str]:
    return {
        "number": f"#{project.id}",
        "site": project.site,
        "external_id": project.external_id,
        "domain": project.domain,
        "name": project.name,
    }


async def create_project(pool: Pool, key: ProjectKey) -> tuple[Project, bool]:
    """Store a project that a person names; gives it, and whether it is new.

    Raises InvalidInput for what nobody could read: only samples may say what they like.
    """
    for where, text in (
        ("site", key.site),
        ("external_id", key.external_id),
        ("domain", key.domain),
        ("name", key.name),
    ):
        if not text.isprintable() or len(text) > TEXT_LENGTH_MAX:
            raise InvalidInput(f"at most {TEXT_LENGTH_MAX} printable characters", where=where)
        if is_blank(text) and (text or where == "name"):
            raise InvalidInput("must not be blank", where=where)
    async with transaction(pool) as conn:
        known = await projects.find_project_id(conn, key)
        project_id = known or (await projects.ensure_projects(conn, [key]))[key.digest()]
        [project] = await projects.list_projects_by_id(conn, [project_id])
    return project, known is None
