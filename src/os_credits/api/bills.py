"""GET /api/v1/bill: what an organisation, a project or a resource cost in a period."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from os_credits.api.auth import access_of, may_read
from os_credits.api.bill_csv import bill_csv
from os_credits.api.bill_shapes import (
    AccountBlockShape,
    BillGroupShape,
    BillLineShape,
    BillShape,
    SubjectShape,
)
from os_credits.api.context import context_of
from os_credits.api.names import ProjectQuery
from os_credits.api.organisation_shapes import OrganisationShape
from os_credits.api.reading import Moment, Name
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ConflictShape, ErrorShape, PeriodShape, ProjectShape
from os_credits.domain.allowance import floor_month, next_month
from os_credits.domain.bill import (
    Bill,
    BillGroup,
    BillLine,
    By,
    Order,
    Subject,
    place_of,
    place_text,
)
from os_credits.domain.period import Period, full_hour
from os_credits.errors import InvalidInput
from os_credits.flows.bill import (
    FILE_HOURS_MAX,
    PAGE_HOURS_MAX,
    Asked,
    BillRequest,
    find_subject,
    read_bill,
    visible_projects,
)
from os_credits.store import batches
from os_credits.store.pool import snapshot

CSV_TYPE = "text/csv"
GROUPS_DEFAULT = 100
GROUPS_MAX = 1000
# Of a file for spreadsheets, which is made whole.
CSV_GROUPS_MAX = 100_000

routes = Routes("Bills")


class BillQuery(ProjectQuery):
    """Whose bill, of which hours, in which groups and form."""

    organisation: Name | None = Field(
        None, description="Its name, or `#` and its number; with everything beneath it"
    )
    project: Name | None = Field(None, description="A name, a cloud's id, or `#` and a number")
    resource: Name | None = Field(None, description="Only this resource of the project")
    start: Moment | None = Field(None, description="A full hour (UTC); this month if not given")
    end: Moment | None = Field(
        None, description="The full hour (UTC) before which it ends; else a month after the start's"
    )
    by: By | None = Field(
        None,
        description="Groups: part (of an organisation, usual there), project, meter (else usual),"
        " resource (of a project), day or month",
    )
    order: Order = Field(Order.NUMBER, description="By our number or time, or the dearest first")
    after: str | None = Field(None, description="`next` of the page before")
    limit: Annotated[int, Field(gt=0, le=GROUPS_MAX)] | None = Field(
        None, description=f"{GROUPS_DEFAULT} groups if not given; of CSV, all"
    )
    quantities: bool | None = Field(
        None, description="Whether to tell quantities though it takes seconds; CSV does"
    )
    format: Literal["json", "csv"] | None = Field(
        None, description="Takes the place of the header Accept"
    )


@routes.add(
    "GET",
    "/api/v1/bill",
    gate=Gate.READ,
    summary="What an organisation, a project or a resource cost, in lines that add up exactly",
    answers={
        200: Answer("The bill, or a page of its groups", BillShape, also=(CSV_TYPE,)),
        404: Answer("There is no such thing for this caller", ErrorShape),
        409: Answer("An ambiguous name of a project", ConflictShape),
    },
)
async def get_bill(request: web.Request, query: BillQuery) -> web.Response:
    """Each hour counts where the project belonged then, a correction in the hour it corrects.

    What is charged, but not booked yet, is included, and told as `open`. An organisation's bill
    holds the projects that the caller may read; whoever manages it gets all of it. A CSV has
    rows `line` and `subtotal` of all groups and a row `total`, unless `limit` is given; texts
    that a spreadsheet would take for a formula have an apostrophe before them.
    """
    wants_csv = query.format == "csv" or (query.format is None and _takes_csv_only(request))
    access = access_of(request)
    async with snapshot(context_of(request).pool) as conn:
        subject = await find_subject(
            conn,
            access,
            Asked(query.organisation, query.project, query.resource, query.site, query.domain),
            may_see=lambda one: may_read(access, one),
        )
        period = period_of(query.start, query.end, await batches.read_now(conn))
        wanted = BillRequest(
            subject,
            period,
            subject.grouping(query.by),
            visible=None
            if subject.organisation is None
            else await visible_projects(conn, access, subject.organisation),
            order=query.order,
            after=None if query.after is None else place_of(query.after),
            limit=query.limit or (CSV_GROUPS_MAX if wants_csv else GROUPS_DEFAULT),
            hours_max=FILE_HOURS_MAX
            if query.quantities or (wants_csv and query.quantities is None)
            else PAGE_HOURS_MAX,
            with_account=subject.resource is None and query.after is None and not wants_csv,
        )
        bill = await read_bill(conn, wanted)
    if wants_csv:
        return await _csv(bill, query)
    # Beside the event loop, since there may be very many lines.
    response = json_response(await asyncio.to_thread(bill_shape, bill))
    response.headers["Vary"] = "Accept, Authorization, Cookie"
    return response


def _takes_csv_only(request: web.Request) -> bool:
    return request.headers.get("Accept", "").partition(";")[0].strip().lower() == CSV_TYPE


def period_of(start: datetime | None, end: datetime | None, now: datetime) -> Period:
    """Give the hours from one to another; a missing start is that of a month, so is an end."""
    start = full_hour(start or floor_month(end or now), where="start")
    try:
        end = full_hour(end or next_month(floor_month(start)), where="end")
    except OverflowError:
        raise InvalidInput("is too late", where="start") from None
    if end <= start:
        raise InvalidInput("must be after start", where="end")
    return Period(start, end)


async def _csv(bill: Bill, query: BillQuery) -> web.Response:
    if bill.next is not None and query.limit is None:
        raise InvalidInput(f"more than {CSV_GROUPS_MAX} groups: group otherwise", where="by")
    headers = {
        "Content-Disposition": f'attachment; filename="{file_name(bill)}.csv"',
        "Vary": "Accept, Authorization, Cookie",
        "X-Content-Type-Options": "nosniff",
    }
    if bill.next is not None:
        headers["X-Next"] = place_text(bill.next)
    text = await asyncio.to_thread(bill_csv, bill)
    return web.Response(text=text, content_type=CSV_TYPE, charset="utf-8", headers=headers)


def file_name(bill: Bill) -> str:
    """Name a file that holds a bill, by numbers and dates only: names may hold anything."""
    subject = bill.subject
    if subject.organisation is not None:
        whose = f"organisation-{subject.organisation.id}"
    else:
        whose = f"project-{subject.project.id if subject.project else 0}"
    start, end = (f"{one:%Y-%m-%d}" for one in (bill.period.start, bill.period.end))
    return f"bill-{whose}-{start}-{end}"


def bill_shape(bill: Bill) -> BillShape:
    """Shape a bill."""
    subject = bill.subject
    return BillShape(
        subject=SubjectShape(
            organisation=_organisation(subject),
            project=_project(subject),
            resource=subject.resource,
        ),
        period=PeriodShape(start=bill.period.start, end=bill.period.end),
        by=bill.by,
        as_of=bill.as_of,
        credits=bill.credits,
        open=bill.open,
        lines=[_line(one) for one in bill.lines],
        groups=[_group(one) for one in bill.groups],
        has_quantities=bill.has_quantities,
        account=None if bill.account is None else AccountBlockShape.model_validate(bill.account),
        next=None if bill.next is None else place_text(bill.next),
    )


def _organisation(one: Subject | BillGroup) -> OrganisationShape | None:
    return None if one.organisation is None else OrganisationShape.model_validate(one.organisation)


def _project(one: Subject | BillGroup) -> ProjectShape | None:
    return None if one.project is None else ProjectShape.model_validate(one.project)


def _group(group: BillGroup) -> BillGroupShape:
    return BillGroupShape(
        organisation=_organisation(group),
        project=_project(group),
        meter=group.meter,
        resource=group.resource,
        start=group.start,
        lines=[_line(one) for one in group.lines],
        credits=group.credits,
        open=group.open,
    )


def _line(line: BillLine) -> BillLineShape:
    return BillLineShape(
        meter=line.meter,
        flavor=line.flavor,
        unit=line.unit,
        quantity=line.quantity,
        unpriced_quantity=line.unpriced,
        unit_price=line.price.credits_per_unit,
        price_count=line.price.count,
        credits=line.credits,
        open=line.open,
    )
