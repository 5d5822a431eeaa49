"""Where projects and organisations belong, since when."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, project_of
from os_credits.api.organisation_shapes import (
    MembershipList,
    MembershipShape,
    PlacedProjectPage,
    PlacedProjectShape,
    PlaceList,
    PlaceShape,
)
from os_credits.api.organisations import FOUND_NO_ORGANISATION, organisation_of
from os_credits.api.read import PageQuery
from os_credits.api.reading import Moment, Name, Reason
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ConflictShape, ProjectShape
from os_credits.domain.organisation import MembershipRequest, PlaceRequest
from os_credits.flows.organisations import (
    place_organisation,
    place_project,
    resolve_organisation,
    visible_to,
)
from os_credits.store import batches, organisations, places
from os_credits.store.pool import connection, snapshot

routes = Routes("Organisations")


class NewMembership(BaseModel):
    """Where a project shall belong; a name that is new makes an organisation."""

    model_config = ConfigDict(extra="forbid")

    organisation: Name | None = Field(description="null: to no organisation")
    valid_from: Moment = Field(description="A full hour; past ones are allowed")
    reason: Reason


class NewPlace(BaseModel):
    """On which organisation another one shall hang."""

    model_config = ConfigDict(extra="forbid")

    parent: Name | None = Field(description="A name, or # and our number of it; null: on none")
    valid_from: Moment = Field(description="A full hour; past ones are allowed")
    reason: Reason


@routes.add(
    "POST",
    "/api/v1/projects/{project}/organisation",
    gate=Gate.ADMIN,
    summary="Say where a project belongs, from an hour on",
    answers={
        200: Answer("That was said before; nothing was added", MembershipShape),
        201: Answer("It belongs there from that hour on", MembershipShape),
    }
    | FOUND_NO_PROJECT,
)
async def add_membership(
    request: web.Request, query: ProjectQuery, body: NewMembership
) -> web.Response:
    """Move sums and budgets of organisations for exactly these hours; no credit of the project."""
    pool = context_of(request).pool
    async with connection(pool) as conn:
        project = await project_of(request, conn, query)
    membership, is_new = await place_project(
        pool,
        MembershipRequest(
            project_id=project.id,
            organisation=body.organisation,
            valid_from=body.valid_from,
            reason=body.reason,
            author=access_of(request).name,
        ),
    )
    shape = MembershipShape.model_validate(membership)
    return json_response(shape, status=201 if is_new else 200)


@routes.add(
    "GET",
    "/api/v1/projects/{project}/organisation",
    gate=Gate.READ,
    summary="Where a project belongs, and belonged",
    answers={200: Answer("Its places that count", MembershipList)} | FOUND_NO_PROJECT,
)
async def list_memberships(request: web.Request, query: ProjectQuery) -> MembershipList:
    """Each holds up to the start of the next one."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        found = await organisations.list_memberships(conn, project.id)
    return MembershipList(memberships=[MembershipShape.model_validate(one) for one in found])


@routes.add(
    "POST",
    "/api/v1/organisations/{organisation}/parent",
    gate=Gate.ADMIN,
    summary="Say on which organisation another one hangs, from an hour on",
    answers={
        200: Answer("That was said before; nothing was added", PlaceShape),
        201: Answer("It hangs there from that hour on", PlaceShape),
        409: Answer("It would lie beneath itself at some hour, or too deep", ConflictShape),
    }
    | FOUND_NO_ORGANISATION,
)
async def add_place(request: web.Request, body: NewPlace) -> web.Response:
    """Move sums and budgets for exactly these hours, with everything that lies beneath it."""
    pool = context_of(request).pool
    async with connection(pool) as conn:
        organisation = await organisation_of(request, conn)
        parent = None if body.parent is None else await resolve_organisation(conn, body.parent)
    place, is_new = await place_organisation(
        pool,
        PlaceRequest(
            organisation_id=organisation.id,
            parent_id=None if parent is None else parent.id,
            valid_from=body.valid_from,
            reason=body.reason,
            author=access_of(request).name,
        ),
    )
    return json_response(PlaceShape.model_validate(place), status=201 if is_new else 200)


@routes.add(
    "GET",
    "/api/v1/organisations/{organisation}/parent",
    gate=Gate.READ,
    summary="On which organisation another one hangs, and hung",
    answers={200: Answer("Its places that count", PlaceList)} | FOUND_NO_ORGANISATION,
)
async def list_places(request: web.Request) -> PlaceList:
    """Each holds up to the start of the next one."""
    async with snapshot(context_of(request).pool) as conn:
        organisation = await organisation_of(request, conn)
        seen = await visible_to(conn, access_of(request))
        found = await places.list_places(conn, organisation.id)
    shapes = [PlaceShape.model_validate(one) for one in found]
    return PlaceList(
        places=[
            shape if seen is None or one.parent_id in seen else shape.model_copy(update=_HIDDEN)
            for one, shape in zip(found, shapes, strict=True)
        ]
    )


_HIDDEN = {"parent": None}


@routes.add(
    "GET",
    "/api/v1/organisations/{organisation}/projects",
    gate=Gate.ADMIN,
    summary="The projects that hang on an organisation now",
    answers={200: Answer("Projects, and since when they do", PlacedProjectPage)}
    | FOUND_NO_ORGANISATION,
)
async def list_projects(request: web.Request, query: PageQuery) -> PlacedProjectPage:
    """Give a page of those that hang on the organisation itself, not on one beneath it."""
    async with snapshot(context_of(request).pool) as conn:
        organisation = await organisation_of(request, conn)
        found = await organisations.list_projects_of(
            conn,
            organisation.id,
            await batches.read_now(conn),
            after_id=query.after,
            limit=query.limit + 1,
        )
    shapes = [
        PlacedProjectShape(
            project=ProjectShape.model_validate(one.project), valid_from=one.valid_from
        )
        for one in found[: query.limit]
    ]
    is_more = len(found) > query.limit
    return PlacedProjectPage(projects=shapes, next=shapes[-1].project.id if is_more else None)
