"""What administrators change about projects: their creation."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.context import context_of
from os_credits.api.read import account_of
from os_credits.api.reading import Name, Text
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ProjectAccount
from os_credits.domain.project import ProjectKey
from os_credits.flows.projects import create_project
from os_credits.store.balances import read_balances
from os_credits.store.pool import connection

routes = Routes("Administration")


class NewProject(BaseModel):
    """A project before its first sample; with an `external_id` that is the key, else the name."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    site: Text = ""
    external_id: Text = Field("", description="The cloud's own id of the project")
    domain: Text = ""


@routes.add(
    "POST",
    "/api/v1/projects",
    gate=Gate.ADMIN,
    summary="Create a project before its first sample",
    answers={
        200: Answer("It was there already", ProjectAccount),
        201: Answer("It is new", ProjectAccount),
    },
)
async def add_project(request: web.Request, body: NewProject) -> web.Response:
    """Projects come into being by themselves; this is for granting credits before that."""
    pool = context_of(request).pool
    key = ProjectKey(body.site, body.external_id, body.domain, body.name)
    project, created = await create_project(pool, key)
    async with connection(pool) as conn:
        balances = await read_balances(conn, [project.id])
    return json_response(account_of(project, balances[project.id]), status=201 if created else 200)
