"""Projects and what is known of each: balance, entries, notices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.names import FOUND_NO_PROJECT, Names, ProjectQuery, project_of, read_names
from os_credits.api.reading import Text
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import (
    BalanceShape,
    EntryPage,
    EntryShape,
    MailCounts,
    NoticeList,
    NoticeShape,
    ProjectAccount,
    ProjectPage,
)
from os_credits.domain.balance import Balance
from os_credits.domain.closing import Closing, state_of
from os_credits.domain.entry import Entry
from os_credits.domain.mail import MailState
from os_credits.domain.notice import Notice
from os_credits.domain.project import Project
from os_credits.store import closings, entries, mails, notices, projects
from os_credits.store.balances import read_balances
from os_credits.store.pool import snapshot

NOTICES_MAX = 1000

routes = Routes("Projects")


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


def account_of(
    project: Project, balance: Balance, closing: Closing | None = None
) -> ProjectAccount:
    """Shape a project with its balance; `closing` None: its end is not decided."""
    return ProjectAccount(
        id=project.id,
        site=project.site,
        external_id=project.external_id,
        domain=project.domain,
        name=project.name,
        balance=BalanceShape.model_validate(balance),
        state=state_of(closing, balance.as_of),
        closed_from=None if closing is None else closing.hour,
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
        ids = [one.id for one in found[: query.limit]]
        balances = await read_balances(conn, ids)
        closed = await closings.list_decided(conn, ids)
    return ProjectPage(
        projects=[
            account_of(one, balances[one.id], closed.get(one.id)) for one in found[: query.limit]
        ],
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
        closed = await closings.list_decided(conn, [project.id])
    return account_of(project, balances[project.id], closed.get(project.id))


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
        entries=[entry_shape(entry_id, entry, names) for entry_id, entry in found[: query.limit]],
        next=found[query.limit - 1][1].sequence if len(found) > query.limit else None,
    )


def entry_shape(entry_id: int, entry: Entry, names: Names) -> EntryShape:
    """Shape an entry with the names of its meter and flavor."""
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
    "/api/v1/projects/{project}/notices",
    gate=Gate.READ,
    summary="Of what a project's people were told",
    answers={200: Answer("Notices, the latest first", NoticeList)} | FOUND_NO_PROJECT,
)
async def list_notices(request: web.Request, query: ProjectQuery) -> NoticeList:
    """Give the latest thousand, without addresses."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        found = await notices.list_notices(conn, project.id, limit=NOTICES_MAX)
        counts = await mails.count_by_notice(conn, [one.id for one in found])
    return NoticeList(notices=[notice_shape(one, counts) for one in found])


def notice_shape(notice: Notice, counts: Mapping[tuple[int, MailState], int]) -> NoticeShape:
    """Shape a notice with the counts of its mails, by notice and state."""
    return NoticeShape(
        id=notice.id,
        kind=notice.kind,
        percent=notice.percent,
        line=notice.line,
        from_line=notice.from_line,
        value=notice.value,
        balance=notice.balance,
        granted=notice.granted,
        created_at=notice.created_at,
        facts=dict(notice.facts),
        mails=MailCounts(
            sent=counts.get((notice.id, MailState.SENT), 0),
            pending=counts.get((notice.id, MailState.PENDING), 0),
            refused=counts.get((notice.id, MailState.REFUSED), 0),
        ),
    )
