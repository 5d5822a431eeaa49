"""The shapes of the de.NBI service, for its portal: numbers as JSON numbers, times as text.

Its versions contradict each other; here a history is oldest first, tells what is used in
total, and names metrics, as its versions 2 do, and 204 means known but unused, as in 1.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, TypeAlias

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, RootModel, WithJsonSchema

from os_credits.api.context import context_of
from os_credits.api.costs import Counts, quote_meters
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, project_of
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import ErrorShape
from os_credits.domain.period import EPOCH, to_ms
from os_credits.errors import InvalidInput
from os_credits.flows.history import read_used
from os_credits.flows.prices import read_price_table
from os_credits.store import batches
from os_credits.store.balances import read_balances
from os_credits.store.pool import snapshot

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
# The shape knows no pages: a longer history must be asked for in parts.
LINES_MAX = 200_000

routes = Routes("As the de.NBI service")


def _moment(value: object) -> datetime:
    try:
        return datetime.strptime(str(value), TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("must look like 2026-01-31 12:00:00 (UTC)") from None


Time: TypeAlias = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "examples": ["2026-01-31 12:00:00"]}),
]


class CompatHistoryQuery(ProjectQuery):
    """The hours from `start_date` to `end_date`, both included."""

    start_date: Time | None = None
    end_date: Time | None = None


class CompatHistory(BaseModel):
    """Three columns: the hour, what was used in all after it, the metric that used it."""

    timestamps: list[str]
    credits: list[float]
    metrics: list[str]


class CompatCredits(BaseModel):
    """What was used, and what was granted, in all."""

    current_credits: float
    granted_credits: float


class MetricPrices(RootModel[dict[str, float]]):
    """Credits per unit of each metric."""


class MetricAmounts(RootModel[Counts]):
    """How much of each metric: by its name, or as `cpu` and `ram`."""


def _number(amount: Decimal) -> float:
    """Make the JSON number that this shape wants; nothing is ever calculated with it."""
    return float(amount)


@routes.add(
    "GET",
    "/api/credits_history/{project_name}",
    gate=Gate.COMPAT,
    summary="A project's history, in columns",
    answers={
        200: Answer("Oldest first", CompatHistory),
        204: Answer("The project is known, but nothing was used in this time"),
    }
    | FOUND_NO_PROJECT,
)
async def credits_history(
    request: web.Request, query: CompatHistoryQuery
) -> web.Response | CompatHistory:
    """One line for each hour, metric and flavor, with what was used in all after it."""
    start, end = query.start_date or EPOCH, query.end_date
    if end is not None and end <= start:
        raise InvalidInput("must be older than end_date", where="start_date")
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        columns = await read_used(
            conn,
            project.id,
            start=start,
            until=None if end is None else end + timedelta(microseconds=1),
            lines_max=LINES_MAX,
        )
    if len(columns.hours) > LINES_MAX:
        raise InvalidInput(f"more than {LINES_MAX} lines, ask for less time", where="start_date")
    if not columns.hours:
        return web.Response(status=204)
    return CompatHistory(timestamps=columns.hours, credits=columns.used, metrics=columns.metrics)


@routes.add(
    "GET",
    "/api/current_credits/{project_name}",
    gate=Gate.COMPAT,
    summary="What a project has used, and what it was granted",
    answers={200: Answer("Both in all", CompatCredits)} | FOUND_NO_PROJECT,
)
async def current_credits(request: web.Request, query: ProjectQuery) -> CompatCredits:
    """`current_credits` is the amount used, as the de.NBI service means it."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        balance = (await read_balances(conn, [project.id]))[project.id]
    return CompatCredits(
        current_credits=_number(balance.used), granted_credits=_number(balance.granted)
    )


@routes.add(
    "GET",
    "/api/metrics",
    gate=Gate.COMPAT,
    summary="What the metrics cost now",
    answers={200: Answer("Price by metric", MetricPrices)},
)
async def metric_prices(request: web.Request) -> MetricPrices:
    """Every metric that has a price without a flavor."""
    async with snapshot(context_of(request).pool) as conn:
        now_ms = to_ms(await batches.read_now(conn))
        table = await read_price_table(conn)
    metrics = {meter.name: meter.metric for meter in table.meters.values()}
    return MetricPrices(
        {
            metrics[name]: _number(price.credits_per_unit)
            for name, price in table.own_prices(now_ms).items()
            if price.credits_per_unit is not None
        }
    )


@routes.add(
    "POST",
    "/api/costs_per_hour",
    gate=Gate.COMPAT,
    summary="What amounts of metrics cost per hour",
    answers={
        200: Answer("A bare number: credits per hour, rounded", float),
        404: Answer("A metric that is unknown, or has no price", ErrorShape),
    },
)
async def costs_per_hour(request: web.Request, body: MetricAmounts) -> web.Response:
    """Each part and the sum are rounded to the digits of OS_CREDITS_PRECISION."""
    digits = context_of(request).precision
    async with snapshot(context_of(request).pool) as conn:
        now_ms = to_ms(await batches.read_now(conn))
        table = await read_price_table(conn)
    lines = quote_meters(table, body.root, now_ms)
    total = sum((round(line.credits, digits) for line in lines), Decimal(0))
    return web.json_response(_number(total))
