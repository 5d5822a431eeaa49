"""The session of the person who asks: logging in and out, passwords, who am I."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of, visit_of
from os_credits.api.context import context_of
from os_credits.api.login_shapes import (
    AcceptedShape,
    EndedShape,
    LoginShape,
    RoleShape,
    SessionList,
    WhoShape,
    login_shape,
    session_shape,
)
from os_credits.api.names import id_of
from os_credits.api.organisation_shapes import OrganisationShape
from os_credits.api.reading import Line
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ConflictShape, ErrorShape, ProjectShape
from os_credits.domain.login import (
    NAME_LENGTH_MAX,
    PASSWORD_BYTES_MAX,
    PASSWORD_LENGTH_MIN,
    SESSION_LASTS,
    Session,
    csrf_of,
)
from os_credits.domain.visit import SESSION_COOKIE
from os_credits.errors import Conflict, Unauthenticated
from os_credits.flows import logins as flow
from os_credits.flows import sessions
from os_credits.flows.invitations import NO_MAIL
from os_credits.flows.login_changes import LoginChange, change_login
from os_credits.store import organisations, projects
from os_credits.store.pool import connection

ROLES_MAX = 1000
RESET_ASKED = "if somebody can log in with this address, a link is on its way to it"
_LIMITED = {
    403: Answer("A page of another site sent it, or without the session's token", ErrorShape),
    429: Answer("Too many attempts; Retry-After says how long to wait", ErrorShape),
}

routes = Routes("Logins")

EmailText = Annotated[str, Field(max_length=flow.EMAIL_LENGTH_MAX)]
PasswordText = Annotated[str, Field(max_length=4 * PASSWORD_BYTES_MAX)]
NewPassword = Annotated[
    str,
    Field(
        max_length=4 * PASSWORD_BYTES_MAX,
        description=f"{PASSWORD_LENGTH_MIN} characters or more, not one that everybody tries",
    ),
]


class Credentials(BaseModel):
    """Who wants to log in."""

    model_config = ConfigDict(extra="forbid")

    email: EmailText
    password: PasswordText


class PasswordChange(BaseModel):
    """The password as it is, and as it shall be."""

    model_config = ConfigDict(extra="forbid")

    old_password: PasswordText
    password: NewPassword


class OwnChange(BaseModel):
    """What people change about themselves; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Line, Field(max_length=NAME_LENGTH_MAX)] | None = None
    language: Line | None = Field(None, description="en, de, or '' for the browser's")


class ResetWish(BaseModel):
    """Whose password was forgotten."""

    model_config = ConfigDict(extra="forbid")

    email: EmailText


class LinkUse(BaseModel):
    """A link's token, and the password that it shall set."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(max_length=sessions.TOKEN_LENGTH_MAX)]
    password: NewPassword


@routes.add(
    "POST",
    "/api/v1/session",
    gate=Gate.VISITOR,
    summary="Log in",
    answers={
        200: Answer("Who is logged in; the session comes as a cookie", WhoShape),
        401: Answer("Nobody comes in by these, whatever the reason", ErrorShape),
    }
    | _LIMITED,
)
async def log_in(request: web.Request, body: Credentials) -> web.Response:
    """After four failures in a row an address waits, each time longer, up to 15 minutes."""
    visit = visit_of(request)
    context = context_of(request)
    agent = request.headers.get("User-Agent", "")
    token = await flow.log_in(
        context.pool,
        body.email,
        body.password,
        visit.address,
        agent,
        instead_of=request.cookies.get(SESSION_COOKIE, ""),
    )
    response = _secret(await _who(request, token))
    response.set_cookie(SESSION_COOKIE, token, **visit.cookie(SESSION_LASTS))
    return response


@routes.add(
    "GET",
    "/api/v1/session",
    gate=Gate.PERSON,
    summary="Who is logged in, and may do what",
    answers={200: Answer("The person whose session's cookie came along", WhoShape)},
)
async def read_session(request: web.Request) -> web.Response:
    """Roles are read anew each time: who is taken from a project sees it no more at once."""
    return _secret(await _who(request, visit_of(request).token))


@routes.add(
    "PATCH",
    "/api/v1/session",
    gate=Gate.PERSON,
    summary="Change one's own name and language",
    answers={200: Answer("The login from now on", LoginShape)},
)
async def change_self(request: web.Request, body: OwnChange) -> LoginShape:
    """Choose a name that may stand in the ledger for ever, beside what one does."""
    change = LoginChange(name=body.name, language=body.language)
    login = await change_login(context_of(request).pool, access_of(request).login_id, change)
    return login_shape(login)


@routes.add(
    "DELETE",
    "/api/v1/session",
    gate=Gate.PERSON,
    summary="Log out",
    answers={200: Answer("The session is over, in every copy of the service", EndedShape)},
)
async def log_out(request: web.Request) -> web.Response:
    """Its cookie is of no use to anybody from now on."""
    visit = visit_of(request)
    ended = await sessions.log_out(context_of(request).pool, visit.token)
    response = _secret(EndedShape(ended_count=int(ended)))
    response.del_cookie(SESSION_COOKIE, path=visit.base or "/")
    return response


@routes.add(
    "PUT",
    "/api/v1/session/password",
    gate=Gate.PERSON,
    summary="Choose another password",
    answers={200: Answer("The other sessions of this login ended", EndedShape)} | _LIMITED,
)
async def change_password(request: web.Request, body: PasswordChange) -> web.Response:
    """Failures count as those of logging in do."""
    visit = visit_of(request)
    session = await _session(request, visit.token)
    ended = await flow.change_password(
        context_of(request).pool,
        session.login,
        session.id,
        body.old_password,
        body.password,
        visit.address,
    )
    return _secret(EndedShape(ended_count=ended))


@routes.add(
    "GET",
    "/api/v1/session/others",
    gate=Gate.PERSON,
    summary="Where one is logged in",
    answers={200: Answer("All sessions, this one too", SessionList)},
)
async def read_sessions(request: web.Request) -> web.Response:
    """Give the sessions that are good, the latest used first."""
    context, visit = context_of(request), visit_of(request)
    found = await sessions.list_sessions(
        context.pool, visit.access.login_id, idle=context.sessions.idle
    )
    return _secret(
        SessionList(sessions=[session_shape(one, this=visit.session_id) for one in found])
    )


@routes.add(
    "DELETE",
    "/api/v1/session/others",
    gate=Gate.PERSON,
    summary="Log out everywhere else",
    answers={200: Answer("How many sessions ended", EndedShape)},
)
async def end_others(request: web.Request) -> EndedShape:
    """Let only this session go on."""
    visit = visit_of(request)
    ended = await sessions.log_out_everywhere(
        context_of(request).pool, visit.access.login_id, but=visit.session_id
    )
    return EndedShape(ended_count=ended)


@routes.add(
    "DELETE",
    "/api/v1/session/others/{session_id}",
    gate=Gate.PERSON,
    summary="End one of one's own sessions",
    answers={
        200: Answer("It is over", EndedShape),
        404: Answer("There is no such session of this login", ErrorShape),
    },
)
async def end_other(request: web.Request) -> EndedShape:
    """To end this one as well is to log out."""
    session_id = id_of(request, "session_id", what="session")
    await sessions.end_session(context_of(request).pool, access_of(request).login_id, session_id)
    return EndedShape(ended_count=1)


@routes.add(
    "POST",
    "/api/v1/password-resets",
    gate=Gate.VISITOR,
    summary="Ask for a link to choose a new password",
    answers={
        202: Answer("The same whether the address is known or not", AcceptedShape),
        409: Answer("This service mails no links", ConflictShape),
    }
    | _LIMITED,
)
async def ask_for_reset(request: web.Request, body: ResetWish) -> web.Response:
    """Send an address a few links in an hour at most; each is good once, for an hour."""
    context = context_of(request)
    if not context.sends_links:
        raise Conflict(NO_MAIL)
    await flow.request_reset(context.pool, body.email, visit_of(request).address)
    return json_response(AcceptedShape(message=RESET_ASKED), status=202)


@routes.add(
    "POST",
    "/api/v1/passwords",
    gate=Gate.VISITOR,
    summary="Choose a password by a link",
    answers={
        200: Answer("It holds; log in with it", LoginShape),
        404: Answer("This link was used, replaced, or is too old", ErrorShape),
    }
    | _LIMITED,
)
async def use_link(request: web.Request, body: LinkUse) -> web.Response:
    """All sessions of the login end, and no other link of it works any more."""
    login = await flow.set_password(
        context_of(request).pool, body.token, body.password, visit_of(request).address
    )
    return _secret(login_shape(login))


async def _session(request: web.Request, token: str) -> Session:
    context = context_of(request)
    session = await context.sessions.find(context.pool, token)
    if session is None:
        raise Unauthenticated("this session is over: log in again")
    return session


async def _who(request: web.Request, token: str) -> WhoShape:
    session = await _session(request, token)
    mine = sorted(session.roles)[:ROLES_MAX]
    async with connection(context_of(request).pool) as conn:
        found = await projects.list_projects_by_id(conn, mine)
        managed = await organisations.name_organisations(conn, session.managed)
    seen = session.access.projects
    return WhoShape(
        login=login_shape(session.login),
        csrf=csrf_of(token),
        created_at=session.created_at,
        expires_at=session.expires_at,
        organisations=[
            OrganisationShape.model_validate(managed[number]) for number in sorted(managed)
        ],
        projects=[
            RoleShape(project=ProjectShape.model_validate(one), role=session.roles[one.id])
            for one in found
        ],
        project_count=None if seen is None else len(seen),
    )


def _secret(shape: BaseModel) -> web.Response:
    """Answer with something that no browser or proxy may keep."""
    response = json_response(shape)
    response.headers["Cache-Control"] = "no-store"
    return response
