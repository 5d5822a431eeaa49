"""Grants that come again every month."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from aiohttp import web
from pydantic import BeforeValidator, Field, WithJsonSchema

from os_credits.api.account_shapes import MONTH_PATTERN, AllowanceList, AllowanceShape
from os_credits.api.context import context_of
from os_credits.api.instructions import (
    Explained,
    PositiveAmount,
    Priority,
    answers,
    author_and_key,
    carried_out,
)
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, id_of, project_of
from os_credits.api.reading import ours
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.domain.allowance import AllowanceEnd, AllowanceRequest, month_of
from os_credits.domain.amount import Credits
from os_credits.store import allowances
from os_credits.store.pool import connection, snapshot

routes = Routes("Accounts")

Month = Annotated[
    datetime,
    BeforeValidator(ours(month_of)),
    WithJsonSchema({"type": "string", "pattern": MONTH_PATTERN, "examples": ["2026-01"]}),
]


class NewAllowance(Explained):
    """Credits to give with every month (UTC)."""

    amount: PositiveAmount
    first_month: Month = Field(description="Past months are given at once")
    end_month: Month | None = Field(
        None, description="The first month that gets none; without one it goes on for ever"
    )
    carries_over: bool = Field(
        default=False, description="Whether the rest of a month stays for the next ones"
    )
    priority: Priority = Field(0, description="The smaller, the earlier its grants burn")


class NewEnd(Explained):
    """From when on an allowance gives nothing."""

    end_month: Month = Field(description="The first month that gets none")


@routes.add(
    "POST",
    "/api/v1/projects/{project}/allowances",
    gate=Gate.ADMIN,
    summary="Give credits every month",
    answers=answers("It gives from now on", "a project that is closed"),
)
async def add_allowance(
    request: web.Request, query: ProjectQuery, body: NewAllowance
) -> web.Response:
    """Make a grant for each month when it begins; those that have begun follow within seconds."""
    author, key = author_and_key(request, body)
    async with connection(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
    return await carried_out(
        request,
        AllowanceRequest(
            project_id=project.id,
            amount=Credits(body.amount),
            first_month=body.first_month,
            end_month=body.end_month,
            carries_over=body.carries_over,
            reason=body.reason,
            author=author,
            idempotency_key=key,
            priority=body.priority,
        ),
    )


@routes.add(
    "GET",
    "/api/v1/projects/{project}/allowances",
    gate=Gate.READ,
    summary="What a project is given every month",
    answers={200: Answer("Allowances, by their numbers", AllowanceList)} | FOUND_NO_PROJECT,
)
async def list_allowances(request: web.Request, query: ProjectQuery) -> AllowanceList:
    """Give all allowances, also those that have ended; what they gave stands among the grants."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        found = await allowances.list_allowances(conn, [project.id])
    return AllowanceList(allowances=[AllowanceShape.model_validate(one) for one in found])


@routes.add(
    "POST",
    "/api/v1/projects/{project}/allowances/{allowance}/end",
    gate=Gate.ADMIN,
    summary="End an allowance",
    answers=answers("It ends", "months that it gave already, or an earlier end"),
)
async def end_allowance(request: web.Request, query: ProjectQuery, body: NewEnd) -> web.Response:
    """Let it give nothing for that month and later; what it gave stays."""
    author, key = author_and_key(request, body)
    allowance_id = id_of(request, "allowance", what="allowance")
    async with connection(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
    end = AllowanceEnd(project.id, allowance_id, body.end_month, body.reason, author, key)
    return await carried_out(request, end)
