"""Names of meters and flavors, and the project that a path means, for every read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from pydantic import BaseModel, Field

from os_credits.api.auth import access_of, may_read
from os_credits.api.reading import Text
from os_credits.api.routes import Answer
from os_credits.api.shapes import ErrorShape
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.project import Project
from os_credits.errors import Forbidden, NotFound
from os_credits.flows.projects import resolve_project
from os_credits.rating.charge import units_of
from os_credits.store import flavors, meters
from os_credits.store.pool import Connection

ID_DIGITS_MAX = 18
FOUND_NO_PROJECT = {404: Answer("There is no such project for this key", ErrorShape)}


class ProjectQuery(BaseModel):
    """Narrows a name that several projects have."""

    site: Text | None = Field(None, description="Only projects of this site")
    domain: Text | None = Field(None, description="Only projects of this domain")


@dataclass(frozen=True, slots=True)
class Names:
    """The newest definition of each meter and the name of each flavor, by our ids."""

    meters: Mapping[int, MeterDefinition]
    flavors: Mapping[int, str]

    def meter_id(self, name: str) -> int:
        """Find a meter by its name; raises NotFound."""
        for meter_id, definition in self.meters.items():
            if definition.name == name:
                return meter_id
        raise NotFound(f"there is no meter {name!r}")

    def meter(self, meter_id: int | None) -> str | None:
        """Name a meter; None stays None."""
        return None if meter_id is None else self.meters[meter_id].name

    def flavor(self, flavor_id: int | None) -> str | None:
        """Name a flavor; None where there is none."""
        return None if flavor_id is None else self.flavors[flavor_id] or None

    def units(self, meter_id: int, quantity: int) -> str:
        """Write a quantity in the meter's priced units."""
        return units_of(quantity, self.meters[meter_id])


def id_of(request: web.Request, part: str, *, what: str) -> int:
    """Read one of our ids from the path; what can be none is one that does not exist."""
    text = request.match_info[part]
    if not (text.isascii() and text.isdecimal() and len(text) <= ID_DIGITS_MAX):
        raise NotFound(f"there is no {what} {text[:80]!r}")
    return int(text)


async def read_names(conn: Connection) -> Names:
    """Read all names; meters and flavors are few."""
    versions = await meters.list_versions(conn)
    return Names(
        meters={version.meter_id: version.definition for version in versions},
        flavors=await flavors.list_flavors(conn),
    )


async def project_of(request: web.Request, conn: Connection, query: ProjectQuery) -> Project:
    """Find the project of the path, among those that the caller may read."""
    access = access_of(request)
    return await resolve_project(
        conn,
        request.match_info.get("project") or request.match_info["project_name"],
        site=query.site,
        domain=query.domain,
        may_see=lambda project: may_read(access, project),
    )


async def managed_project(
    request: web.Request, conn: Connection, query: ProjectQuery | None = None
) -> Project:
    """Find the project of the path if the caller may change its people and lines.

    What may not be seen is NotFound, what may only be seen is Forbidden.
    """
    project = await project_of(request, conn, query or ProjectQuery())
    if not access_of(request).may_manage(project.id):
        raise Forbidden("only its owners, their organisation's managers and administrators may")
    return project
