"""The pages: a start page with all projects, and the credits history of one.

`app` sets the room up (`set_up`), and decides by `routes` and `wants_page` what is served where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp_jinja2
import jinja2
from aiohttp import web
from aiohttp.typedefs import Handler

from os_credits.domain.access import Access
from os_credits.domain.project import Project
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.projects import resolve_project
from os_credits.store.balances import read_balances
from os_credits.store.pool import Pool, snapshot
from os_credits.store.projects import search_projects
from os_credits.web import text
from os_credits.web.account import Account
from os_credits.web.chart import chart_of
from os_credits.web.history import read_facts
from os_credits.web.history_view import view_of
from os_credits.web.span import DEFAULT_SPAN, SPANS, span_of
from os_credits.web.static import STATIC_FILES, static_file

PROJECTS_PER_PAGE = 200
_WEIGHT = re.compile(r"[01](\.[0-9]{0,3})?")
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
    "Vary": "Accept, Authorization",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """What the pages need of the service: its database, who asks, and how to show amounts.

    `digits` is the number of digits after the point; `percents` are the lines of notices.
    """

    pool: Pool
    access_of: Callable[[web.Request], Access]
    may_read: Callable[[Access, Project], bool]
    digits: int
    percents: Sequence[Decimal]


@dataclass(frozen=True, slots=True)
class PageRoute:
    """A path that this room serves; an open one says nothing about any project."""

    path: str
    handler: Handler
    is_open: bool
    summary: str


DESK = web.AppKey("DESK", Desk)


def set_up(app: web.Application, desk: Desk) -> None:
    """Let an application serve pages; the routes are its own to add."""
    app[DESK] = desk
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("os_credits.web"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        credits=lambda amount: text.credits_text(amount, desk.digits),
        quantity=text.quantity_text,
        percent=text.percent_text,
        day=text.day_text,
        hour=text.hour_text,
        minute=text.minute_text,
        breakable=text.breakable,
    )


def routes() -> list[PageRoute]:
    """Give all paths of this room, `/credits_history/{project}` (which machines share) too."""
    return [
        PageRoute("/", start, is_open=False, summary="All projects, as a page"),
        PageRoute(
            "/credits_history/{project}",
            credits_history,
            is_open=False,
            summary="A project's credits history, as a page",
        ),
        *(
            PageRoute(path, static_file, is_open=True, summary="A file that pages use")
            for path in STATIC_FILES
        ),
    ]


def wants_page(request: web.Request) -> bool:
    """Tell whether HTML is preferred: browsers name it, machines that take anything do not."""
    weights = {"text/html": 0.0, "application/json": 0.0}
    for part in request.headers.get("Accept", "").lower().split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        if media_type in weights:
            weights[media_type] = _weight(parameters)
    return weights["text/html"] > weights["application/json"]


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            return float(value) if _WEIGHT.fullmatch(value) else 0.0
    return 1.0


async def start(request: web.Request) -> web.Response:
    """Answer with a page of the projects that the caller may see, with their balances."""
    desk = request.app[DESK]
    access = desk.access_of(request)
    among = None if access.projects is None else sorted(access.projects)
    async with snapshot(desk.pool) as conn:
        found = await search_projects(
            conn,
            name=None,
            site=None,
            domain=None,
            among=among,
            after_id=_after_id(request),
            limit=PROJECTS_PER_PAGE + 1,
        )
        shown = found[:PROJECTS_PER_PAGE]
        balances = await read_balances(conn, [project.id for project in shown])
    accounts = [
        Account(project, balances[project.id], _history_href(project))
        for project in shown
        if desk.may_read(access, project)
    ]
    more = len(found) > PROJECTS_PER_PAGE
    next_href = f"/?{urlencode({'after': shown[-1].id})}" if more else None
    return _page(request, "start.html", {"accounts": accounts, "next_href": next_href})


def _after_id(request: web.Request) -> int:
    after = request.query.get("after", "0")
    if not (after.isascii() and after.isdigit() and len(after) <= 18):  # noqa: PLR2004 - bigint
        raise InvalidInput("must be a number", where="after")
    return int(after)


async def credits_history(request: web.Request) -> web.Response:
    """Answer with the page of one project; unknown and ambiguous names get a page as well."""
    name = request.match_info["project"]
    desk = request.app[DESK]
    access = desk.access_of(request)
    query = request.query
    try:
        span = span_of(query.get("range"))
        async with snapshot(desk.pool) as conn:
            project = await resolve_project(
                conn,
                name,
                site=query.get("site"),
                domain=query.get("domain"),
                may_see=lambda project: desk.may_read(access, project),
            )
            facts = await read_facts(conn, project, span)
    except NotFound as error:
        return _message(request, 404, "No such project", str(error))
    except InvalidInput as error:
        return _message(request, 400, "This address has a mistake", str(error))
    except Conflict as error:
        return _message(
            request, 409, "Which project?", "Several projects have this name.", error.candidates
        )
    view = view_of(facts)
    spans = [
        {"key": one.key, "label": one.label, "href": _span_href(request, one.key)} for one in SPANS
    ]
    return _page(
        request,
        "history.html",
        {
            "account": Account(project, facts.balance, request.path),
            "last_day": facts.last_day,
            "span": span,
            "spans": spans,
            "view": view,
            "any_given": any(row.given for row in view.rows),
            "given": facts.given,
            "chart": chart_of(facts, view, desk.percents),
        },
    )


def _span_href(request: web.Request, key: str) -> str:
    kept = {name: request.query[name] for name in ("site", "domain") if name in request.query}
    query = kept if key == DEFAULT_SPAN.key else {**kept, "range": key}
    return f"?{urlencode(query)}" if query else request.rel_url.raw_path


def _history_href(project: Project) -> str:
    known = {"site": project.site, "domain": project.domain}
    query = urlencode({name: value for name, value in known.items() if value})
    path = f"/credits_history/{quote(project.name, safe='')}"
    return f"{path}?{query}" if query else path


def _message(
    request: web.Request,
    status: int,
    title: str,
    message: str,
    candidates: Sequence[dict[str, str]] = (),
) -> web.Response:
    linked = [
        {**one, "href": f"/credits_history/{quote(one['number'], safe='')}"} for one in candidates
    ]
    context = {"title": title, "text": message, "candidates": linked}
    return _page(request, "message.html", context, status=status)


def _page(
    request: web.Request, template: str, context: dict[str, Any], *, status: int = 200
) -> web.Response:
    response = aiohttp_jinja2.render_template(template, request, context, status=status)
    response.headers.update(_HEADERS)
    return response
