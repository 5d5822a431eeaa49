"""Pages of logins: who may log in, who is invited, and what one login may and does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from aiohttp import web

from os_credits.domain.invitation import link_path
from os_credits.domain.login import (
    FAILURES_COUNT_FOR,
    NAME_LENGTH_MAX,
    SESSION_LASTS,
    email_digest,
    locked_until,
)
from os_credits.errors import NotFound
from os_credits.flows.invitations import NO_MAIL, Invited, LoginWish, invite, make_link
from os_credits.flows.login_changes import LoginChange, change_login
from os_credits.flows.sessions import log_out_everywhere
from os_credits.store import invitations, login_attempts, logins, managers, people, projects
from os_credits.store import sessions as stored_sessions
from os_credits.store.pool import snapshot
from os_credits.web.admin.form import Form, form_of, refused_status
from os_credits.web.admin.office import OFFICE
from os_credits.web.language import N_, NATIVE_NAMES, gettext, told
from os_credits.web.room import DESK, PageRoute, render, see_other, visitor_of

if TYPE_CHECKING:
    from os_credits.domain.login import Login
    from os_credits.store.pool import Connection

LOGINS_PER_PAGE = 50
DONE = {
    "invited": N_("The invitation is on its way."),
    "changed": N_("The change holds from now on."),
    "ended": N_("All sessions have ended."),
    "erased": N_("The address was erased."),
}
# What each button asks for.
CHANGES = {
    "promote": LoginChange(is_administrator=True),
    "demote": LoginChange(is_administrator=False),
    "disable": LoginChange(is_disabled=True),
    "enable": LoginChange(is_disabled=False),
}
_ID_DIGITS_MAX = 18


def routes() -> list[PageRoute]:
    """Give the pages of logins."""
    return [
        PageRoute(
            "/admin/people", list_page, "Who may log in, as a page", gate="admin",
            api=("GET /api/v1/logins",),
        ),
        PageRoute(
            "/admin/people", add, "Invite somebody", method="POST", gate="admin",
            api=("POST /api/v1/logins",),
        ),
        PageRoute(
            "/admin/people/{login_id}", login_page, "A login, as a page", gate="admin",
            api=("GET /api/v1/logins/{login_id}", "GET /api/v1/logins/{login_id}/sessions"),
        ),
        PageRoute(
            "/admin/people/{login_id}", change, "Change a login", method="POST", gate="admin",
            api=("PATCH /api/v1/logins/{login_id}",),
        ),
        PageRoute(
            "/admin/people/{login_id}/link", link, "Make a new link for a login", method="POST",
            gate="admin", api=("POST /api/v1/logins/{login_id}/invitation",),
        ),
        PageRoute(
            "/admin/people/{login_id}/sessions", end, "End all sessions of a login",
            method="POST", gate="admin", api=("DELETE /api/v1/logins/{login_id}/sessions",),
        ),
    ]  # fmt: skip


async def list_page(request: web.Request) -> web.Response:
    """Show logins, found by name or address, and a form to invite another person."""
    return await _list(request, Form())


async def _list(request: web.Request, form: Form, status: int = 200) -> web.Response:
    search = request.query.get("q", "").strip()[:200].replace("\0", "")
    after = _number(request.query.get("after", "0"))
    async with snapshot(request.app[DESK].pool) as conn:
        found = await logins.list_logins(
            conn, search=search, after_id=after, limit=LOGINS_PER_PAGE + 1
        )
    shown = found[:LOGINS_PER_PAGE]
    query = {"q": search} if search else {}
    next_query = urlencode({**query, "after": shown[-1].login.id} if shown else query)
    first = f"/admin/people?{urlencode(query)}" if query else "/admin/people"
    context = {
        "logins": shown,
        "search": search,
        "form": form,
        "languages": _languages(),
        "sends_links": request.app[OFFICE].sends_links,
        "next_path": f"/admin/people?{next_query}" if len(found) > len(shown) else "",
        "first_path": first if after else "",
        "done": _done(request),
        "name_length_max": NAME_LENGTH_MAX,
    }
    return render(request, "admin/people.html", context, status=status)


def _done(request: web.Request) -> str:
    sentence = DONE.get(request.query.get("done", ""))
    return gettext(sentence) if sentence else ""


def _languages() -> list[tuple[str, str]]:
    asked = ("", gettext("what the browser asks for"))
    return [asked, *((str(code), name) for code, name in NATIVE_NAMES.items())]


def _number(text: str) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= _ID_DIGITS_MAX
    return int(text) if is_number else 0


async def add(request: web.Request) -> web.Response:
    """Invite somebody, by mail or by a link that is shown once."""
    form = form_of(request)
    email, name = form.text("email", needed=True), form.text("name")
    language = form.one_of("language", {code for code, _ in _languages()})
    by_mail = _by_mail(request, form)
    if form.is_good:
        with form.judged():
            wish = LoginWish(email, name, language, bool(form.value("is_administrator")))
            made = await invite(
                request.app[DESK].pool, wish, author=_author(request), by_mail=by_mail
            )
            return _made(request, made)
    return await _list(request, form, refused_status(request))


def _by_mail(request: web.Request, form: Form) -> bool:
    by_mail = form.value("way") != "link"
    if by_mail and not request.app[OFFICE].sends_links:
        form.wrong("way", told(NO_MAIL))
    return by_mail


def _author(request: web.Request) -> str:
    return visitor_of(request).access.name


def _made(request: web.Request, made: Invited) -> web.Response:
    """Lead back where a link is mailed; else show it, this once."""
    if not made.token:
        return see_other(request, f"/admin/people/{made.login.id}", done="invited")
    path = link_path(made.token)
    public_url = request.app[OFFICE].public_url
    visit = request.app[DESK].visit_of(request)
    scheme = "https" if visit.is_secure else "http"
    base = public_url or f"{scheme}://{request.host}{visit.base}"
    context = {"login": made.login, "invitation": made.invitation, "link": base + path}
    return render(request, "admin/link_made.html", context)


async def login_page(request: web.Request) -> web.Response:
    """Show a login with its parts in projects and organisations, its sessions and links."""
    return await _login(request, Form())


async def _login(request: web.Request, form: Form, status: int = 200) -> web.Response:
    async with snapshot(request.app[DESK].pool) as conn:
        login = await _login_of(request, conn)
        context = await _facts(conn, login)
    context |= {
        "form": form,
        "done": _done(request),
        "languages": _languages(),
        "is_self": visitor_of(request).access.login_id == login.id,
        "sends_links": request.app[OFFICE].sends_links,
        "address_path": f"/admin/addresses/{quote(login.email, safe='')}",
        "name_length_max": NAME_LENGTH_MAX,
    }
    return render(request, "admin/login.html", context, status=status)


async def _facts(conn: Connection, login: Login) -> dict[str, Any]:
    """Read what is known of a login."""
    parts = await people.list_stored(conn, login.email)
    ids = [one.project_id for one in parts]
    by_id = {one.id: one for one in await projects.list_projects_by_id(conn, ids)}
    failures, now = await login_attempts.list_failures(
        conn, email_digest(login.email), within=FAILURES_COUNT_FOR
    )
    until = locked_until(failures)
    seen = await stored_sessions.list_sessions(conn, login.id, idle=SESSION_LASTS)
    return {
        "login": login,
        "parts": [(by_id[one.project_id], one.person) for one in parts],
        "managed": await managers.list_managed(conn, login.email),
        "sessions": seen,
        "last_seen_at": max((one.last_seen_at for one in seen), default=None),
        "open_links": await invitations.list_open_invitations(conn, login.id),
        "failure_count": len(failures),
        "locked_until": until if until is not None and until > now else None,
    }


async def _login_of(request: web.Request, conn: Connection) -> Login:
    text = request.match_info["login_id"]
    login = await logins.find_login(conn, _number(text))
    if login is None:
        raise NotFound(f"there is no login {text[:80]!r}")
    return login


async def change(request: web.Request) -> web.Response:
    """Carry out what a button of the login's page asks for, or change name and language."""
    form = form_of(request)
    login_id = await _login_id(request)
    asked = form.one_of("change", {*CHANGES, "facts"})
    wish = CHANGES.get(asked)
    if asked == "facts":
        name = form.text("name")
        language = form.one_of("language", {code for code, _ in _languages()})
        wish = LoginChange(name=name, language=language)
    if wish is not None and form.is_good:
        with form.judged():
            await change_login(request.app[DESK].pool, login_id, wish)
            return see_other(request, f"/admin/people/{login_id}", done="changed")
    return await _login(request, form, refused_status(request))


async def link(request: web.Request) -> web.Response:
    """Make a new link by which the password is chosen, in the place of older ones."""
    form = form_of(request)
    login_id = await _login_id(request)
    by_mail = _by_mail(request, form)
    if form.is_good:
        with form.judged():
            pool = request.app[DESK].pool
            made = await make_link(pool, login_id, author=_author(request), by_mail=by_mail)
            return _made(request, made)
    return await _login(request, form, refused_status(request))


async def end(request: web.Request) -> web.Response:
    """End all sessions of a login, but for the one that asks."""
    login_id = await _login_id(request)
    visit = request.app[DESK].visit_of(request)
    own = visit.session_id if visit.access.login_id == login_id else 0
    await log_out_everywhere(request.app[DESK].pool, login_id, but=own)
    return see_other(request, f"/admin/people/{login_id}", done="ended")


async def _login_id(request: web.Request) -> int:
    async with snapshot(request.app[DESK].pool) as conn:
        return (await _login_of(request, conn)).id
