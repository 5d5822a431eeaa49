"""Credits given to a project on terms: given, topped up, taken back, listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from os_credits.api.account_shapes import (
    GrantPage,
    GrantShape,
    LatestGrantPage,
    LatestGrantShape,
)
from os_credits.api.context import context_of
from os_credits.api.instructions import (
    Explained,
    PositiveAmount,
    Priority,
    Told,
    answers,
    author_and_key,
    carried_out,
)
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, id_of, project_of
from os_credits.api.read import ProjectPageQuery
from os_credits.api.reading import Line, Moment, Text
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import ProjectShape
from os_credits.domain.amount import Credits, from_micro
from os_credits.domain.grant import Grant, GrantRequest, GrantState, Terms
from os_credits.domain.instruction import TopUp, Void
from os_credits.domain.lot import LotKind, LotState
from os_credits.flows.grants import read_fates, read_latest
from os_credits.store import grants
from os_credits.store.pool import Connection, connection, snapshot

routes = Routes("Accounts")


class NewGrant(Told):
    """Credits to give; without terms they count from this hour on, for ever."""

    amount: PositiveAmount
    reason: Line = ""
    valid_from: Moment | None = Field(
        None, description="A full hour; past ones are allowed. This hour if not given"
    )
    expires_at: Moment | None = Field(None, description="A full hour; never if not given")
    priority: Priority = Field(0, description="The smaller, the earlier it burns")


class MoreCredits(Told):
    """Credits to add on the terms of a grant."""

    amount: PositiveAmount
    reason: Line = ""


@routes.add(
    "POST",
    "/api/v1/projects/{project}/grants",
    gate=Gate.ADMIN,
    summary="Give credits to a project",
    answers=answers("Granted", "a project that is closed"),
)
async def add_grant(request: web.Request, query: ProjectQuery, body: NewGrant) -> web.Response:
    """Send an idempotency key, so that a repetition after a lost answer grants nothing twice.

    A grant whose hour is still to come gets its entry then. It pays debt first.
    """
    author, key = author_and_key(request, body)
    terms = Terms(body.valid_from, body.expires_at, body.priority)
    async with connection(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
    amount = Credits(body.amount)
    return await carried_out(
        request, GrantRequest(project.id, amount, body.reason, author, key, terms)
    )


@routes.add(
    "GET",
    "/api/v1/projects/{project}/grants",
    gate=Gate.READ,
    summary="Credits given to a project, and what became of them",
    answers={200: Answer("Grants, oldest first", GrantPage)} | FOUND_NO_PROJECT,
)
async def list_grants(request: web.Request, query: ProjectPageQuery) -> GrantPage:
    """Give a page of grants, with openings, upward adjustments and transfers from elsewhere.

    All usage that is rated has burned, booked or not.
    """
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        found = await grants.list_grants(
            conn, project.id, after_id=query.after, limit=query.limit + 1
        )
        shapes = await grant_shapes(conn, project.id, found[: query.limit])
    return GrantPage(grants=shapes, next=shapes[-1].id if len(found) > query.limit else None)


class LatestQuery(BaseModel):
    """Which grants of all projects to list."""

    before: Annotated[int, Field(gt=0, lt=2**63)] = 2**63 - 1
    limit: Annotated[int, Field(gt=0, le=1000)] = 100
    kind: Literal["opening", "grant", "adjustment", "transfer"] | None = None
    state: Literal["scheduled", "valid", "expired", "void"] | None = None
    author: Text = Field("", description="A part of the name of who gave them")


@routes.add(
    "GET",
    "/api/v1/grants",
    gate=Gate.ADMIN,
    summary="Credits given to all projects, the latest first",
    answers={200: Answer("Grants, newest first", LatestGrantPage)},
)
async def list_latest(request: web.Request, query: LatestQuery) -> LatestGrantPage:
    """Give a page of grants, with openings, upward adjustments and transfers."""
    async with snapshot(context_of(request).pool) as conn:
        page = await read_latest(
            conn,
            before_id=query.before,
            limit=query.limit,
            kind=None if query.kind is None else LotKind(query.kind),
            state=None if query.state is None else GrantState(query.state),
            author=query.author,
        )
    return LatestGrantPage(
        grants=[
            LatestGrantShape(
                id=one.id,
                project=ProjectShape.model_validate(page.projects[one.project_id]),
                kind=one.kind,
                amount=one.amount,
                state=one.state_at(page.now),
                valid_from=one.valid_from,
                expires_at=one.expires_at,
                priority=one.priority,
                reason=one.reason,
                author=one.author,
                created_at=one.created_at,
            )
            for one in page.grants
        ],
        next=page.following,
    )


async def grant_shapes(
    conn: Connection, project_id: int, found: Sequence[Grant]
) -> list[GrantShape]:
    """Shape grants of a project with what became of each by now."""
    now, fates = await read_fates(conn, project_id, found)
    return [_shape(one, fates[one.id], one.state_at(now)) for one in found]


def _shape(grant: Grant, fate: LotState, state: GrantState) -> GrantShape:
    """Shape a grant."""
    return GrantShape(
        id=grant.id,
        kind=grant.kind,
        amount=grant.amount,
        burned=from_micro(fate.burned_micro),
        expired=from_micro(fate.expired_micro),
        left=from_micro(fate.left_micro),
        state=state,
        valid_from=grant.valid_from,
        expires_at=grant.expires_at,
        priority=grant.priority,
        allowance_id=grant.allowance_id,
        tops_up=grant.tops_up,
        entry_id=grant.entry_id,
        reason=grant.reason,
        author=grant.author,
        created_at=grant.created_at,
    )


@routes.add(
    "POST",
    "/api/v1/projects/{project}/grants/{grant}/top-up",
    gate=Gate.ADMIN,
    summary="Add credits on the terms of a grant",
    answers=answers("Added", "a grant that is over"),
)
async def top_up(request: web.Request, query: ProjectQuery, body: MoreCredits) -> web.Response:
    """Make a grant of its own that ends, and burns, with the one it tops up."""
    author, key = author_and_key(request, body)
    grant_id = id_of(request, "grant", what="grant")
    async with connection(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
    amount = Credits(body.amount)
    return await carried_out(request, TopUp(project.id, grant_id, amount, body.reason, author, key))


@routes.add(
    "POST",
    "/api/v1/projects/{project}/grants/{grant}/void",
    gate=Gate.ADMIN,
    summary="Take back a grant of which nothing is burned",
    answers=answers("Taken back", "a grant that burns, has ended, or was taken back before"),
)
async def void(request: web.Request, query: ProjectQuery, body: Explained) -> web.Response:
    """Append a second entry of the grant that takes all of it back; where it burns, adjust."""
    author, key = author_and_key(request, body)
    grant_id = id_of(request, "grant", what="grant")
    async with connection(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
    return await carried_out(request, Void(project.id, grant_id, body.reason, author, key))
