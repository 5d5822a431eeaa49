"""Managers of organisations: who sees and cares for all beneath them."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.login_shapes import ManagerList, ManagerShape
from os_credits.api.organisations import (
    FOUND_NO_ORGANISATION,
    managed_organisation,
    organisation_of,
)
from os_credits.api.reading import Line
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ConflictShape, ErrorShape
from os_credits.domain.access import Scope
from os_credits.domain.login import NAME_LENGTH_MAX
from os_credits.domain.mail import mail_address
from os_credits.domain.organisation import Manager, Organisation
from os_credits.errors import Forbidden
from os_credits.flows import managers as flow
from os_credits.store import batches, managers, places
from os_credits.store.pool import Connection, connection

_NOT_YOURS = {403: Answer("Only managers above it and administrators may", ErrorShape)}

routes = Routes("Organisations")


class ManagerBody(BaseModel):
    """What is said of a manager."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Line, Field(max_length=NAME_LENGTH_MAX)] = ""


@routes.add(
    "GET",
    "/api/v1/organisations/{organisation}/managers",
    gate=Gate.MANAGE,
    summary="Who manages an organisation",
    answers={
        200: Answer("Its own managers, by address", ManagerList),
        403: Answer("Only its managers and administrators may", ErrorShape),
    }
    | FOUND_NO_ORGANISATION,
)
async def list_managers(request: web.Request) -> ManagerList:
    """List only its own: managers of organisations above it manage it as well."""
    async with connection(context_of(request).pool) as conn:
        organisation = await managed_organisation(request, conn)
        return _shape(await managers.list_managers(conn, organisation.id))


@routes.add(
    "PUT",
    "/api/v1/organisations/{organisation}/managers/{email}",
    gate=Gate.MANAGE,
    summary="Let a person manage an organisation",
    answers={
        200: Answer("The managers; this one was there before", ManagerList),
        201: Answer("The managers; this one is new", ManagerList),
        409: Answer("Too many managers", ConflictShape),
    }
    | _NOT_YOURS
    | FOUND_NO_ORGANISATION,
)
async def put_manager(request: web.Request, body: ManagerBody) -> web.Response:
    """Name the person by address, as owners are; who has no login yet needs one, too."""
    context = context_of(request)
    async with connection(context.pool) as conn:
        organisation = await managed_from_above(request, conn)
    known, is_new = await flow.put_manager(
        context.pool,
        organisation.id,
        email=request.match_info["email"],
        name=body.name,
        author=access_of(request).name,
    )
    return json_response(_shape(known), status=201 if is_new else 200)


@routes.add(
    "DELETE",
    "/api/v1/organisations/{organisation}/managers/{email}",
    gate=Gate.MANAGE,
    summary="Let a person manage an organisation no more",
    answers={
        200: Answer("The managers who are left", ManagerList),
        400: Answer("This is no mail address", ErrorShape),
    }
    | _NOT_YOURS
    | {404: Answer("There is no such organisation, or this person does not manage it", ErrorShape)},
)
async def delete_manager(request: web.Request) -> ManagerList:
    """Let it count from the person's next request on."""
    context = context_of(request)
    email = mail_address(request.match_info["email"], where="email")
    async with connection(context.pool) as conn:
        organisation = await managed_from_above(request, conn)
    return _shape(await flow.remove_manager(context.pool, organisation.id, email))


async def managed_from_above(request: web.Request, conn: Connection) -> Organisation:
    """Find the organisation of the path if the caller manages the one on which it hangs.

    Nobody makes managers of what he manages himself: that is for those above.
    """
    organisation = await organisation_of(request, conn)
    access = access_of(request)
    if access.has(Scope.ADMIN):
        return organisation
    parents = await places.read_parents(conn, [organisation.id], await batches.read_now(conn))
    above = parents.get(organisation.id)
    if above is None or not access.may_manage_organisation(above.id):
        raise Forbidden("only managers of an organisation above it and administrators may")
    return organisation


def _shape(known: list[Manager]) -> ManagerList:
    return ManagerList(managers=[ManagerShape.model_validate(one) for one in known])
