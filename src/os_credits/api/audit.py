"""The audit log: who changed what, for administrators, and for those who manage a project."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from os_credits.api.context import context_of
from os_credits.api.login_shapes import AuditLineShape, AuditPage
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, managed_project
from os_credits.api.organisation_shapes import OrganisationShape
from os_credits.api.reading import Line, Moment, Text
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import ErrorShape, ProjectShape
from os_credits.domain.audit import AuditFilter
from os_credits.flows.projects import resolve_project
from os_credits.store import audit, organisations, projects
from os_credits.store.pool import Connection, snapshot

LINES_MAX = 500

routes = Routes("Audit")


class AuditPageQuery(BaseModel):
    """A part of the log, the newest lines first."""

    subject: Annotated[Line, Field(max_length=100)] | None = Field(
        None, description="Only changes of this kind of thing: price, project_owner, login ..."
    )
    actor: Annotated[Line, Field(max_length=200)] | None = Field(
        None, description="Only changes by those whose name contains this"
    )
    login: Annotated[int, Field(gt=0, lt=2**63)] | None = Field(
        None, description="Only changes by the login with this number"
    )
    since: Moment | None = Field(None, description="Only changes from this moment on")
    before: Annotated[int, Field(gt=0, lt=2**63)] | None = Field(
        None, description="Only lines with smaller numbers: `next` of the page before"
    )
    limit: Annotated[int, Field(gt=0, le=LINES_MAX)] = 100

    def filter(self, project_id: int | None = None) -> AuditFilter:
        """Say which lines are looked for."""
        return AuditFilter(
            project_id=project_id,
            subject=self.subject,
            actor=self.actor,
            login_id=self.login,
            since=self.since,
            before_id=self.before,
        )


class AuditQuery(AuditPageQuery):
    """Which lines to list."""

    project: Text | None = Field(None, description="Only changes of this project: name, id, #17")


class ProjectAuditQuery(ProjectQuery, AuditPageQuery):
    """Which lines of a project to list."""


@routes.add(
    "GET",
    "/api/v1/audit",
    gate=Gate.ADMIN,
    summary="Who changed what",
    answers={200: Answer("Lines of the audit log, the newest first", AuditPage)} | FOUND_NO_PROJECT,
)
async def list_audit(request: web.Request, query: AuditQuery) -> AuditPage:
    """Every decision is written by the database itself, in the transaction that makes it."""
    async with snapshot(context_of(request).pool) as conn:
        project_id = query.project and (await resolve_project(conn, query.project)).id
        return await read_audit(conn, query.filter(project_id or None), limit=query.limit)


@routes.add(
    "GET",
    "/api/v1/projects/{project}/audit",
    gate=Gate.MANAGE,
    summary="Who changed what about a project",
    answers={
        200: Answer("Its lines of the audit log, the newest first", AuditPage),
        403: Answer("Only owners, managers and administrators may", ErrorShape),
    }
    | FOUND_NO_PROJECT,
)
async def list_project_audit(request: web.Request, query: ProjectAuditQuery) -> AuditPage:
    """Grants, people, lines, exclusions and whatever else people decided about it."""
    async with snapshot(context_of(request).pool) as conn:
        project = await managed_project(
            request, conn, ProjectQuery(site=query.site, domain=query.domain)
        )
        return await read_audit(conn, query.filter(project.id), limit=query.limit)


async def read_audit(conn: Connection, wanted: AuditFilter, *, limit: int) -> AuditPage:
    """Read a page of the log, with the names of what its lines are about."""
    rows = await audit.list_audit(conn, wanted, limit=limit + 1)
    lines = rows[:limit]
    about = sorted({one.project_id for one in lines if one.project_id is not None})
    known = {one.id: one for one in await projects.list_projects_by_id(conn, about)}
    nodes = await organisations.name_organisations(
        conn, {one.organisation_id for one in lines if one.organisation_id is not None}
    )
    return AuditPage(
        lines=[
            AuditLineShape(
                id=one.id,
                made_at=one.made_at,
                actor=one.actor,
                via=one.via,
                login_id=one.login_id,
                subject=one.subject,
                action=one.action,
                project=ProjectShape.model_validate(known[one.project_id])
                if one.project_id in known
                else None,
                organisation=OrganisationShape.model_validate(nodes[one.organisation_id])
                if one.organisation_id in nodes
                else None,
                details=dict(one.details),
            )
            for one in lines
        ],
        next=lines[-1].id if len(rows) > limit else None,
    )
