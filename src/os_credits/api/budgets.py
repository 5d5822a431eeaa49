"""Budgets of organisations, and what a project can use under those above it."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.instructions import PositiveAmount, Priority, Told, author_and_key
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, id_of, project_of
from os_credits.api.organisation_shapes import (
    BudgetAnswer,
    BudgetPage,
    BudgetShape,
    LevelBalance,
    LevelShape,
    OrganisationBalance,
    OrganisationShape,
    UsableBalance,
)
from os_credits.api.organisations import FOUND_NO_ORGANISATION, organisation_of
from os_credits.api.read import PageQuery
from os_credits.api.reading import Moment, Reason
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import BalanceShape, ConflictShape
from os_credits.domain.amount import Credits, from_micro
from os_credits.domain.balance import Balance
from os_credits.domain.budget import Budget, BudgetRequest, Level, Usable
from os_credits.domain.grant import Terms
from os_credits.domain.lot import Burned
from os_credits.domain.organisation import Organisation
from os_credits.domain.project import Project
from os_credits.errors import Forbidden
from os_credits.flows import budgets as flow
from os_credits.store import batches, budgets
from os_credits.store.balances import read_balances
from os_credits.store.pool import Connection, connection, snapshot

routes = Routes("Organisations")


class NewBudget(Told):
    """Credits for everything beneath an organisation; without terms from this hour on, for ever."""

    amount: PositiveAmount
    reason: Reason
    valid_from: Moment | None = Field(
        None, description="A full hour; past ones are allowed. This hour if not given"
    )
    expires_at: Moment | None = Field(None, description="A full hour; never if not given")
    priority: Priority = Field(0, description="The smaller, the earlier it burns")


class NewVoid(BaseModel):
    """Why a budget is taken back."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


@routes.add(
    "POST",
    "/api/v1/organisations/{organisation}/budgets",
    gate=Gate.ADMIN,
    summary="Give an organisation a budget",
    answers={
        200: Answer("The same key has given this before; nothing was added", BudgetAnswer),
        201: Answer("Given", BudgetAnswer),
        409: Answer("The key was used for another budget", ConflictShape),
    }
    | FOUND_NO_ORGANISATION,
)
async def add_budget(request: web.Request, body: NewBudget) -> web.Response:
    """Limit all projects beneath together; what they were granted themselves stays.

    It burns by what they use while they are beneath, from its start on, past hours included.
    """
    pool = context_of(request).pool
    author, key = author_and_key(request, body)
    terms = Terms(body.valid_from, body.expires_at, body.priority)
    async with connection(pool) as conn:
        organisation = await organisation_of(request, conn)
    amount = Credits(body.amount)
    budget, created = await flow.give_budget(
        pool, BudgetRequest(organisation.id, amount, body.reason, author, key, terms)
    )
    async with snapshot(pool) as conn:
        [shape] = await budget_shapes(conn, organisation, [budget])
    answer = BudgetAnswer(created=created, idempotency_key=key, **dict(shape))
    return json_response(answer, status=201 if created else 200)


@routes.add(
    "GET",
    "/api/v1/organisations/{organisation}/budgets",
    gate=Gate.READ,
    summary="An organisation's budgets, and what became of them",
    answers={200: Answer("Budgets, oldest first", BudgetPage)} | FOUND_NO_ORGANISATION,
)
async def list_budgets(request: web.Request, query: PageQuery) -> BudgetPage:
    """Give a page of budgets; whoever sees only some of the projects beneath is refused (403)."""
    async with snapshot(context_of(request).pool) as conn:
        organisation = await _seen_whole(request, conn)
        found = await budgets.list_budgets(
            conn, organisation.id, after_id=query.after, limit=query.limit + 1
        )
        shapes = await budget_shapes(conn, organisation, found[: query.limit])
    return BudgetPage(budgets=shapes, next=shapes[-1].id if len(found) > query.limit else None)


async def _seen_whole(request: web.Request, conn: Connection) -> Organisation:
    """Find the organisation of the path for a caller that sees everything beneath it."""
    access = access_of(request)
    if access.projects is not None and not access.organisations:
        raise Forbidden("budgets are shown to keys that may read all projects, and to managers")
    organisation = await organisation_of(request, conn)
    if access.projects is not None and organisation.id not in (access.organisations or ()):
        raise Forbidden("budgets are shown to keys that may read all projects, and to managers")
    return organisation


async def budget_shapes(
    conn: Connection, organisation: Organisation, found: list[Budget]
) -> list[BudgetShape]:
    """Shape budgets of an organisation with what became of each by now."""
    now = await batches.read_now(conn)
    burned = await flow.read_burned(conn, organisation.id) if found else Burned((), 0)
    shapes = []
    for one in found:
        fate = one.fate_in(burned)
        shapes.append(
            BudgetShape(
                id=one.id,
                amount=one.amount,
                burned=from_micro(fate.burned_micro),
                expired=from_micro(fate.expired_micro),
                left=from_micro(fate.left_micro),
                state=one.state_at(now),
                valid_from=one.valid_from,
                expires_at=one.expires_at,
                priority=one.priority,
                reason=one.reason,
                author=one.author,
                created_at=one.created_at,
            )
        )
    return shapes


@routes.add(
    "POST",
    "/api/v1/organisations/{organisation}/budgets/{budget}/void",
    gate=Gate.ADMIN,
    summary="Take back a budget of which nothing is burned",
    answers={
        200: Answer("It was taken back before", BudgetShape),
        201: Answer("Taken back", BudgetShape),
        409: Answer("Some of it is burned, or it has ended", ConflictShape),
    }
    | FOUND_NO_ORGANISATION,
)
async def void(request: web.Request, body: NewVoid) -> web.Response:
    """Let a budget count no more, as if it had never been given."""
    pool = context_of(request).pool
    number = id_of(request, "budget", what="budget")
    async with connection(pool) as conn:
        organisation = await organisation_of(request, conn)
    author = access_of(request).name
    budget, is_new = await flow.void_budget(
        pool, organisation.id, number, reason=body.reason, author=author
    )
    async with snapshot(pool) as conn:
        [shape] = await budget_shapes(conn, organisation, [budget])
    return json_response(shape, status=201 if is_new else 200)


@routes.add(
    "GET",
    "/api/v1/organisations/{organisation}/balance",
    gate=Gate.READ,
    summary="What an organisation's budgets have left",
    answers={200: Answer("The balance", OrganisationBalance)} | FOUND_NO_ORGANISATION,
)
async def read_balance(request: web.Request) -> OrganisationBalance:
    """Sum everything beneath; whoever sees only some of the projects beneath is refused (403)."""
    async with snapshot(context_of(request).pool) as conn:
        organisation = await _seen_whole(request, conn)
        return await balance_shape(conn, organisation)


async def balance_shape(conn: Connection, organisation: Organisation) -> OrganisationBalance:
    """Shape what an organisation's budgets have come to."""
    found = (await flow.read_budget_balances(conn, [organisation.id])).get(organisation.id)
    return OrganisationBalance(
        organisation=OrganisationShape.model_validate(organisation),
        balance=None if found is None else found.balance,
        used=None if found is None else found.used,
        debt=None if found is None else found.debt,
        as_of=await batches.read_now(conn),
    )


@routes.add(
    "GET",
    "/api/v1/projects/{project}/balance",
    gate=Gate.READ,
    summary="What a project has left, and what limits it",
    answers={200: Answer("The balance", UsableBalance)} | FOUND_NO_PROJECT,
)
async def read_usable(request: web.Request, query: ProjectQuery) -> UsableBalance:
    """Give the least of the project's own balance and those of the budgets above it."""
    async with snapshot(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        balances = await read_balances(conn, [project.id])
        usable = await flow.usable(conn, balances)
    sees_all = access_of(request).projects is None
    return usable_shape(project, balances[project.id], usable[project.id], sees_all=sees_all)


def usable_shape(
    project: Project, balance: Balance, usable: Usable, *, sees_all: bool
) -> UsableBalance:
    """Shape what a project can use; `sees_all` False hides the balances of organisations."""
    return UsableBalance(
        **dict(BalanceShape.model_validate(balance)),
        usable=usable.amount,
        limited_by=None if usable.limited_by is None else _level(project, usable.limited_by),
        levels=[
            LevelBalance(**dict(_level(project, one)), balance=one.balance)
            for one in usable.levels
            if sees_all or one.organisation is None
        ],
    )


def _level(project: Project, level: Level) -> LevelShape:
    if level.organisation is None:
        return LevelShape(kind="project", id=project.id, name=project.name)
    return LevelShape(kind="organisation", id=level.organisation.id, name=level.organisation.name)
