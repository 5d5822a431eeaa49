"""GET and POST /api/v1/calculations: what flavors would cost, and how long a project could pay."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of, may_read
from os_credits.api.context import context_of
from os_credits.api.organisation_shapes import LevelShape
from os_credits.api.reading import Count, Moment, Name, Text
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import (
    ConflictShape,
    CostLine,
    CreditsText,
    ErrorShape,
    NumberText,
    ProjectShape,
    Shape,
)
from os_credits.domain.budget import Level
from os_credits.domain.project import Project
from os_credits.flows.calculation import (
    Calculation,
    Cost,
    Duration,
    Lasts,
    NotPriced,
    Outlook,
    Wish,
    calculate,
)
from os_credits.flows.projects import resolve_project
from os_credits.store.pool import snapshot

WISHES_MAX = 1000

routes = Routes("Costs")

Hours = Annotated[Count, Field(gt=0, le=24)]
Counts: TypeAlias = Annotated[dict[Name, Count], Field(max_length=WISHES_MAX)]


class CalculationQuery(BaseModel):
    """How much of one flavor or meter, for how many hours of a day, and who is to pay."""

    flavor: Name | None = None
    meter: Name | None = None
    count: Count = Decimal(1)
    hours_per_day: Hours = Decimal(24)
    at: Moment | None = Field(None, description="By the prices of this hour; now if not given")
    project: Name | None = Field(None, description="Also tell for how long its credits would last")
    site: Text | None = None
    domain: Text | None = None


class NewCalculation(BaseModel):
    """How much of which flavors and meters, for how many hours of a day, and who is to pay."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"flavors": {"m1.large": 2}, "hours_per_day": 8}]},
    )

    flavors: Counts = Field(default_factory=dict, description="How many of each flavor")
    meters: Counts = Field(
        default_factory=dict, description="Units of each meter, used in an hour without a flavor"
    )
    hours_per_day: Hours = Decimal(24)
    at: Moment | None = Field(None, description="By the prices of this hour; now if not given")
    project: Name | None = Field(None, description="Also tell for how long its credits would last")
    site: Text | None = None
    domain: Text | None = None


class CostOfTime(Shape):
    """Credits for an hour, a day with its hours, and a month of 30 such days."""

    per_hour: CreditsText
    per_day: CreditsText
    per_month: CreditsText


class CalculationLine(CostLine, CostOfTime):
    """What `count` units of a meter (and flavor) cost; `credits` are those of an hour."""


class NotPricedShape(Shape):
    """A flavor or meter that is unknown or has no price in that hour; it costs nothing here."""

    name: str
    reason: str


class DurationShape(Shape):
    """For how long credits last if every day uses `per_day`.

    `until` a moment; `beyond`: for more than two years; `out`: nothing is left now; `unused`:
    nothing would be used.
    """

    per_day: CreditsText
    state: Literal["until", "beyond", "out", "unused"]
    until: datetime | None


class OutlookShape(Shape):
    """For how long a project could pay: for these `alone`, and `together` with what burns now.

    `usable` is what budgets above it leave of its balance; `limited_by` the level that does so.
    Grants that end, and those to come, are heeded; what others use of a budget is not.
    """

    project: ProjectShape
    balance: CreditsText
    usable: CreditsText
    limited_by: LevelShape | None
    burn_per_day: CreditsText
    alone: DurationShape
    together: DurationShape


class CalculationShape(Shape):
    """What a wish costs, by the prices of the hour that begins at `hour`.

    An hour costs what the charge of a full hour would be, rounded half-even to six digits for
    each line; a day is that times `hours_per_day`, rounded so once more for each line; a month
    is exactly 30 such days. The lines add up to `total`.
    """

    hour: datetime
    hours_per_day: NumberText
    days_per_month: Literal[30] = 30
    total: CostOfTime
    breakdown: list[CalculationLine]
    not_priced: list[NotPricedShape]
    outlook: OutlookShape | None = Field(description="null unless a project is named")


_ANSWERS: Mapping[int, Answer] = {
    200: Answer("What it costs, and for how long credits would last", CalculationShape),
    404: Answer("There is no such project for this caller", ErrorShape),
    409: Answer("An ambiguous name of a project", ConflictShape),
}


@routes.add(
    "GET",
    "/api/v1/calculations",
    gate=Gate.READ,
    summary="What a flavor, or an amount of a meter, would cost",
    answers=_ANSWERS,
)
async def calculate_one(request: web.Request, query: CalculationQuery) -> CalculationShape:
    """Tell the cost of an hour, a day and a month; for several at once use POST."""
    wish = Wish(
        [] if query.flavor is None else [(query.flavor, query.count)],
        [] if query.meter is None else [(query.meter, query.count)],
        query.hours_per_day,
        query.at,
    )
    return await _answer(request, wish, query)


@routes.add(
    "POST",
    "/api/v1/calculations",
    gate=Gate.READ,
    summary="What flavors and amounts of meters would cost together",
    answers=_ANSWERS,
)
async def calculate_many(request: web.Request, body: NewCalculation) -> CalculationShape:
    """Tell the cost of an hour, a day and a month, and for how long a project could pay.

    Nothing is stored.
    """
    wish = Wish(list(body.flavors.items()), list(body.meters.items()), body.hours_per_day, body.at)
    return await _answer(request, wish, body)


async def _answer(
    request: web.Request, wish: Wish, asked: CalculationQuery | NewCalculation
) -> CalculationShape:
    access = access_of(request)
    async with snapshot(context_of(request).pool) as conn:
        project: Project | None = None
        if asked.project is not None:
            project = await resolve_project(
                conn,
                asked.project,
                site=asked.site,
                domain=asked.domain,
                may_see=lambda one: may_read(access, one),
            )
        return calculation_shape(await calculate(conn, wish, project))


def calculation_shape(found: Calculation) -> CalculationShape:
    """Shape a calculation."""
    return CalculationShape(
        hour=found.hour,
        hours_per_day=found.hours_per_day,
        total=CostOfTime.model_validate(found.total),
        breakdown=[
            CalculationLine(**CostLine.model_validate(line.quote).model_dump(), **_cost(line.cost))
            for line in found.lines
        ],
        not_priced=[_not_priced(one) for one in found.not_priced],
        outlook=None if found.outlook is None else _outlook(found.outlook),
    )


def _cost(cost: Cost) -> dict[str, Decimal]:
    return {
        "per_hour": cost.per_hour,
        "per_day": cost.per_day,
        "per_month": cost.per_month,
    }


def _not_priced(one: NotPriced) -> NotPricedShape:
    return NotPricedShape.model_validate(one)


def _outlook(outlook: Outlook) -> OutlookShape:
    project = outlook.project
    return OutlookShape(
        project=ProjectShape.model_validate(project),
        balance=outlook.balance.current,
        usable=outlook.usable.amount,
        limited_by=_level(outlook.usable.limited_by, project),
        burn_per_day=outlook.burn_per_day,
        alone=_duration(outlook.alone),
        together=_duration(outlook.together),
    )


def _level(level: Level | None, project: Project) -> LevelShape | None:
    if level is None:
        return None
    if level.organisation is None:
        return LevelShape(kind="project", id=project.id, name=project.name)
    return LevelShape(kind="organisation", id=level.organisation.id, name=level.organisation.name)


def _duration(duration: Duration) -> DurationShape:
    return DurationShape(
        per_day=duration.per_day,
        state=Lasts(duration.state).value,
        until=duration.until,
    )
