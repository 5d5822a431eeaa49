"""Usage of all projects that is not charged: without a price, or waiting for a verdict."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from os_credits.api.context import context_of
from os_credits.api.decision_shapes import UnsettledShape
from os_credits.api.names import read_names
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.settlements import unsettled_shape
from os_credits.api.shapes import NumberText, ProjectShape, Shape
from os_credits.flows.settle import list_all_unsettled, read_unpriced
from os_credits.store import projects
from os_credits.store.pool import snapshot

routes = Routes("Settlements")


class SeriesQuery(BaseModel):
    """A part of a list that is given in the order of series."""

    after: Annotated[int, Field(ge=0, lt=2**63)] = 0
    limit: Annotated[int, Field(gt=0, le=200, description="Series, not lines")] = 50


class OpenUsageShape(UnsettledShape):
    """Usage that waits for a verdict, and whose it is."""

    project: ProjectShape


class OpenUsagePage(Shape):
    """What waits, by series; `next` is the value of `after` for the following page."""

    unsettled: list[OpenUsageShape]
    next: int | None


class UnpricedShape(Shape):
    """Usage of a meter and flavor that has no price."""

    meter: str
    flavor: str | None
    quantity: NumberText
    unit: str
    row_count: int = Field(description="Hours of resources")
    series_count: int
    project_count: int
    first_hour: datetime
    last_hour: datetime


class UnpricedList(Shape):
    """Usage without a price; if `is_all` is false, there may be more of it than is summed here."""

    unpriced: list[UnpricedShape]
    is_all: bool


@routes.add(
    "GET",
    "/api/v1/unsettled",
    gate=Gate.ADMIN,
    summary="Suspect and unmetered usage of all projects that waits for a verdict",
    answers={200: Answer("What waits", OpenUsagePage)},
)
async def list_unsettled(request: web.Request, query: SeriesQuery) -> OpenUsagePage:
    """Give a page of what waits; a project's own list is `/api/v1/projects/{project}/unsettled`."""
    async with snapshot(context_of(request).pool) as conn:
        found, following = await list_all_unsettled(
            conn, after_series_id=query.after, limit=query.limit
        )
        names = await read_names(conn)
        ids = sorted({one.project_id for one in found})
        known = {one.id: one for one in await projects.list_projects_by_id(conn, ids)}
    return OpenUsagePage(
        unsettled=[
            OpenUsageShape(
                **dict(unsettled_shape(one, names)),
                project=ProjectShape.model_validate(known[one.project_id]),
            )
            for one in found
        ],
        next=following,
    )


@routes.add(
    "GET",
    "/api/v1/unpriced",
    gate=Gate.ADMIN,
    summary="Usage that has no price, by meter and flavor",
    answers={200: Answer("What has no price", UnpricedList)},
)
async def list_unpriced(request: web.Request) -> UnpricedList:
    """Tell how much usage will be charged once it has a price, and since when it waits."""
    async with snapshot(context_of(request).pool) as conn:
        found = await read_unpriced(conn)
        names = await read_names(conn)
    return UnpricedList(
        unpriced=[
            UnpricedShape(
                meter=names.meters[one.meter_id].name,
                flavor=names.flavor(one.flavor_id),
                quantity=Decimal(names.units(one.meter_id, one.quantity)),
                unit=names.meters[one.meter_id].priced_unit,
                row_count=one.row_count,
                series_count=one.series_count,
                project_count=one.project_count,
                first_hour=one.first_hour,
                last_hour=one.last_hour,
            )
            for one in found.sums
        ],
        is_all=found.is_all,
    )
