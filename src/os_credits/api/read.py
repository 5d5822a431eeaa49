"""Projects and what is known of each: balance, entries, grants, usage, notices."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.names import Names, ProjectQuery, project_of, read_names
from os_credits.api.reading import Moment, Text
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import (
    BalanceShape,
    EntryPage,
    EntryShape,
    ErrorShape,
    GrantPage,
    GrantShape,
    MailCounts,
    NoticeList,
    NoticeShape,
    PeriodShape,
    ProjectAccount,
    ProjectPage,
    UsagePage,
    UsageShape,
)
from os_credits.domain.balance import Balance
from os_credits.domain.entry import Entry
from os_credits.domain.notice import MailState
from os_credits.domain.period import HOUR, floor_hour, from_ms, to_ms
from os_credits.domain.project import Project
from os_credits.errors import InvalidInput
from os_credits.store import batches, entries, grants, mails, notices, projects
from os_credits.store.balances import read_balances
from os_credits.store.pool import snapshot
from os_credits.store.usage_reads import ResourceUsage, UsagePlace, list_resource_usage

NOTICES_MAX = 1000
USAGE_ROWS_DEFAULT = 5_000
USAGE_ROWS_MAX = 50_000
USAGE_LENGTH = timedelta(days=7)
_USAGE_PLACE = re.compile(r"(\d{1,14})\.(\d{1,18})\.(\d{1,9})\.(\d)")

routes = Routes("Projects")

FOUND_NO_PROJECT = {404: Answer("There is no such project for this key", ErrorShape)}


class PageQuery(BaseModel):
    """A part of a list that is given in the order of its numbers."""

    after: Annotated[int, Field(ge=0, lt=2**63)] = 0
    limit: Annotated[int, Field(gt=0, le=1000)] = 100


class ProjectsQuery(PageQuery):
    """Which projects to list."""

    name: Text | None = Field(None, description="Only projects of this name or cloud id")
    site: Text | None = Field(None, description="Only projects of this site")
    domain: Text | None = Field(None, description="Only projects of this domain")


class ProjectPageQuery(ProjectQuery, PageQuery):
    """A part of a list that belongs to a project."""


class UsageQuery(ProjectQuery):
    """Which hours of usage to list."""

    start: Moment | None = Field(
        None, description="Hours from here on; 7 days before the end if not given"
    )
    end: Moment | None = Field(None, description="Hours before this; now if not given")
    after: str | None = Field(None, description="`next` of the page before")
    limit: Annotated[int, Field(gt=0, le=USAGE_ROWS_MAX)] = USAGE_ROWS_DEFAULT


def account_of(project: Project, balance: Balance) -> ProjectAccount:
    """Shape a project with its balance."""
    return ProjectAccount(
        id=project.id,
        site=project.site,
        external_id=project.external_id,
        domain=project.domain,
        name=project.name,
        balance=BalanceShape.model_validate(balance),
    )


@routes.add(
    "GET",
    "/api/v1/projects",
    gate=Gate.READ,
    summary="All projects that the key may read, with their balances",
    answers={200: Answer("Projects, in the order of their numbers", ProjectPage)},
)
async def list_projects(request: web.Request, query: ProjectsQuery) -> ProjectPage:
    """Give a page of projects; a key that is limited to some sees only those."""
    among = access_of(request).projects
    async with snapshot(context_of(request).pool) as conn:
        found = await projects.search_projects(
            conn,
            name=query.name,
            site=query.site,
            domain=query.domain,
            among=None if among is None else sorted(among),
            after_id=query.after,
            limit=query.limit + 1,
        )
        balances = await read_balances(conn, [one.id for one in found[: query.limit]])
    return ProjectPage(
        projects=[account_of(one, balances[one.id]) for one in found[: query.limit]],
        next=found[query.limit - 1].id if len(found) > query.limit else None,
    )


@routes.add(
    "GET",
    "/api/v1/projects/{project}",
    gate=Gate.READ,
    summary="A project and its balance",
    answers={200: Answer("The project", ProjectAccount)} | FOUND_NO_PROJECT,
)
async def read_project(request: web.Request, query: ProjectQuery) -> ProjectAccount:
    """Give the balance: what was given less what was charged, booked or not."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        balances = await read_balances(conn, [project.id])
    return account_of(project, balances[project.id])


@routes.add(
    "GET",
    "/api/v1/projects/{project}/grants",
    gate=Gate.READ,
    summary="Credits given to a project",
    answers={200: Answer("Grants, oldest first", GrantPage)} | FOUND_NO_PROJECT,
)
async def list_grants(request: web.Request, query: ProjectPageQuery) -> GrantPage:
    """Give a page of grants; each has an entry of its own in the ledger."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        found = await grants.list_grants(
            conn, project.id, after_id=query.after, limit=query.limit + 1
        )
    return GrantPage(
        grants=[GrantShape.model_validate(one) for one in found[: query.limit]],
        next=found[query.limit - 1].id if len(found) > query.limit else None,
    )


@routes.add(
    "GET",
    "/api/v1/projects/{project}/entries",
    gate=Gate.READ,
    summary="A project's ledger, line by line",
    answers={200: Answer("Entries, in the order of booking", EntryPage)} | FOUND_NO_PROJECT,
)
async def list_entries(request: web.Request, query: ProjectPageQuery) -> EntryPage:
    """Give a page of entries; `after` is the sequence of the last one known already."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        found = await entries.list_entries(
            conn, project.id, after_sequence=query.after, limit=query.limit + 1
        )
        names = await read_names(conn)
    return EntryPage(
        entries=[_entry(entry_id, entry, names) for entry_id, entry in found[: query.limit]],
        next=found[query.limit - 1][1].sequence if len(found) > query.limit else None,
    )


def _entry(entry_id: int, entry: Entry, names: Names) -> EntryShape:
    draft = entry.draft
    return EntryShape(
        id=entry_id,
        sequence=entry.sequence,
        kind=draft.kind,
        amount=draft.amount,
        balance=entry.balance,
        hour=draft.hour,
        meter=names.meter(draft.meter_id),
        flavor=names.flavor(draft.flavor_id),
        reason=draft.reason,
        author=draft.author,
        corrects=draft.corrects,
        entry_key=draft.entry_key,
        booked_at=entry.booked_at,
        previous_hash=entry.previous_hash,
        hash=entry.hash,
    )


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
        start = query.start or end - USAGE_LENGTH
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
    found = _USAGE_PLACE.fullmatch(text)
    if found is None:
        raise InvalidInput("must be the `next` of an earlier answer", where="after")
    hour_ms, series_id, flavor_id, kind = map(int, found.groups())
    return from_ms(hour_ms), series_id, flavor_id, kind


@routes.add(
    "GET",
    "/api/v1/projects/{project}/notices",
    gate=Gate.READ,
    summary="When a project's owners were told that credits run low",
    answers={200: Answer("Notices, the latest first", NoticeList)} | FOUND_NO_PROJECT,
)
async def list_notices(request: web.Request, query: ProjectQuery) -> NoticeList:
    """Give the latest thousand, without addresses."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        found = await notices.list_notices(conn, project.id, limit=NOTICES_MAX)
        counts = await mails.count_by_notice(conn, [one.id for one in found])
    return NoticeList(
        notices=[
            NoticeShape(
                id=one.id,
                percent=one.percent,
                balance=one.balance,
                granted=one.granted,
                created_at=one.created_at,
                mails=MailCounts(
                    sent=counts.get((one.id, MailState.SENT), 0),
                    pending=counts.get((one.id, MailState.PENDING), 0),
                    refused=counts.get((one.id, MailState.REFUSED), 0),
                ),
            )
            for one in found
        ]
    )
