"""GET /api/v1/projects/{project}/usage: what its resources used, hour by hour."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated

from aiohttp import web
from pydantic import Field

from os_credits.api.context import context_of
from os_credits.api.names import FOUND_NO_PROJECT, Names, ProjectQuery, project_of, read_names
from os_credits.api.reading import Moment
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import PeriodShape, UsagePage, UsageShape
from os_credits.domain.period import HOUR, floor_hour, from_ms, to_ms
from os_credits.errors import InvalidInput
from os_credits.store import batches
from os_credits.store.pool import snapshot
from os_credits.store.usage_reads import ResourceUsage, UsagePlace, list_resource_usage

ROWS_DEFAULT = 5_000
ROWS_MAX = 20_000
DEFAULT_LENGTH = timedelta(days=7)
_PLACE = re.compile(r"(\d{1,14})\.(\d{1,18})\.(\d{1,9})\.(\d)")

routes = Routes("Projects")


class UsageQuery(ProjectQuery):
    """Which hours of usage to list."""

    start: Moment | None = Field(
        None, description="Hours from here on; 7 days before the end if not given"
    )
    end: Moment | None = Field(None, description="Hours before this; now if not given")
    after: str | None = Field(None, description="`next` of the page before")
    limit: Annotated[int, Field(gt=0, le=ROWS_MAX)] = ROWS_DEFAULT


@routes.add(
    "GET",
    "/api/v1/projects/{project}/usage",
    gate=Gate.READ,
    summary="What a project's resources used, hour by hour",
    answers={200: Answer("Usage, oldest first", UsagePage)} | FOUND_NO_PROJECT,
)
async def list_usage(request: web.Request, query: UsageQuery) -> UsagePage:
    """Give one row for each hour, meter, flavor and resource, while usage is kept."""
    async with snapshot(context_of(request).pool) as conn:
        start, end = _hours(query, await batches.read_now(conn))
        after = None if query.after is None else _place_of(query.after)
        project = await project_of(request, conn, query)
        rows = await list_resource_usage(
            conn,
            project.id,
            start=start,
            end=end,
            after=after,
            limit=query.limit + 1,
        )
        names = await read_names(conn)
    return UsagePage(
        period=PeriodShape(start=start, end=end),
        usage=[_usage(row, names) for row in rows[: query.limit]],
        next=_text_of(rows[query.limit - 1].place) if len(rows) > query.limit else None,
    )


def _hours(query: UsageQuery, now: datetime) -> tuple[datetime, datetime]:
    # Samples may be a little ahead of the clock, never by an hour.
    end = query.end or floor_hour(now) + 2 * HOUR
    try:
        start = query.start or end - DEFAULT_LENGTH
    except OverflowError:
        raise InvalidInput("is too early", where="end") from None
    if end <= start:
        raise InvalidInput("must be after start", where="end")
    return start, end


def _usage(row: ResourceUsage, names: Names) -> UsageShape:
    definition = names.meters[row.meter_id]
    return UsageShape(
        hour=row.hour,
        meter=definition.name,
        flavor=names.flavor(row.flavor_id),
        series_id=row.place[1],
        resource=row.resource,
        identity=dict(row.identity),
        kind=row.kind.name.lower(),
        quantity=Decimal(names.units(row.meter_id, row.quantity)),
        unit=definition.priced_unit,
        credits=row.credits,
    )


def _text_of(place: UsagePlace) -> str:
    hour, series_id, flavor_id, kind = place
    return f"{to_ms(hour)}.{series_id}.{flavor_id}.{kind}"


def _place_of(text: str) -> UsagePlace:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidInput("must be the `next` of an earlier answer", where="after")
    hour_ms, series_id, flavor_id, kind = map(int, found.groups())
    return from_ms(hour_ms), series_id, flavor_id, kind
