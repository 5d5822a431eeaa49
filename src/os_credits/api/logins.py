"""Logins of people, for administrators: invited, listed, changed; and owners who invite."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of, visit_of
from os_credits.api.context import context_of
from os_credits.api.forwarded import arrival_of
from os_credits.api.login_shapes import (
    EndedShape,
    InvitedPerson,
    InvitedShape,
    LinkShape,
    ListedLoginShape,
    LoginPage,
    LoginShape,
    SessionList,
    listed,
    login_shape,
    session_shape,
)
from os_credits.api.names import ProjectQuery, id_of, managed_project
from os_credits.api.people import FOUND_NO_PERSON
from os_credits.api.read import PageQuery
from os_credits.api.reading import Address, Line
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import ConflictShape, ErrorShape
from os_credits.domain.invitation import link_path
from os_credits.domain.login import NAME_LENGTH_MAX
from os_credits.domain.mail import mail_address
from os_credits.errors import Conflict, NotFound
from os_credits.flows import sessions
from os_credits.flows.invitations import (
    NO_MAIL,
    Invited,
    LoginWish,
    invite,
    invite_person,
    make_link,
)
from os_credits.flows.login_changes import LoginChange, change_login
from os_credits.flows.people import found
from os_credits.store import logins, people
from os_credits.store.pool import connection

FOUND_NO_LOGIN = {404: Answer("There is no such login", ErrorShape)}

routes = Routes("Logins")


class LoginsQuery(PageQuery):
    """Which logins to list."""

    search: Annotated[Line, Field(max_length=200)] = Field(
        "", description="A part of the name or the address, in any case"
    )


class NewLogin(BaseModel):
    """Who shall be able to log in."""

    model_config = ConfigDict(extra="forbid")

    email: Address
    name: Annotated[Line, Field(max_length=NAME_LENGTH_MAX)] = ""
    language: Line = Field("", description="en, de, or '' for the browser's")
    is_administrator: bool = False
    by_mail: bool | None = Field(
        None, description="false: show the link instead; by default mailed where that is set up"
    )


class LoginPatch(BaseModel):
    """What shall be otherwise about a login; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Line, Field(max_length=NAME_LENGTH_MAX)] | None = None
    language: Line | None = None
    is_administrator: bool | None = None
    is_disabled: bool | None = Field(None, description="true ends all sessions at once")


class LinkWish(BaseModel):
    """How a link shall reach the person."""

    model_config = ConfigDict(extra="forbid")

    by_mail: bool | None = Field(
        None, description="false: show the link instead; by default mailed where that is set up"
    )


@routes.add(
    "GET",
    "/api/v1/logins",
    gate=Gate.ADMIN,
    summary="Who may log in",
    answers={200: Answer("Logins, in the order of their numbers", LoginPage)},
)
async def list_logins(request: web.Request, query: LoginsQuery) -> LoginPage:
    """Give a page of logins, with what became of the newest link of each."""
    async with connection(context_of(request).pool) as conn:
        rows = await logins.list_logins(
            conn, search=query.search, after_id=query.after, limit=query.limit + 1
        )
    return LoginPage(
        logins=listed(rows[: query.limit]),
        next=rows[query.limit - 1].login.id if len(rows) > query.limit else None,
    )


@routes.add(
    "GET",
    "/api/v1/logins/{login_id}",
    gate=Gate.ADMIN,
    summary="One login",
    answers={200: Answer("The login", ListedLoginShape)} | FOUND_NO_LOGIN,
)
async def read_login(request: web.Request) -> ListedLoginShape:
    """Numbers stay, whatever becomes of the address."""
    login_id = id_of(request, "login_id", what="login")
    async with connection(context_of(request).pool) as conn:
        rows = await logins.list_logins(conn, search="", after_id=login_id - 1, limit=1)
    if not rows or rows[0].login.id != login_id:
        raise NotFound(f"there is no login {login_id}")
    return listed(rows)[0]


@routes.add(
    "POST",
    "/api/v1/logins",
    gate=Gate.ADMIN,
    summary="Invite somebody to log in",
    answers={
        200: Answer("The address had a login; it has a new link", InvitedShape),
        201: Answer("The login and its link", InvitedShape),
        409: Answer("It is disabled, no administrator's, or nothing can be mailed", ConflictShape),
    },
)
async def add_login(request: web.Request, body: NewLogin) -> web.Response:
    """Let the person see what projects and organisations name the address for."""
    wish = LoginWish(body.email, body.name, body.language, body.is_administrator)
    made = await invite(
        context_of(request).pool,
        wish,
        author=access_of(request).name,
        by_mail=_by_mail(request, wanted=body.by_mail),
    )
    return invited_answer(request, made, status=201 if made.is_new else 200)


@routes.add(
    "PATCH",
    "/api/v1/logins/{login_id}",
    gate=Gate.ADMIN,
    summary="Change a login: name, language, administrator, disabled",
    answers={
        200: Answer("The login from now on", LoginShape),
        409: Answer("It is the last one that could administer the service", ConflictShape),
    }
    | FOUND_NO_LOGIN,
)
async def patch_login(request: web.Request, body: LoginPatch) -> LoginShape:
    """Who is disabled is out at once, in every copy of the service."""
    login_id = id_of(request, "login_id", what="login")
    change = LoginChange(body.name, body.language, body.is_administrator, body.is_disabled)
    return login_shape(await change_login(context_of(request).pool, login_id, change))


@routes.add(
    "POST",
    "/api/v1/logins/{login_id}/invitation",
    gate=Gate.ADMIN,
    summary="Make a new link for a login",
    answers={
        201: Answer("The link, in the place of older ones", InvitedShape),
        409: Answer("The login is disabled, or nothing can be mailed", ConflictShape),
    }
    | FOUND_NO_LOGIN,
)
async def add_invitation(request: web.Request, body: LinkWish) -> web.Response:
    """Make a link that is good once: 7 days for a first password, an hour for a new one."""
    made = await make_link(
        context_of(request).pool,
        id_of(request, "login_id", what="login"),
        author=access_of(request).name,
        by_mail=_by_mail(request, wanted=body.by_mail),
    )
    return invited_answer(request, made, status=201)


@routes.add(
    "GET",
    "/api/v1/logins/{login_id}/sessions",
    gate=Gate.ADMIN,
    summary="Where a login is in use",
    answers={200: Answer("Its sessions", SessionList)},
)
async def read_sessions(request: web.Request) -> SessionList:
    """Give those that are good, the latest used first."""
    context = context_of(request)
    login_id = id_of(request, "login_id", what="login")
    rows = await sessions.list_sessions(context.pool, login_id, idle=context.sessions.idle)
    this = visit_of(request).session_id
    return SessionList(sessions=[session_shape(one, this=this) for one in rows])


@routes.add(
    "DELETE",
    "/api/v1/logins/{login_id}/sessions",
    gate=Gate.ADMIN,
    summary="Log a person out everywhere",
    answers={200: Answer("How many sessions ended", EndedShape)},
)
async def end_sessions(request: web.Request) -> EndedShape:
    """Let the person log in again; disable the login to prevent that."""
    login_id = id_of(request, "login_id", what="login")
    ended = await sessions.log_out_everywhere(context_of(request).pool, login_id)
    return EndedShape(ended_count=ended)


@routes.add(
    "POST",
    "/api/v1/projects/{project}/owners/{email}/invitation",
    gate=Gate.MANAGE,
    summary="Invite a project's person to log in",
    answers={
        202: Answer("A link is mailed, unless the person can log in already", InvitedPerson),
        403: Answer("Only owners, managers and administrators may", ErrorShape),
        409: Answer("This service mails no links", ConflictShape),
    }
    | FOUND_NO_PERSON,
)
async def invite_owner(request: web.Request, query: ProjectQuery) -> web.Response:
    """Nobody is told whether the person had a login before, and nobody becomes administrator."""
    context = context_of(request)
    email = mail_address(request.match_info["email"], where="email")
    async with connection(context.pool) as conn:
        project = await managed_project(request, conn, query)
        person = found(await people.list_people(conn, project.id), email)
    if not context.sends_links:
        raise Conflict(NO_MAIL)
    await invite_person(context.pool, person, author=access_of(request).name)
    return json_response(InvitedPerson(email=person.email), status=202)


def _by_mail(request: web.Request, *, wanted: bool | None) -> bool:
    sends = context_of(request).sends_links
    if wanted and not sends:
        raise Conflict(NO_MAIL)
    return sends if wanted is None else wanted


def invited_answer(request: web.Request, made: Invited, *, status: int) -> web.Response:
    """Answer with a login and its link, which no browser or proxy may keep."""
    response = json_response(
        InvitedShape(
            login=login_shape(made.login),
            invitation=LinkShape(
                purpose=made.invitation.purpose,
                state=made.invitation.state,
                expires_at=made.invitation.expires_at,
                link=link_of(request, made.token) if made.token else None,
            ),
        ),
        status=status,
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def link_of(request: web.Request, token: str) -> str:
    """Give the whole address of a link: below the public one, or as the request came."""
    context = context_of(request)
    if context.public_url:
        return context.public_url + link_path(token)
    arrival = arrival_of(request, context.arrivals)
    return f"{arrival.scheme}://{request.host}{arrival.base}{link_path(token)}"
