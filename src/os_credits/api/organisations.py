"""Organisations: which there are, and what was used beneath each of them."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of, may_read
from os_credits.api.context import context_of
from os_credits.api.names import read_names
from os_credits.api.organisation_shapes import (
    OrganisationLine,
    OrganisationPage,
    OrganisationShape,
    OrganisationUsage,
    PartShape,
    PlacedOrganisation,
)
from os_credits.api.read import PageQuery
from os_credits.api.reading import Moment, Name
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ErrorShape, PeriodShape, ProjectShape
from os_credits.domain.amount import added
from os_credits.domain.organisation import Organisation
from os_credits.domain.period import HOUR, Period, floor_hour, full_hour
from os_credits.errors import Forbidden, InvalidInput
from os_credits.flows import organisations as flow
from os_credits.store import batches, organisations, places, projects
from os_credits.store.pool import Connection, snapshot

DEFAULT_LENGTH = timedelta(days=30)
FOUND_NO_ORGANISATION = {404: Answer("There is no such organisation for this key", ErrorShape)}

routes = Routes("Organisations")


class NewOrganisation(BaseModel):
    """An organisation before anything belongs to it."""

    model_config = ConfigDict(extra="forbid")

    name: Name


class UsageQuery(BaseModel):
    """Which hours to sum; both ends are full hours."""

    start: Moment | None = Field(None, description="30 days before the end if not given")
    end: Moment | None = Field(None, description="Hours before this; now if not given")
    own: bool = Field(False, description="Only projects that belong to the organisation itself")


@routes.add(
    "POST",
    "/api/v1/organisations",
    gate=Gate.ADMIN,
    summary="Create an organisation",
    answers={
        200: Answer("It was there already", OrganisationShape),
        201: Answer("It is new", OrganisationShape),
    },
)
async def add_organisation(request: web.Request, body: NewOrganisation) -> web.Response:
    """Placing a project in one by a new name creates it as well."""
    made, is_new = await flow.create_organisation(context_of(request).pool, body.name)
    return json_response(OrganisationShape.model_validate(made), status=201 if is_new else 200)


@routes.add(
    "GET",
    "/api/v1/organisations",
    gate=Gate.READ,
    summary="All organisations that the key may read",
    answers={200: Answer("Organisations, in the order of their numbers", OrganisationPage)},
)
async def list_organisations(request: web.Request, query: PageQuery) -> OrganisationPage:
    """Give a page of organisations, each with the one on which it hangs now.

    A caller that is limited to some projects sees those above these, now or at another time,
    and what it manages.
    """
    async with snapshot(context_of(request).pool) as conn:
        seen = await flow.visible_to(conn, access_of(request))
        found = await organisations.list_organisations(
            conn, among=seen, after_id=query.after, limit=query.limit + 1
        )
        now = await batches.read_now(conn)
        parents = await places.read_parents(conn, [one.id for one in found], now)
    return OrganisationPage(
        organisations=[
            PlacedOrganisation(id=one.id, name=one.name, parent=shown(parents.get(one.id), seen))
            for one in found[: query.limit]
        ],
        next=found[query.limit - 1].id if len(found) > query.limit else None,
    )


def shown(one: Organisation | None, seen: set[int] | None) -> OrganisationShape | None:
    """Shape an organisation if it is one of those that may be seen (None: all)."""
    if one is None or (seen is not None and one.id not in seen):
        return None
    return OrganisationShape.model_validate(one)


async def organisation_of(request: web.Request, conn: Connection) -> Organisation:
    """Find the organisation of the path, among those that the caller may see."""
    name = request.match_info["organisation"]
    return await flow.resolve_organisation(conn, name, access=access_of(request))


async def managed_organisation(request: web.Request, conn: Connection) -> Organisation:
    """Find the organisation of the path if the caller may change its people and lines.

    What may not be seen is NotFound, what may only be seen is Forbidden.
    """
    organisation = await organisation_of(request, conn)
    if not access_of(request).may_manage_organisation(organisation.id):
        raise Forbidden("only its managers and administrators may")
    return organisation


@routes.add(
    "GET",
    "/api/v1/organisations/{organisation}/usage",
    gate=Gate.READ,
    summary="What was used beneath an organisation",
    answers={200: Answer("Credits by part, project and meter", OrganisationUsage)}
    | FOUND_NO_ORGANISATION,
)
async def sum_usage(request: web.Request, query: UsageQuery) -> OrganisationUsage:
    """Each hour counts where the project belonged then, as is known now.

    All organisations beneath are included. A key that is limited to some projects is told the
    sums of these.
    """
    async with snapshot(context_of(request).pool) as conn:
        period = _hours(query, await batches.read_now(conn))
        organisation = await organisation_of(request, conn)
        sums = await flow.sum_usage(conn, organisation.id, period, own=query.own)
        readable = await _readable(request, conn, {one.project_id for one in sums})
        names = await read_names(conn)
        parts = await organisations.name_organisations(conn, {one.part or 0 for one in sums})
    lines = [
        OrganisationLine(
            part=shown(parts.get(one.part or 0), None),
            project=readable[one.project_id],
            meter=names.meters[one.meter_id].name,
            credits=one.credits,
        )
        for one in sums
        if one.project_id in readable
    ]
    return OrganisationUsage(
        organisation=OrganisationShape.model_validate(organisation),
        period=PeriodShape(start=period.start, end=period.end),
        credits=added(*(one.credits for one in lines)),
        parts=_parts(lines),
        usage=lines,
    )


async def _readable(
    request: web.Request, conn: Connection, ids: set[int]
) -> dict[int, ProjectShape]:
    access = access_of(request)
    found = await projects.list_projects_by_id(conn, sorted(ids))
    return {one.id: ProjectShape.model_validate(one) for one in found if may_read(access, one)}


def _parts(lines: list[OrganisationLine]) -> list[PartShape]:
    """Sum the lines of each part; the organisation's own projects come first."""
    sums: dict[tuple[int, OrganisationShape | None], list[Decimal]] = defaultdict(list)
    for one in lines:
        sums[one.part.id if one.part else 0, one.part].append(one.credits)
    by_number = sorted(sums.items(), key=lambda item: item[0][0])
    return [
        PartShape(organisation=part, credits=added(*amounts)) for (_, part), amounts in by_number
    ]


def _hours(query: UsageQuery, now: datetime) -> Period:
    # Samples may be a little ahead of the clock, never by an hour.
    end = query.end or floor_hour(now) + 2 * HOUR
    try:
        start = query.start or end - DEFAULT_LENGTH
    except OverflowError:
        raise InvalidInput("is too early", where="end") from None
    start, end = full_hour(start, where="start"), full_hour(end, where="end")
    if end <= start:
        raise InvalidInput("must be after start", where="end")
    return Period(start, end)
