"""A person's own page: name and language, password, where one is logged in, and which mails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from os_credits.domain.login import NAME_LENGTH_MAX, PASSWORD_LENGTH_MIN
from os_credits.domain.mail import Language
from os_credits.domain.notice import NoticeKind
from os_credits.domain.person import PersonChange, Role, address_key
from os_credits.errors import InvalidInput, NotFound, RateLimited, Unauthenticated
from os_credits.flows import logins, sessions
from os_credits.flows.login_changes import LoginChange, change_login
from os_credits.flows.people import change_person
from os_credits.store import organisations, people, projects
from os_credits.store.pool import snapshot
from os_credits.web.admin.form import Form, form_of
from os_credits.web.language import COOKIE, N_, NATIVE_NAMES, told
from os_credits.web.language import gettext as _
from os_credits.web.login import too_many
from os_credits.web.room import DESK, PageRoute, render, see_other
from os_credits.web.shell import LANGUAGE_LENGTH

if TYPE_CHECKING:
    from os_credits.domain.login import Login, Session
    from os_credits.domain.person import Person
    from os_credits.domain.project import Project

# So many of a person's projects are shown with their mails.
PARTS_MAX = 200
ID_DIGITS_MAX = 18
KINDS = {
    NoticeKind.PERCENT: N_("the balance falls to a share of what was granted"),
    NoticeKind.CREDITS: N_("the balance falls to a number of credits"),
    NoticeKind.DAYS: N_("credits run out soon"),
    NoticeKind.BURN: N_("much is used in a day"),
    NoticeKind.CLOSED: N_("the project is closed or opened again"),
    NoticeKind.LATE_USAGE: N_("a closed project is charged more"),
}
ROLES = {Role.OWNER: N_("Owner"), Role.MEMBER: N_("Member")}
_DONE = {
    "self": N_("Name and language are saved."),
    "password": N_("Your password is changed. All other sessions have ended."),
    "session": N_("The session has ended."),
    "sessions": N_("All other sessions have ended."),
    "mails": N_("Which mails you get is saved."),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A person's part in a project, with what mails come of it."""

    project: Project
    person: Person

    @property
    def role(self) -> str:
        """Name the part in the language that holds."""
        return _(ROLES[self.person.role])

    @property
    def kinds(self) -> list[tuple[str, str, bool]]:
        """Give each kind of notice, what it tells of, and whether a mail comes of it."""
        return [(kind.value, _(text), self.person.hears(kind)) for kind, text in KINDS.items()]


def routes() -> list[PageRoute]:
    """Give the person's own page, and what its forms do."""
    session, others = "/api/v1/session", "/api/v1/session/others"
    changes = (
        ("/me", change_self, "Change one's own name and language", f"PATCH {session}"),
        ("/me/password", change_password, "Choose another password", f"PUT {session}/password"),
        ("/me/sessions", end_others, "Log out everywhere else", f"DELETE {others}"),
        ("/me/sessions/{session_id}", end_one, "End a session", f"DELETE {others}/{{session_id}}"),
        (
            "/me/mails/{project_id}",
            change_mails,
            "Choose the mails of a project",
            f"PUT {session}/mails/{{project}}",
        ),
    )
    read = (f"GET {session}", f"GET {others}", f"GET {session}/mails")
    return [
        PageRoute("/me", me_page, "One's own page", gate="person", api=read),
        *(
            PageRoute(path, handler, summary, method="POST", gate="person", api=(api,))
            for path, handler, summary, api in changes
        ),
    ]


async def me_page(request: web.Request) -> web.Response:
    """Show who somebody is here, and what they can change about it."""
    return await _page(request)


async def change_self(request: web.Request) -> web.Response:
    """Change name and language; the language holds in this browser at once."""
    desk, form = request.app[DESK], form_of(request)
    visit = desk.visit_of(request)
    change = LoginChange(name=form.value("name"), language=form.value("language"))
    with form.judged():
        await change_login(desk.pool, visit.access.login_id, change)
    if not form.is_good:
        return await _page(request, about=form, status=422)
    response = see_other(request, "/me", done="self")
    if change.language:
        response.set_cookie(COOKIE, change.language, **visit.cookie(LANGUAGE_LENGTH))
    else:
        response.del_cookie(COOKIE, path=visit.base or "/")
    return response


async def change_password(request: web.Request) -> web.Response:
    """Change the password of whoever knows the present one."""
    desk, form = request.app[DESK], form_of(request)
    session = await _session(request)
    password = form.value("password")
    if password != form.value("again"):
        form.wrong("again", _("This is not the same password."))
        return await _page(request, password=form, status=422)
    address = desk.visit_of(request).address
    old = form.value("old_password")
    try:
        await logins.change_password(desk.pool, session.login, session.id, old, password, address)
    except InvalidInput as error:
        form.wrong(error.where or "password", told(error.message))
        return await _page(request, password=form, status=422)
    except RateLimited as error:
        form.problems.append(too_many(error))
        return await _page(request, password=form, status=429)
    return see_other(request, "/me", done="password")


async def end_others(request: web.Request) -> web.Response:
    """End all sessions but this one."""
    desk = request.app[DESK]
    visit = desk.visit_of(request)
    await sessions.log_out_everywhere(desk.pool, visit.access.login_id, but=visit.session_id)
    return see_other(request, "/me", done="sessions")


async def end_one(request: web.Request) -> web.Response:
    """End one session; to end this one is to log out."""
    desk = request.app[DESK]
    visit = desk.visit_of(request)
    await sessions.end_session(desk.pool, visit.access.login_id, _number(request, "session_id"))
    return see_other(request, "/me", done="session")


async def change_mails(request: web.Request) -> web.Response:
    """Choose the mails that one gets of a project; nobody else's."""
    desk, sent = request.app[DESK], request.app[DESK].form_of(request)
    access = desk.visit_of(request).access
    kinds = sent.getall("wants", [])
    wants = tuple(kind for kind in NoticeKind if kind in kinds)
    change = PersonChange(access.email, {"wants": wants, "digest": "digest" in sent})
    await change_person(desk.pool, _number(request, "project_id"), change)
    return see_other(request, "/me", done="mails")


async def _page(
    request: web.Request,
    *,
    about: Form | None = None,
    password: Form | None = None,
    status: int = 200,
) -> web.Response:
    desk, session = request.app[DESK], await _session(request)
    login = session.login
    async with snapshot(desk.pool) as conn:
        mine = {
            one.project_id: one.person
            for one in await people.list_stored(conn, login.email)
            if address_key(one.person.email) == address_key(login.email)
        }
        found = await projects.list_projects_by_id(conn, sorted(mine)[:PARTS_MAX])
        managed = await organisations.name_organisations(conn, session.managed)
    others = await sessions.list_sessions(desk.pool, login.id, idle=desk.sessions.idle)
    done = _DONE.get(request.query.get("done", ""), "")
    context = {
        "login": login,
        "about": about or _about(login),
        "password": password or Form(),
        "languages": [("", _("As the browser says")), *_native_names()],
        "name_length_max": NAME_LENGTH_MAX,
        "length_min": PASSWORD_LENGTH_MIN,
        "sessions": others,
        "session_id": session.id,
        "parts": [Part(one, mine[one.id]) for one in found],
        "more_parts": len(mine) > PARTS_MAX,
        "managed": [managed[number] for number in sorted(managed)],
        "done": _(done) if done else "",
    }
    return render(request, "me.html", context, status=status)


def _about(login: Login) -> Form:
    return Form({"name": login.name, "language": login.language})


def _native_names() -> list[tuple[Language, str]]:
    return list(NATIVE_NAMES.items())


async def _session(request: web.Request) -> Session:
    desk = request.app[DESK]
    session = await desk.sessions.find(desk.pool, desk.visit_of(request).token)
    if session is None:
        raise Unauthenticated("this session is over: log in again")
    return session


def _number(request: web.Request, part: str) -> int:
    text = request.match_info[part]
    if not (text.isascii() and text.isdecimal() and len(text) <= ID_DIGITS_MAX):
        raise NotFound("there is nothing by this number")
    return int(text)
