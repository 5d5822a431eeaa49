"""Organisations: where projects belong, since when, and what each organisation used."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of, may_read
from os_credits.api.context import context_of
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, project_of, read_names
from os_credits.api.read import PageQuery
from os_credits.api.reading import Moment, Name, Reason
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import CreditsText, ErrorShape, PeriodShape, ProjectShape, Shape
from os_credits.domain.organisation import MembershipRequest
from os_credits.domain.period import HOUR, floor_hour, full_hour
from os_credits.errors import InvalidInput
from os_credits.flows.organisations import place_project, resolve_organisation
from os_credits.store import batches, organisations, projects
from os_credits.store.pool import connection, snapshot

DEFAULT_LENGTH = timedelta(days=30)

routes = Routes("Organisations")


class OrganisationShape(Shape):
    """A group of projects."""

    id: int
    name: str


class OrganisationPage(Shape):
    """Organisations; `next` is the value of `after` for the following page."""

    organisations: list[OrganisationShape]
    next: int | None


class MembershipShape(Shape):
    """Where a project belongs from `valid_from` on, up to the next start; null: nowhere."""

    organisation: str | None
    valid_from: datetime
    reason: str
    author: str
    created_at: datetime


class MembershipList(Shape):
    """A project's places that count, by their start."""

    memberships: list[MembershipShape]


class OrganisationLine(Shape):
    """What one project used of one meter while it belonged to the organisation."""

    project: ProjectShape
    meter: str
    credits: CreditsText


class OrganisationUsage(Shape):
    """What an organisation's projects used in the hours of a period, booked or not."""

    organisation: OrganisationShape
    period: PeriodShape
    credits: CreditsText
    usage: list[OrganisationLine]


class NewMembership(BaseModel):
    """Where a project shall belong; a name that is new makes an organisation."""

    model_config = ConfigDict(extra="forbid")

    organisation: Name | None = Field(description="null: to no organisation")
    valid_from: Moment = Field(description="A full hour; past ones are allowed")
    reason: Reason


class PeriodQuery(BaseModel):
    """Which hours to sum; both ends are full hours."""

    start: Moment | None = Field(None, description="30 days before the end if not given")
    end: Moment | None = Field(None, description="Hours before this; now if not given")


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
    """Move sums of organisations for exactly these hours; no credit of the project changes."""
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
    "GET",
    "/api/v1/organisations",
    gate=Gate.READ,
    summary="All organisations that the key may read",
    answers={200: Answer("Organisations, in the order of their numbers", OrganisationPage)},
)
async def list_organisations(request: web.Request, query: PageQuery) -> OrganisationPage:
    """Give a page of organisations; a key that is limited to some projects sees those of these."""
    async with snapshot(context_of(request).pool) as conn:
        found = await organisations.list_organisations(
            conn, among=_among(request), after_id=query.after, limit=query.limit + 1
        )
    return OrganisationPage(
        organisations=[OrganisationShape.model_validate(one) for one in found[: query.limit]],
        next=found[query.limit - 1].id if len(found) > query.limit else None,
    )


def _among(request: web.Request) -> list[str] | None:
    among = access_of(request).projects
    return None if among is None else sorted(among)


@routes.add(
    "GET",
    "/api/v1/organisations/{organisation}/usage",
    gate=Gate.READ,
    summary="What an organisation's projects used",
    answers={
        200: Answer("Credits by project and meter", OrganisationUsage),
        404: Answer("There is no such organisation for this key", ErrorShape),
    },
)
async def sum_usage(request: web.Request, query: PeriodQuery) -> OrganisationUsage:
    """Each hour counts where the project belonged then, as is known now.

    A key that is limited to some projects is told the sums of these.
    """
    access = access_of(request)
    async with snapshot(context_of(request).pool) as conn:
        start, end = _hours(query, await batches.read_now(conn))
        organisation = await resolve_organisation(
            conn, request.match_info["organisation"], among=_among(request)
        )
        sums = await organisations.sum_by_membership(conn, organisation.id, start=start, end=end)
        ids = sorted({one.project_id for one in sums})
        readable = {
            one.id: ProjectShape.model_validate(one)
            for one in await projects.list_projects_by_id(conn, ids)
            if may_read(access, one)
        }
        names = await read_names(conn)
    lines = [
        OrganisationLine(
            project=readable[one.project_id],
            meter=names.meters[one.meter_id].name,
            credits=one.credits,
        )
        for one in sums
        if one.project_id in readable
    ]
    return OrganisationUsage(
        organisation=OrganisationShape.model_validate(organisation),
        period=PeriodShape(start=start, end=end),
        credits=sum((one.credits for one in lines), Decimal(0)),
        usage=lines,
    )


def _hours(query: PeriodQuery, now: datetime) -> tuple[datetime, datetime]:
    # Samples may be a little ahead of the clock, never by an hour.
    end = query.end or floor_hour(now) + 2 * HOUR
    try:
        start = query.start or end - DEFAULT_LENGTH
    except OverflowError:
        raise InvalidInput("is too early", where="end") from None
    start, end = full_hour(start, where="start"), full_hour(end, where="end")
    if end <= start:
        raise InvalidInput("must be after start", where="end")
    return start, end
