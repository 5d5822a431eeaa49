"""Credits put right by hand, and credits moved from one project to another."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, Field

from os_credits.api.account_shapes import TransferAnswer, TransferPage, TransferShape
from os_credits.api.auth import access_of, may_read
from os_credits.api.context import context_of
from os_credits.api.instructions import (
    Explained,
    PositiveAmount,
    answer_of,
    answers,
    author_and_key,
    carried_out,
    carry_out,
    made,
)
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, project_of
from os_credits.api.read import ProjectPageQuery
from os_credits.api.reading import Amount, Moment, Name, Text
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import ProjectShape
from os_credits.domain.access import Access
from os_credits.domain.amount import Credits
from os_credits.domain.instruction import Adjustment, Transfer
from os_credits.flows.projects import resolve_project
from os_credits.store import projects, transfers
from os_credits.store.pool import Connection, connection, snapshot
from os_credits.store.transfers import StoredTransfer

routes = Routes("Accounts")


def _not_zero(amount: Decimal) -> Decimal:
    if amount == 0:
        raise ValueError("must not be 0")
    return amount


class NewAdjustment(Explained):
    """What to add to an account, or, with a minus, to take off it."""

    amount: Annotated[Amount, AfterValidator(_not_zero)]


class NewTransfer(Explained):
    """Credits to move to another project."""

    to: Name = Field(description="The receiver: its name, its cloud's id, or # and its number")
    to_site: Text | None = Field(None, description="Where several have this name: the site")
    to_domain: Text | None = Field(None, description="Where several have this name: the domain")
    amount: PositiveAmount
    expires_at: Moment | None = Field(
        None, description="A full hour to come, after which the receiver loses what is left"
    )


@routes.add(
    "POST",
    "/api/v1/projects/{project}/adjustments",
    gate=Gate.ADMIN,
    summary="Put an account right by hand",
    answers=answers("Adjusted", "what the account does not allow"),
)
async def adjust(request: web.Request, query: ProjectQuery, body: NewAdjustment) -> web.Response:
    """Add credits that never expire, or take some off, in this hour; it counts for no per cent."""
    author, key = author_and_key(request, body)
    async with connection(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
    amount = Credits(body.amount)
    return await carried_out(request, Adjustment(project.id, amount, body.reason, author, key))


@routes.add(
    "POST",
    "/api/v1/projects/{project}/transfers",
    gate=Gate.ADMIN,
    summary="Move credits to another project",
    answers=answers("Moved", "more than is left", TransferAnswer),
)
async def add_transfer(
    request: web.Request, query: ProjectQuery, body: NewTransfer
) -> web.Response:
    """Append one entry to either ledger; for the sender it burns as usage does."""
    author, key = author_and_key(request, body)
    pool, access = context_of(request).pool, access_of(request)
    async with connection(pool) as conn:
        sender = await project_of(request, conn, query)
        receiver = await resolve_project(
            conn,
            body.to,
            site=body.to_site,
            domain=body.to_domain,
            may_see=lambda project: may_read(access, project),
        )
    amount = Credits(body.amount)
    done = await carry_out(
        request,
        Transfer(sender.id, receiver.id, amount, body.expires_at, body.reason, author, key),
    )
    assert done.effect.transfer_id is not None  # noqa: S101 - every transfer makes one
    async with snapshot(pool) as conn:
        found = await transfers.find_transfers(conn, [done.effect.transfer_id])
        [shape] = await transfer_shapes(conn, found, access)
    return made(TransferAnswer(**dict(answer_of(done, key)), transfer=shape))


@routes.add(
    "GET",
    "/api/v1/projects/{project}/transfers",
    gate=Gate.READ,
    summary="Credits moved to and from a project",
    answers={200: Answer("Transfers, oldest first", TransferPage)} | FOUND_NO_PROJECT,
)
async def list_transfers(request: web.Request, query: ProjectPageQuery) -> TransferPage:
    """Give a page of transfers in either direction."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        found = await transfers.list_transfers(
            conn, project.id, after_id=query.after, limit=query.limit + 1
        )
        shapes = await transfer_shapes(conn, found[: query.limit], access_of(request))
    return TransferPage(transfers=shapes, next=shapes[-1].id if len(found) > query.limit else None)


async def transfer_shapes(
    conn: Connection, found: Sequence[StoredTransfer], access: Access
) -> list[TransferShape]:
    """Shape transfers, with those projects that the caller may read."""
    ids = sorted({number for one in found for number in (one.from_project_id, one.to_project_id)})
    known = {
        one.id: ProjectShape.model_validate(one)
        for one in await projects.list_projects_by_id(conn, ids)
        if may_read(access, one)
    }
    return [
        TransferShape(
            id=one.id,
            sender=known.get(one.from_project_id),
            receiver=known.get(one.to_project_id),
            amount=one.amount,
            expires_at=one.expires_at,
            grant_id=one.grant_id,
            sender_entry_id=one.sender_entry_id,
            receiver_entry_id=one.receiver_entry_id,
            reason=one.reason,
            author=one.author,
            created_at=one.created_at,
        )
        for one in found
    ]
