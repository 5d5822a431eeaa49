"""GET /api/v1/hosts: what was used on each compute node, in each region, of each provider."""

from __future__ import annotations

import asyncio
import csv
from datetime import datetime
from decimal import Decimal
from io import StringIO
from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field, WithJsonSchema

from os_credits.api.context import context_of
from os_credits.api.history_csv import safe_cell
from os_credits.api.reading import Moment, Text
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import (
    CreditsText,
    ErrorShape,
    NumberText,
    ProjectShape,
    Shape,
    credits_text,
    short_text,
)
from os_credits.domain.meter import MeterDefinition
from os_credits.errors import NotFound
from os_credits.flows import hosts as flow
from os_credits.flows.hosts import HostBy, HostDetail, HostReport, HostSort
from os_credits.rating.charge import units_of
from os_credits.store.host_reads import HostSum
from os_credits.store.pool import snapshot

CSV_TYPE = "text/csv"
LINES_MAX = 500
CSV_LINES_MAX = 20_000
ID_DIGITS_MAX = 9

routes = Routes("Compute nodes")


class DaysQuery(BaseModel):
    """Which days: from `start` up to before `end`, whole days in UTC."""

    start: Moment | None = Field(None, description="The last days up to `end` if not given")
    end: Moment | None = Field(None, description="Today is the last day if not given")


class HostsQuery(DaysQuery):
    """Which days, of which meter, summed by what."""

    by: Annotated[HostBy, WithJsonSchema({"type": "string", "enum": list(HostBy)})] = HostBy.HOST
    meter: Text | None = Field(None, description="Only usage of this meter")
    sort: Annotated[HostSort, WithJsonSchema({"type": "string", "enum": list(HostSort)})] = Field(
        HostSort.CREDITS, description="The largest first, or by name"
    )
    after: Text | None = Field(None, description="`next` of an earlier answer")
    limit: Annotated[int, Field(gt=0, le=LINES_MAX)] | None = Field(
        None, description="50 lines if not given; of CSV, all"
    )
    format: Literal["json", "csv"] | None = Field(
        None, description="Takes the place of the header Accept"
    )


class HostHours(Shape):
    """What flavors are made of, times the hours of their servers; null: not described."""

    vcpu_hours: NumberText | None
    ram_gib_hours: NumberText | None
    disk_gib_hours: NumberText | None


class HostLineShape(HostHours):
    """A compute node (`host_id`), a region or a provider; '' is what no label names.

    `resources` is how many metered things used it on a day, on average.
    """

    host_id: int | None
    host: str
    region: str
    provider: str
    quantity: NumberText | None = Field(description="In `unit`, of the one meter asked for")
    credits: CreditsText
    share_percent: NumberText | None
    resources: NumberText


class HostTotalsShape(HostHours):
    """All lines together, also those of other parts of the list."""

    line_count: int
    quantity: NumberText | None
    credits: CreditsText
    resources: NumberText


class HostPage(Shape):
    """Lines and their sum, of whole UTC days; `summed_at` says how new it is.

    It shows where credits were used, by hours. Accounts are in the ledger, not here.
    """

    start: datetime
    end: datetime
    by: HostBy
    meter: str | None
    unit: str | None
    lines: list[HostLineShape]
    totals: HostTotalsShape | None = Field(description="null: there is no line")
    next: str | None
    summed_at: datetime | None


@routes.add(
    "GET",
    "/api/v1/hosts",
    gate=Gate.ADMIN,
    summary="What was used on each compute node, in each region, of each provider",
    answers={
        200: Answer("A part of the list", HostPage, also=(CSV_TYPE,)),
        404: Answer("There is no such meter", ErrorShape),
    },
)
async def list_hosts(request: web.Request, query: HostsQuery) -> web.Response:
    """All lines of some days add up to all that was charged for these days.

    In CSV, texts that a spreadsheet would take for a formula have an apostrophe before them.
    """
    wants_csv = query.format == "csv" or (query.format is None and _takes_csv_only(request))
    asked = flow.Asked(
        query.start,
        query.end,
        query.by,
        query.meter,
        query.sort,
        query.after,
        query.limit or (CSV_LINES_MAX if wants_csv else 50),
    )
    async with snapshot(context_of(request).pool) as conn:
        report = await flow.read_hosts(conn, asked)
    page = page_of(report, query.by)
    if not wants_csv:
        return json_response(page)
    name = f"{query.by}-{report.start:%Y-%m-%d}-{report.end:%Y-%m-%d}.csv"
    return web.Response(
        text=await asyncio.to_thread(hosts_csv, page),
        content_type=CSV_TYPE,
        charset="utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="usage-by-{name}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


def _takes_csv_only(request: web.Request) -> bool:
    return request.headers.get("Accept", "").partition(";")[0].strip().lower() == CSV_TYPE


def page_of(report: HostReport, by: HostBy) -> HostPage:
    """Show a part of the list."""
    totals = report.totals
    return HostPage(
        start=report.start,
        end=report.end,
        by=by,
        meter=None if report.meter is None else report.meter.name,
        unit=None if report.meter is None else report.meter.priced_unit,
        lines=[_line(line, report) for line in report.lines],
        totals=None
        if totals is None
        else HostTotalsShape(
            line_count=totals.line_count,
            quantity=_units(totals.quantity, report.meter),
            credits=totals.credits,
            vcpu_hours=totals.vcpu_hours,
            ram_gib_hours=totals.ram_gib_hours,
            disk_gib_hours=totals.disk_gib_hours,
            resources=_per_day(totals.resource_days, report.day_count),
        ),
        next=report.next,
        summed_at=report.summed_at,
    )


def _line(line: HostSum, report: HostReport) -> HostLineShape:
    share = report.share(line)
    return HostLineShape(
        host_id=line.host_id,
        host=line.host,
        region=line.region,
        provider=line.provider,
        quantity=_units(line.quantity, report.meter),
        credits=line.credits,
        share_percent=None if share is None else round(share, 3),
        vcpu_hours=line.vcpu_hours,
        ram_gib_hours=line.ram_gib_hours,
        disk_gib_hours=line.disk_gib_hours,
        resources=_per_day(line.resource_days, report.day_count),
    )


def _units(quantity: int, meter: MeterDefinition | None) -> Decimal | None:
    return None if meter is None else Decimal(units_of(quantity, meter))


def _per_day(resource_days: int, day_count: int) -> Decimal:
    return round(Decimal(resource_days) / day_count, 3)


_COLUMNS = (
    "host", "region", "provider", "vcpu_hours", "ram_gib_hours", "disk_gib_hours", "quantity",
    "unit", "credits", "share_percent", "resources",
)  # fmt: skip


def hosts_csv(page: HostPage) -> str:
    """Write all lines; no cell acts when the file is opened."""
    written = StringIO()
    table = csv.writer(written)
    table.writerow(_COLUMNS)
    for line in page.lines:
        table.writerow(
            [
                safe_cell(line.host),
                safe_cell(line.region),
                safe_cell(line.provider),
                _number(line.vcpu_hours),
                _number(line.ram_gib_hours),
                _number(line.disk_gib_hours),
                _number(line.quantity),
                safe_cell(page.unit or ""),
                credits_text(line.credits),
                _number(line.share_percent),
                _number(line.resources),
            ]
        )
    return written.getvalue()


def _number(value: Decimal | None) -> str:
    return "" if value is None else short_text(value)


class HostShape(Shape):
    """A compute node as labels name it."""

    id: int
    name: str
    region: str
    provider: str


class HostDayShape(Shape):
    """What was used on a UTC day; `resources` counts each metered thing and flavor once."""

    day: datetime
    credits: CreditsText
    vcpu_hours: NumberText | None
    ram_gib_hours: NumberText | None
    resources: int


class HostProjectShape(Shape):
    """What a project has used here in these days."""

    project: ProjectShape
    credits: CreditsText
    resources: int


class HostResourceShape(Shape):
    """What a resource has used here in these days, and where it is now."""

    project_id: int
    resource: str
    meter: str
    flavor: str | None
    quantity: NumberText
    unit: str
    credits: CreditsText
    first_day: datetime
    last_day: datetime
    is_here: bool = Field(description="Whether its latest sample names this compute node")
    state: str


class HostDetailShape(Shape):
    """A compute node's days; projects and resources as far as usage by hour is kept.

    These are null for what no label names, and where they are too many to list.
    """

    host: HostShape
    start: datetime
    end: datetime
    days: list[HostDayShape]
    projects: list[HostProjectShape] | None
    resources: list[HostResourceShape] | None


@routes.add(
    "GET",
    "/api/v1/hosts/{host}",
    gate=Gate.ADMIN,
    summary="A compute node, day by day, with its projects and resources",
    answers={
        200: Answer("The compute node", HostDetailShape),
        404: Answer("There is no such compute node", ErrorShape),
    },
)
async def get_host(request: web.Request, query: DaysQuery) -> HostDetailShape:
    """`host` is the `host_id` of a line; the last seven days if none are given."""
    host_id = host_number(request.match_info["host"])
    async with snapshot(context_of(request).pool) as conn:
        detail = await flow.read_host(conn, host_id, query.start, query.end)
    return detail_of(detail)


def host_number(text: str) -> int:
    """Read the number of a compute node; NotFound for what is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= ID_DIGITS_MAX):
        raise NotFound(f"there is no compute node {text[:100]}")
    return int(text)


def detail_of(detail: HostDetail) -> HostDetailShape:
    """Show a compute node."""
    projects, resources = detail.projects, detail.resources
    return HostDetailShape(
        host=HostShape.model_validate(detail.host),
        start=detail.start,
        end=detail.end,
        days=[
            HostDayShape(
                day=one.day,
                credits=one.credits,
                vcpu_hours=one.vcpu_hours,
                ram_gib_hours=one.ram_gib_hours,
                resources=one.resource_count,
            )
            for one in detail.days
        ],
        projects=None
        if projects is None
        else [
            HostProjectShape(
                project=ProjectShape.model_validate(one.project),
                credits=one.credits,
                resources=one.resource_count,
            )
            for one in projects
        ],
        resources=None
        if resources is None
        else [
            HostResourceShape(
                project_id=one.project.id,
                resource=one.used.resource,
                meter=one.meter.name,
                flavor=one.flavor or None,
                quantity=Decimal(units_of(one.used.quantity, one.meter)),
                unit=one.meter.priced_unit,
                credits=one.used.credits,
                first_day=one.used.first_day,
                last_day=one.used.last_day,
                is_here=one.place is not None and one.place.host_id == detail.host.id,
                state="" if one.place is None else one.place.state,
            )
            for one in resources
        ],
    )
