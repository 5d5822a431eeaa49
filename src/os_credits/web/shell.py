"""The frame around every page: where a visitor can go, in which language, and who they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler

from os_credits.domain.access import Scope
from os_credits.domain.mail import Language
from os_credits.domain.visit import Visit
from os_credits.web.accept import wants_page
from os_credits.web.language import (
    COOKIE,
    N_,
    NATIVE_NAMES,
    PARAMETER,
    chosen,
    current,
    gettext,
    speaking,
)

if TYPE_CHECKING:
    from os_credits.web.room import Visitor

# For how long a browser keeps the language that was chosen in it.
LANGUAGE_LENGTH = timedelta(days=365)
# What every visitor may open, and what administrators may; a page that is not there has no link.
MAIN = (("/", N_("Projects")), ("/bill", N_("Bill")), ("/calculator", N_("Calculator")))
ADMINISTRATION = (
    ("/admin/health", N_("Health")),
    ("/admin/prices", N_("Prices")),
    ("/admin/meters", N_("Meters")),
    ("/admin/grants", N_("Grants")),
    ("/admin/organisations", N_("Organisations")),
    ("/admin/people", N_("People")),
    ("/admin/keys", N_("Keys")),
    ("/admin/sources", N_("Sources")),
    ("/admin/hosts", N_("Compute nodes")),
    ("/admin/audit", N_("Audit log")),
)
_PROJECT_PAGES = ("/projects/", "/credits_history/")
# Pages that belong to one of these though their paths do not begin with its.
_ALSO = {
    "/": _PROJECT_PAGES,
    "/admin/people": ("/admin/addresses",),
    "/admin/organisations": ("/admin/managers", "/organisations/"),
}


@dataclass(frozen=True, slots=True)
class Frame:
    """What the frame needs of the service: its language, and which pages there are."""

    language: Language
    pages: frozenset[str]
    visit_of: Callable[[web.Request], Visit]


FRAME = web.AppKey("FRAME", Frame)


@dataclass(frozen=True, slots=True)
class Place:
    """A link of the frame; `is_here` tells that its page, or one below it, is looked at."""

    label: str
    href: str
    is_here: bool = False
    code: str = ""


@dataclass(frozen=True, slots=True)
class Shell:
    """The links around a page; `administration` is empty for those who may not administer.

    `is_let_in` tells that the visitor may look at anything at all.
    """

    is_let_in: bool
    main: tuple[Place, ...]
    administration: tuple[Place, ...]
    languages: tuple[Place, ...]
    in_administration: bool


def shell_of(request: web.Request, visitor: Visitor) -> Shell:
    """Give the links that this visitor gets around the page looked at."""
    path, base = visitor.path, visitor.base
    known = request.app[FRAME].pages
    return Shell(
        is_let_in=visitor.access.has(Scope.READ),
        main=tuple(_places(MAIN, known, path, base)),
        administration=(
            tuple(_places(ADMINISTRATION, known, path, base)) if visitor.may_administer else ()
        ),
        languages=tuple(_languages(request, base)),
        in_administration=path.startswith(("/admin", "/organisations/")),
    )


def _places(
    pages: Iterable[tuple[str, str]], known: frozenset[str], path: str, base: str
) -> Iterable[Place]:
    for page, label in pages:
        if page in known:
            yield Place(gettext(label), f"{base}{page}", is_here=_is_here(page, path))


def _is_here(page: str, path: str) -> bool:
    beneath = (f"{page}/",) if page != "/" else ()
    return path == page or path.startswith((*beneath, *_ALSO.get(page, ())))


def _languages(request: web.Request, base: str) -> Iterable[Place]:
    for code, name in NATIVE_NAMES.items():
        address = request.rel_url.update_query({PARAMETER: str(code)})
        href = f"{base}{address.raw_path_qs}"
        yield Place(name, href, is_here=code == current(), code=str(code))


def frame_of(
    app: web.Application, language: Language, visit_of: Callable[[web.Request], Visit]
) -> Frame:
    """Make the frame of an application that has all its routes."""
    pages = frozenset(
        route.resource.canonical
        for route in app.router.routes()
        if route.method == "GET" and route.resource is not None
    )
    return Frame(language, pages, visit_of)


def language_of(request: web.Request, own: str = "") -> Language:
    """Choose the language for a request; `own` is what the person who asks has set."""
    return chosen(
        asked=request.query.get(PARAMETER),
        kept=request.cookies.get(COOKIE),
        own=own,
        accepted=request.headers.get("Accept-Language", ""),
        otherwise=request.app[FRAME].language,
    )


@web.middleware
async def speak(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a page's handler speak the language of its visitor.

    An address that asks for a language is left at once for the one without, which the cookie
    then answers.
    """
    if not wants_page(request) or request.match_info.http_exception is not None:
        return await handler(request)
    visit = request.app[FRAME].visit_of(request)
    asked = request.query.get(PARAMETER)
    if request.method == "GET" and asked in NATIVE_NAMES and _is_page(request):
        return _keep(request, visit, asked)
    with speaking(language_of(request, visit.language)):
        return await handler(request)


def _is_page(request: web.Request) -> bool:
    return not request.path.startswith(("/api/", "/static/"))


def _keep(request: web.Request, visit: Visit, code: str) -> web.Response:
    query = [(name, value) for name, value in request.query.items() if name != PARAMETER]
    location = f"{visit.base}{request.rel_url.with_query(query).raw_path_qs}"
    headers = {"Location": location, "Cache-Control": "no-store"}
    response = web.Response(status=303, headers=headers)
    response.set_cookie(COOKIE, code, **visit.cookie(LANGUAGE_LENGTH))
    return response
