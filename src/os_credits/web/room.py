"""What every page needs: the desk it is served from, who visits, templates, security headers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote, urlencode

import aiohttp_jinja2
import jinja2
from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import MultiDictProxy

from os_credits.domain.access import Access, Scope
from os_credits.domain.mail import Language
from os_credits.domain.project import Project
from os_credits.domain.visit import Visit
from os_credits.flows.sessions import SessionBook
from os_credits.store.pool import Pool
from os_credits.web import text
from os_credits.web.language import speaking, teach
from os_credits.web.shell import FRAME, frame_of, language_of, shell_of

# Everything comes from this service; pico.css draws its marks by data: URLs.
SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'"
)
_HEADERS = {
    "Content-Security-Policy": SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept, Accept-Language, Authorization, Cookie",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """What the pages need of the service: its database, who asks, and how to show amounts.

    `digits` is the number of digits after the point; `percents` are the lines of notices.
    `form_of` gives the fields of a form that was sent, once its sender proved to be no forger.
    `sends_links` tells that links to choose a password can be mailed. `language` is spoken to
    those who ask for no other.
    """

    pool: Pool
    visit_of: Callable[[web.Request], Visit]
    form_of: Callable[[web.Request], MultiDictProxy[str]]
    may_read: Callable[[Access, Project], bool]
    digits: int
    percents: Sequence[Decimal]
    sessions: SessionBook
    sends_links: bool
    language: Language = Language.ENGLISH


DESK = web.AppKey("DESK", Desk)

Gate = Literal["open", "visitor", "read", "manage", "person", "admin"]


@dataclass(frozen=True, slots=True)
class PageRoute:
    """A method and path that this room serves, and who may use it (`api/routes.py`, Gate).

    `api` names the routes by which machines do the same: "POST /api/v1/prices".
    """

    path: str
    handler: Handler
    summary: str
    method: str = "GET"
    gate: Gate = "read"
    api: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page, as templates need it; `base` stands before every address of ours.

    `csrf` goes into every form; `path` is what is looked at, without `base`.
    """

    access: Access
    base: str
    path: str
    is_person: bool
    name: str
    email: str
    language: str
    csrf: str

    @property
    def may_administer(self) -> bool:
        """Tell whether the pages of administration are open."""
        return self.access.has(Scope.ADMIN)

    @property
    def sees_all(self) -> bool:
        """Tell whether every project may be seen."""
        return self.access.has(Scope.READ) and self.access.projects is None

    def may_manage(self, project: Project) -> bool:
        """Tell whether a project's people and lines may be changed."""
        return self.access.may_manage(project.id)


def visitor_of(request: web.Request) -> Visitor:
    """Say who looks at a page."""
    visit = request.app[DESK].visit_of(request)
    return Visitor(
        access=visit.access,
        base=visit.base,
        path=request.path,
        is_person=visit.is_person,
        name=visit.name,
        email=visit.access.email,
        language=str(language_of(request, visit.language)),
        csrf=visit.csrf,
    )


def see_other(request: web.Request, path: str, **query: str) -> web.Response:
    """Send a browser on to an address of ours, as after every form that was carried out."""
    base = request.app[DESK].visit_of(request).base
    target = f"{base}{path}" + (f"?{urlencode(query)}" if query else "")
    return web.Response(status=303, headers={"Location": target, **_HEADERS})


def set_up(app: web.Application, desk: Desk) -> None:
    """Let an application serve pages; the routes are its own to add."""
    app[DESK] = desk
    app[FRAME] = frame_of(app, desk.language, desk.visit_of)
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("os_credits.web"),
        undefined=jinja2.StrictUndefined,
        finalize=text.written,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        credits=lambda amount: text.credits_text(amount, desk.digits),
        quantity=text.quantity_text,
        whole=lambda count: text.quantity_text(Decimal(count)),
        percent=text.percent_text,
        day=text.day_text,
        hour=text.hour_text,
        month=text.month_text,
        date=text.date_text,
        minute=text.minute_text,
        breakable=text.breakable,
        isolated=text.isolated,
        shortened=text.shortened,
    )
    teach(environment)


def message_page(
    request: web.Request,
    status: int,
    title: str,
    message: str,
    candidates: Sequence[dict[str, str]] = (),
) -> web.Response:
    """Answer with a page that says what is wrong, with links to what could be meant."""
    base = visitor_of(request).base
    linked = [
        {**one, "href": f"{base}/credits_history/{quote(one['number'], safe='')}"}
        for one in candidates
    ]
    context = {"title": title, "text": message, "candidates": linked}
    return render(request, "message.html", context, status=status)


def render(
    request: web.Request, template: str, context: dict[str, Any], *, status: int = 200
) -> web.Response:
    """Fill a template, and forbid the page everything that is not of this service."""
    visitor = visitor_of(request)
    with speaking(Language(visitor.language)):
        filled = {"visitor": visitor, "shell": shell_of(request, visitor), **context}
        response = aiohttp_jinja2.render_template(template, request, filled, status=status)
    response.headers.update(_HEADERS)
    return response
