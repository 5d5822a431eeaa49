"""Pages to log in and out, to ask for a link, and to choose a password by one.

OpenID Connect gets its place beside the form of `login.html`; sessions are the same then.
"""

from __future__ import annotations

from math import ceil
from urllib.parse import urlsplit

from aiohttp import web

from os_credits.domain.login import PASSWORD_LENGTH_MIN, SESSION_LASTS
from os_credits.domain.visit import SESSION_COOKIE
from os_credits.errors import InvalidInput, NotFound, RateLimited, Unauthenticated
from os_credits.flows import logins, sessions
from os_credits.web.admin.form import Form, form_of
from os_credits.web.language import gettext as _
from os_credits.web.language import ngettext, told
from os_credits.web.room import DESK, PageRoute, render, see_other, visitor_of

NEXT_LENGTH_MAX = 2000
SECONDS_PER_MINUTE = 60
# The path of such a page is a secret: other pages and files learn where it is from nobody.
_SECRET = {"Referrer-Policy": "strict-origin"}


def routes() -> list[PageRoute]:
    """Give the pages of logging in."""
    asking, choosing = ("POST /api/v1/password-resets",), ("POST /api/v1/passwords",)
    return [
        PageRoute("/login", login_page, "Log in", gate="visitor"),
        PageRoute(
            "/login",
            log_in,
            "Log in by a form",
            method="POST",
            gate="visitor",
            api=("POST /api/v1/session",),
        ),
        PageRoute(
            "/logout",
            log_out,
            "Log out",
            method="POST",
            gate="person",
            api=("DELETE /api/v1/session",),
        ),
        PageRoute("/password", ask_page, "Ask for a link to choose a password", gate="visitor"),
        PageRoute(
            "/password",
            ask_for_link,
            "Let a link be mailed",
            method="POST",
            gate="visitor",
            api=asking,
        ),
        PageRoute("/password/{token}", choose_page, "Choose a password by a link", gate="visitor"),
        PageRoute(
            "/password/{token}",
            choose_password,
            "Set the password that was chosen",
            method="POST",
            gate="visitor",
            api=choosing,
        ),
    ]


def local_path(text: str) -> str:
    """Give the path of ours that somebody wanted to see; the start page for anything else.

    What a browser could read as the name of another host leads nowhere else.
    """
    if len(text) > NEXT_LENGTH_MAX or not (text.isascii() and text.isprintable()):
        return "/"
    if not text.startswith("/") or text.startswith("//") or "\\" in text or " " in text:
        return "/"
    parts = urlsplit(text)
    if parts.scheme or parts.netloc or parts.path in {"/login", "/logout"}:
        return "/"
    return text


async def login_page(request: web.Request) -> web.Response:
    """Show the form; whoever has logged in goes on to what they wanted to see."""
    target = local_path(request.query.get("next", "/"))
    if visitor_of(request).is_person:
        return see_other(request, target)
    return _login_form(request, Form({"next": target}))


async def log_in(request: web.Request) -> web.Response:
    """Begin a session; whoever is refused learns nothing about the reason."""
    desk, form = request.app[DESK], form_of(request)
    visit = desk.visit_of(request)
    form.values["next"] = target = local_path(form.value("next", "/"))
    try:
        token = await logins.log_in(
            desk.pool,
            form.value("email"),
            form.value("password"),
            visit.address,
            request.headers.get("User-Agent", ""),
            instead_of=request.cookies.get(SESSION_COOKIE, ""),
        )
    except Unauthenticated:
        form.problems.append(_("The address or the password is wrong."))
        return _login_form(request, form, status=422)
    except RateLimited as error:
        form.problems.append(too_many(error))
        return waiting(_login_form(request, form, status=429), error)
    response = see_other(request, target)
    response.set_cookie(SESSION_COOKIE, token, **visit.cookie(SESSION_LASTS))
    return response


def _login_form(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    form.values.pop("password", None)
    done = {
        "out": _("You are logged out."),
        "chosen": _("Your password is set. Log in with it now."),
    }.get(request.query.get("done", ""), "")
    return render(request, "login.html", {"form": form, "done": done}, status=status)


async def log_out(request: web.Request) -> web.Response:
    """End the session everywhere, not only in this browser."""
    desk = request.app[DESK]
    visit = desk.visit_of(request)
    await sessions.log_out(desk.pool, visit.token)
    response = see_other(request, "/login", done="out")
    response.del_cookie(SESSION_COOKIE, path=visit.base or "/")
    return response


async def ask_page(request: web.Request) -> web.Response:
    """Show the form that asks for a link, or what was said to whoever asked."""
    return _ask_form(request, Form({"email": ""}))


async def ask_for_link(request: web.Request) -> web.Response:
    """Let a link be mailed; the answer is the same whether the address is known or not."""
    desk, form = request.app[DESK], form_of(request)
    if not desk.sends_links:
        return _ask_form(request, form, status=409)
    try:
        await logins.request_reset(desk.pool, form.value("email"), desk.visit_of(request).address)
    except RateLimited as error:
        form.problems.append(too_many(error))
        return waiting(_ask_form(request, form, status=429), error)
    return see_other(request, "/password", done="asked")


def _ask_form(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    context = {
        "form": form,
        "is_asked": request.query.get("done") == "asked",
        "sends_links": request.app[DESK].sends_links,
    }
    return render(request, "password_link.html", context, status=status)


async def choose_page(request: web.Request) -> web.Response:
    """Show the form of a link that was mailed or handed over; looking does not use it up."""
    return await _choose_form(request, Form())


async def choose_password(request: web.Request) -> web.Response:
    """Set the password; the link is of no use to anybody from now on."""
    desk, form = request.app[DESK], form_of(request)
    password = form.value("password")
    if password != form.value("again"):
        form.wrong("again", _("This is not the same password."))
        return await _choose_form(request, form, status=422)
    token, address = request.match_info["token"], desk.visit_of(request).address
    try:
        await logins.set_password(desk.pool, token, password, address)
    except NotFound:
        return _gone(request)
    except InvalidInput as error:
        form.wrong(error.where or "password", told(error.message))
    except RateLimited as error:
        form.problems.append(too_many(error))
        return waiting(await _choose_form(request, form, status=429), error)
    if not form.is_good:
        return await _choose_form(request, form, status=422)
    response = see_other(request, "/login", done="chosen")
    response.headers.update(_SECRET)
    return response


async def _choose_form(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    try:
        login = await logins.find_link(request.app[DESK].pool, request.match_info["token"])
    except NotFound:
        return _gone(request)
    context = {"form": form, "login": login, "length_min": PASSWORD_LENGTH_MIN}
    response = render(request, "password_choose.html", context, status=status)
    response.headers.update(_SECRET)
    return response


def _gone(request: web.Request) -> web.Response:
    response = render(request, "password_gone.html", {}, status=404)
    response.headers.update(_SECRET)
    return response


def too_many(error: RateLimited) -> str:
    """Say how long somebody must wait who has tried too often."""
    minutes = ceil(error.seconds / SECONDS_PER_MINUTE)
    return ngettext(
        "Too many attempts. Please wait %(num)s minute.",
        "Too many attempts. Please wait %(num)s minutes.",
        minutes,
    )


def waiting(response: web.Response, error: RateLimited) -> web.Response:
    """Tell machines as well how long to wait."""
    response.headers["Retry-After"] = str(error.seconds)
    return response
