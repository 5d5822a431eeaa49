"""Servers, volumes ... of a project, and where its credits went."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from os_credits.api.context import context_of
from os_credits.api.names import (
    FOUND_NO_PROJECT,
    Names,
    ProjectQuery,
    id_of,
    project_of,
    read_names,
)
from os_credits.api.reading import Moment, Text
from os_credits.api.resource_shapes import (
    FlavorTimeShape,
    LabelsShape,
    MeteredResourceShape,
    ResourceDetailShape,
    ResourcePage,
    ResourcePlaceShape,
    ResourceSpecShape,
    ResourceStepShape,
    SpentItemShape,
    SpentResourceShape,
    SpentShape,
    SpentStepShape,
    StateCounts,
    UnchargedShape,
)
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import PeriodShape, ProjectShape
from os_credits.domain.period import HOUR, floor_day, floor_hour
from os_credits.domain.project import Project
from os_credits.errors import InvalidInput
from os_credits.flows import resources as flow
from os_credits.flows import spent as spent_flow
from os_credits.flows.resources import Resource, ResourceDetail, ResourceSort
from os_credits.flows.spent import PeriodSpent
from os_credits.store import batches
from os_credits.store.pool import snapshot

DAY = timedelta(days=1)
DEFAULT_LENGTH = 30 * DAY
# More steps than these are refused.
STEPS_MAX = 1500

routes = Routes("Projects")


class ResourcesQuery(ProjectQuery):
    """Which resources to list, and in which order."""

    running: bool = Field(False, description="Only those that run")
    meter: Text | None = Field(None, description="Only those of this meter")
    sort: ResourceSort | None = Field(
        None, description="If not given `recent`, or `last` where there are more than 100"
    )
    descending: bool = True
    after: Annotated[int, Field(ge=0, lt=2**63)] = 0
    limit: Annotated[int, Field(gt=0, le=500)] = 50


class PeriodQuery(ProjectQuery):
    """Which time to tell of."""

    start: Moment | None = Field(None, description="30 days before the end if not given")
    end: Moment | None = Field(None, description="Time before this; the end of today if not given")


class StepsQuery(PeriodQuery):
    """Which time to tell of, in which steps."""

    by: Literal["hour", "day"] = "day"


class SpentQuery(PeriodQuery):
    """Which time to tell of: whole UTC days."""

    by: Literal["hour", "day", "month"] | None = Field(
        None, description="Hours of a day, days of up to 93, months of more, if not given"
    )


@routes.add(
    "GET",
    "/api/v1/projects/{project}/resources",
    gate=Gate.READ,
    summary="The servers, volumes ... that a project's samples name",
    answers={200: Answer("A part of them", ResourcePage)} | FOUND_NO_PROJECT,
)
async def list_resources(request: web.Request, query: ResourcesQuery) -> ResourcePage:
    """Give what is known of each, and what it cost: together exactly what the project used."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        names = await read_names(conn)
        asked = flow.Asked(
            is_running=query.running,
            meter_id=None if query.meter is None else names.meter_id(query.meter),
            sort=query.sort,
            descending=query.descending,
            after=query.after,
            limit=query.limit,
        )
        told = await flow.read_resources(conn, project.id, asked)
    return ResourcePage(
        project=ProjectShape.model_validate(project),
        counts=StateCounts(**{state.value: count for state, count in told.counts.items()}),
        shown=told.shown_count,
        credits=told.total.credits,
        recent=told.total.recent,
        resources=[_resource(one) for one in told.rows],
        next=told.next,
        as_of=told.as_of,
    )


@routes.add(
    "GET",
    "/api/v1/projects/{project}/resources/{series}",
    gate=Gate.READ,
    summary="A resource: what it used and cost, its flavors and its labels",
    answers={200: Answer("The resource", ResourceDetailShape)} | FOUND_NO_PROJECT,
)
async def read_resource(request: web.Request, query: StepsQuery) -> ResourceDetailShape:
    """Give its usage per UTC day, or per hour while these are kept."""
    series_id = id_of(request, "series", what="resource")
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        start, end = _period(query, await batches.read_now(conn), query.by)
        told = await flow.read_resource(
            conn, project.id, series_id, start=start, end=end, by=query.by
        )
    return _detail(project, told, start, end, query.by)


@routes.add(
    "GET",
    "/api/v1/projects/{project}/spent",
    gate=Gate.READ,
    summary="Where a project's credits went: by time, by meter and flavor, by resource",
    answers={200: Answer("The sums", SpentShape)} | FOUND_NO_PROJECT,
)
async def read_spent(request: web.Request, query: SpentQuery) -> SpentShape:
    """Give three tables with the same sum; `/explain?hour=` goes on from an hour."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        start, end = _period(query, await batches.read_now(conn), "day")
        by = query.by or spent_flow.step_of(end - start)
        _check_steps(start, end, by)
        told = await spent_flow.read_spent(conn, project.id, start=start, end=end, by=by)
        names = await read_names(conn)
    return _spent(project, told, names)


def _period(query: PeriodQuery, now: datetime, by: str) -> tuple[datetime, datetime]:
    """Read a period of whole days or hours; its steps are bounded."""
    try:
        end = query.end or floor_day(now) + DAY
        start = query.start or end - DEFAULT_LENGTH
    except OverflowError:
        raise InvalidInput("is too early", where="end") from None
    floor = floor_day if by == "day" else floor_hour
    for where, moment in (("start", start), ("end", end)):
        if floor(moment) != moment:
            raise InvalidInput(f"must be the start of a UTC {by}", where=where)
    if end <= start:
        raise InvalidInput("must be after start", where="end")
    _check_steps(start, end, by)
    return start, end


def _check_steps(start: datetime, end: datetime, by: str) -> None:
    length = {"hour": HOUR, "day": DAY, "month": 28 * DAY}[by]
    if (end - start) / length > STEPS_MAX:
        raise InvalidInput(f"more than {STEPS_MAX} steps: ask for less time", where="start")


def _resource(one: Resource) -> MeteredResourceShape:
    return MeteredResourceShape(
        series_id=one.series_id,
        meter=one.meter.name,
        resource=one.name,
        identity=dict(one.identity),
        state=one.state,
        flavor=one.flavor or None,
        spec=ResourceSpecShape.model_validate(one.spec),
        place=ResourcePlaceShape.model_validate(one.place),
        first_seen=one.first_seen,
        last_seen=one.last_seen,
        credits=one.credits,
        recent=one.recent,
    )


def _detail(
    project: Project,
    told: ResourceDetail,
    start: datetime,
    end: datetime,
    by: Literal["hour", "day"],
) -> ResourceDetailShape:
    per_unit = told.resource.meter.quantity_per_unit
    return ResourceDetailShape(
        project=ProjectShape.model_validate(project),
        resource=_resource(told.resource),
        period=PeriodShape(start=start, end=end),
        by=by,
        unit=told.resource.meter.priced_unit,
        steps=[
            ResourceStepShape(
                start=one.start,
                flavor=told.flavors[one.flavor_id] or None,
                quantity=Decimal(one.quantity) / per_unit,
                waiting=Decimal(one.waiting) / per_unit,
                credits=one.credits,
            )
            for one in told.steps
        ],
        flavors=[
            FlavorTimeShape(
                flavor=told.flavors[one.flavor_id] or None,
                first=one.first,
                last=one.last,
                quantity=Decimal(one.quantity) / per_unit,
                credits=one.credits,
            )
            for one in told.times
        ],
        label_sets=[
            LabelsShape(
                id=one.label_set_id,
                flavor=told.flavors[one.flavor_id] or None,
                counts=one.fits,
                labels=dict(one.labels),
                first_stored_at=one.created_at,
            )
            for one in told.labels
        ],
        as_of=told.as_of,
    )


def _spent(project: Project, told: PeriodSpent, names: Names) -> SpentShape:
    return SpentShape(
        project=ProjectShape.model_validate(project),
        period=PeriodShape(start=told.start, end=told.end),
        by=told.by,
        credits=told.credits,
        steps=[
            SpentStepShape(
                start=step.start,
                credits=step.credits,
                items=[
                    SpentItemShape(
                        meter=names.meters[meter_id].name,
                        flavor=names.flavor(flavor_id),
                        credits=amount,
                    )
                    for (meter_id, flavor_id), amount in step.by_item.items()
                ],
            )
            for step in told.steps
        ],
        items=[
            SpentItemShape(meter=one.meter.name, flavor=one.flavor or None, credits=one.credits)
            for one in told.items
        ],
        resources=[
            SpentResourceShape(
                series_id=one.series_id,
                meter=names.meters[one.meter_id].name,
                resource=one.resource,
                identity=dict(one.identity),
                credits=one.credits,
            )
            for one in told.resources
        ],
        opened=told.opened,
        uncharged=[
            UnchargedShape(
                meter=names.meters[one.meter_id].name,
                flavor=names.flavor(one.flavor_id),
                kind=one.kind.name.lower(),
                quantity=Decimal(names.units(one.meter_id, one.quantity)),
                unit=names.meters[one.meter_id].priced_unit,
            )
            for one in told.uncharged
        ],
    )
