"""What administrators change about projects: creation, owners, grants."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from uuid import uuid4

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.names import FOUND_NO_PROJECT, ProjectQuery, project_of
from os_credits.api.read import account_of
from os_credits.api.reading import Address, Amount, Line, Name, Text
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import (
    BalanceShape,
    ConflictShape,
    GrantAnswer,
    OwnerList,
    OwnerShape,
    ProjectAccount,
)
from os_credits.domain.amount import Credits
from os_credits.domain.grant import GrantRequest
from os_credits.domain.project import ProjectKey
from os_credits.errors import InvalidInput
from os_credits.flows.book import grant
from os_credits.flows.owners import replace_owners
from os_credits.flows.projects import create_project
from os_credits.store import projects
from os_credits.store.balances import read_balances
from os_credits.store.pool import connection

OWNERS_MAX = 100
KEY_LENGTH_MAX = 200
IDEMPOTENCY_HEADER = "Idempotency-Key"

routes = Routes("Administration")


class NewProject(BaseModel):
    """A project before its first sample; with an `external_id` that is the key, else the name."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    site: Text = ""
    external_id: Text = Field("", description="The cloud's own id of the project")
    domain: Text = ""


class Owner(BaseModel):
    """Someone who shall get mail about the project."""

    model_config = ConfigDict(extra="forbid")

    email: Address
    name: Line = ""


class Owners(BaseModel):
    """Everyone who shall get mail about the project."""

    model_config = ConfigDict(extra="forbid")

    owners: Annotated[list[Owner], Field(max_length=OWNERS_MAX)]


def _more_than_zero(amount: Decimal) -> Decimal:
    if amount <= 0:
        raise ValueError("must be more than 0")
    return amount


class NewGrant(BaseModel):
    """Credits to give; with the same key a repetition is harmless."""

    model_config = ConfigDict(extra="forbid")

    amount: Annotated[Amount, AfterValidator(_more_than_zero)]
    reason: Line = ""
    idempotency_key: Annotated[Line, Field(min_length=1, max_length=KEY_LENGTH_MAX)] | None = Field(
        None, description=f"Also taken from the header {IDEMPOTENCY_HEADER}"
    )


@routes.add(
    "POST",
    "/api/v1/projects",
    gate=Gate.ADMIN,
    summary="Create a project before its first sample",
    answers={
        200: Answer("It was there already", ProjectAccount),
        201: Answer("It is new", ProjectAccount),
    },
)
async def add_project(request: web.Request, body: NewProject) -> web.Response:
    """Projects come into being by themselves; this is for granting credits before that."""
    pool = context_of(request).pool
    key = ProjectKey(body.site, body.external_id, body.domain, body.name)
    project, created = await create_project(pool, key)
    async with connection(pool) as conn:
        balances = await read_balances(conn, [project.id])
    return json_response(account_of(project, balances[project.id]), status=201 if created else 200)


@routes.add(
    "GET",
    "/api/v1/projects/{project}/owners",
    gate=Gate.ADMIN,
    summary="Who gets mail about a project",
    answers={200: Answer("Owners, by address", OwnerList)} | FOUND_NO_PROJECT,
)
async def list_owners(request: web.Request, query: ProjectQuery) -> OwnerList:
    """Addresses are shown to administrators only."""
    async with connection(context_of(request).pool) as conn:
        project = await project_of(request, conn, query)
        return _owner_list(await projects.list_owners(conn, project.id))


@routes.add(
    "PUT",
    "/api/v1/projects/{project}/owners",
    gate=Gate.ADMIN,
    summary="Replace everyone who gets mail about a project",
    answers={200: Answer("The owners from now on", OwnerList)} | FOUND_NO_PROJECT,
)
async def put_owners(request: web.Request, query: ProjectQuery, body: Owners) -> OwnerList:
    """Mails that are on their way already still go to those who were owners then."""
    wanted = {owner.email: owner.name for owner in body.owners}
    return await _replace(request, query, wanted)


@routes.add(
    "DELETE",
    "/api/v1/projects/{project}/owners",
    gate=Gate.ADMIN,
    summary="Let nobody get mail about a project any more",
    answers={200: Answer("The empty list", OwnerList)} | FOUND_NO_PROJECT,
)
async def delete_owners(request: web.Request, query: ProjectQuery) -> OwnerList:
    """To remove one of several owners, put the list without it."""
    return await _replace(request, query, {})


async def _replace(request: web.Request, query: ProjectQuery, wanted: dict[str, str]) -> OwnerList:
    pool = context_of(request).pool
    async with connection(pool) as conn:
        project = await project_of(request, conn, query)
    return _owner_list(await replace_owners(pool, project.id, wanted))


def _owner_list(owners: list[tuple[str, str]]) -> OwnerList:
    return OwnerList(owners=[OwnerShape(email=email, name=name) for email, name in owners])


@routes.add(
    "POST",
    "/api/v1/projects/{project}/grants",
    gate=Gate.ADMIN,
    summary="Give credits to a project",
    answers={
        200: Answer("The same key has granted this before; nothing was added", GrantAnswer),
        201: Answer("Granted", GrantAnswer),
        409: Answer("An ambiguous name, or a key that granted something else", ConflictShape),
    }
    | FOUND_NO_PROJECT,
)
async def add_grant(request: web.Request, query: ProjectQuery, body: NewGrant) -> web.Response:
    """Send an idempotency key, so that a repetition after a lost answer grants nothing twice."""
    context = context_of(request)
    key = _idempotency_key(request, body)
    async with connection(context.pool) as conn:
        project = await project_of(request, conn, query)
    result = await grant(
        context.pool,
        GrantRequest(
            project_id=project.id,
            amount=Credits(body.amount),
            reason=body.reason,
            author=access_of(request).name,
            idempotency_key=key,
        ),
        percents=context.notice_percents,
    )
    answer = GrantAnswer(
        entry_id=result.entry_id,
        created=result.created,
        idempotency_key=key,
        balance=BalanceShape.model_validate(result.balance),
    )
    return json_response(answer, status=201 if result.created else 200)


def _idempotency_key(request: web.Request, body: NewGrant) -> str:
    """Take the key from the body or the header; without one, each request grants anew."""
    sent = request.headers.getall(IDEMPOTENCY_HEADER, [])
    keys = {*sent, *([body.idempotency_key] if body.idempotency_key else [])}
    if len(keys) > 1:
        raise InvalidInput("differs from the one in the body", where=IDEMPOTENCY_HEADER)
    key = next(iter(keys), None) or uuid4().hex
    if not key.isprintable() or len(key) > KEY_LENGTH_MAX:
        raise InvalidInput(f"1 to {KEY_LENGTH_MAX} printable characters", where=IDEMPOTENCY_HEADER)
    return key
