"""Who works in a project, by name: what everybody in it may know."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from os_credits.api.context import context_of
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, project_of
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import Shape
from os_credits.domain.person import Role, shown_name
from os_credits.store import people
from os_credits.store.pool import connection

routes = Routes("People")


class NamedPerson(Shape):
    """A person of a project, without the address."""

    name: str = Field(description="'' where only the address is known")
    role: Role


class NamedPeople(Shape):
    """The people of a project, owners first."""

    people: list[NamedPerson]


@routes.add(
    "GET",
    "/api/v1/projects/{project}/people",
    gate=Gate.PERSON,
    summary="Who works in a project, by name",
    answers={200: Answer("Owners first, without addresses", NamedPeople)} | FOUND_NO_PROJECT,
)
async def list_people(request: web.Request, query: ProjectQuery) -> NamedPeople:
    """Show names and roles to whoever is in the project; addresses are among its owners."""
    async with connection(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        known = await people.list_people(conn, project.id)
    found = [NamedPerson(name=shown_name(one), role=one.role) for one in known]
    return NamedPeople(people=sorted(found, key=lambda one: (one.role is not Role.OWNER, one.name)))
