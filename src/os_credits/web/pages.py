"""The pages: which there are, and a project's account.

`app` sets the room up (`set_up`), and decides by `routes` and `wants_page` what is served where.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from os_credits.domain.budget import Usable
from os_credits.domain.project import Project
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.projects import resolve_project
from os_credits.store.pool import snapshot
from os_credits.web import bill, calculator, login, me, overview, project_people, resources, spent
from os_credits.web.accept import wants_page
from os_credits.web.account import Account
from os_credits.web.admin import (
    addresses,
    audit,
    exclusions,
    grants,
    health,
    hosts,
    keys,
    lines,
    managers,
    meters,
    organisations,
    people,
    prices,
    project_grants,
    sources,
    waiting,
)
from os_credits.web.chart import chart_of
from os_credits.web.failures import error_page
from os_credits.web.forecast_words import band_of, gain_of, words_of
from os_credits.web.history import CHANGES_MAX, Asked, PageFacts, read_facts
from os_credits.web.history_view import view_of
from os_credits.web.lot_view import change_lines, lot_lines
from os_credits.web.room import (
    DESK,
    Desk,
    PageRoute,
    message_page,
    render,
    set_up,
    visitor_of,
)
from os_credits.web.span import DEFAULT_SPAN, SPANS
from os_credits.web.static import STATIC_FILES, static_file

__all__ = [
    "Desk",
    "PageRoute",
    "credits_history",
    "error_page",
    "routes",
    "set_up",
    "wants_page",
]


def routes() -> list[PageRoute]:
    """Give all paths of this room, `/credits_history/{project}` (which machines share) too."""
    return [
        *overview.routes(),
        *resources.routes(),
        *spent.routes(),
        PageRoute(
            "/credits_history/{project}",
            credits_history,
            "A project's credits history, as a page",
            api=("GET /credits_history/{project}",),
        ),
        *(
            PageRoute(path, static_file, "A file that pages use", gate="open")
            for path in STATIC_FILES
        ),
        *bill.routes(),
        *calculator.routes(),
        *login.routes(),
        *me.routes(),
        *prices.routes(),
        *waiting.routes(),
        *meters.routes(),
        *grants.routes(),
        *project_grants.routes(),
        *exclusions.routes(),
        *organisations.routes(),
        *lines.routes(),
        *health.routes(),
        *hosts.routes(),
        *keys.routes(),
        *sources.routes(),
        *people.routes(),
        *addresses.routes(),
        *managers.routes(),
        *audit.routes(),
        *project_people.routes(),
    ]


async def credits_history(request: web.Request) -> web.Response:
    """Answer with the page of one project; unknown and ambiguous names get a page as well."""
    name = request.match_info["project"]
    desk = request.app[DESK]
    access = visitor_of(request).access
    query = request.query
    try:
        asked = _asked(request)
        async with snapshot(desk.pool) as conn:
            project = await resolve_project(
                conn,
                name,
                site=query.get("site"),
                domain=query.get("domain"),
                may_see=lambda project: desk.may_read(access, project),
            )
            facts = await read_facts(conn, project, asked)
    except NotFound as error:
        return message_page(request, 404, "No such project", str(error))
    except InvalidInput as error:
        return message_page(request, 400, "This address has a mistake", str(error))
    except Conflict as error:
        return message_page(
            request, 409, "Which project?", "Several projects have this name.", error.candidates
        )
    context = _context(request, facts, lambda other: desk.may_read(access, other))
    return render(request, "history.html", context)


def _asked(request: web.Request) -> Asked:
    """Read which time is asked for; what JSON and CSV call it is refused, not passed over."""
    query = request.query
    for name, ours in (("start_date", "from"), ("end_date", "to")):
        if name in query:
            raise InvalidInput(f"is of JSON and CSV: the page takes {ours}", where=name)
    return Asked(query.get("range"), query.get("from", ""), query.get("to", ""))


def _context(
    request: web.Request, facts: PageFacts, may_see: Callable[[Project], bool]
) -> dict[str, Any]:
    view, forecast = view_of(facts), facts.forecast
    changes, lots = change_lines(facts, may_see), lot_lines(facts)
    return {
        "account": Account(facts.project, facts.balance, request.path, forecast),
        "last_day": facts.last_day,
        "span": facts.span,
        "spans": [
            {"key": one.key, "label": one.label, "href": _span_href(request, one.key)}
            for one in SPANS
        ],
        "kept": _kept(request),
        "csv_href": _csv_href(request, facts),
        "view": view,
        "any_given": any(row.given for row in view.rows),
        "any_taken": any(row.taken for row in view.rows),
        "is_live": facts.span.is_live(facts.balance.as_of),
        "lots": lots,
        "any_priority": any(lot.priority for lot in lots),
        "changes": changes[:CHANGES_MAX],
        "more_changes": len(changes) > CHANGES_MAX,
        "closing": facts.closing,
        "limit": _limit(facts.usable),
        "forecast_words": words_of(forecast),
        "forecast_band": band_of(forecast),
        "without": [
            {"names": [each["resource"] for each in one["resources"]], "gain": gain_of(one)}
            for one in forecast.facts["without"]
        ],
        "chart": chart_of(facts, view, request.app[DESK].percents),
    }


def _limit(usable: Usable) -> dict[str, Any] | None:
    """Give how much is usable and which organisation says so, if one leaves less than is left."""
    level = usable.limited_by
    if level is None or level.organisation is None:
        return None
    return {"amount": usable.amount, "organisation": level.organisation.name}


def _kept(request: web.Request) -> dict[str, str]:
    """Give what of an address says which project is meant."""
    return {name: request.query[name] for name in ("site", "domain") if name in request.query}


def _csv_href(request: web.Request, facts: PageFacts) -> str:
    """Give where the lines of the time shown are, as a file for spreadsheets."""
    start, until = facts.span.start or facts.start, facts.span.until
    period = {"start_date": start.isoformat()}
    if until is not None:
        period["end_date"] = until.isoformat()
    return f"?{urlencode({**_kept(request), 'format': 'csv', **period})}"


def _span_href(request: web.Request, key: str) -> str:
    kept = _kept(request)
    query = kept if key == DEFAULT_SPAN.key else {**kept, "range": key}
    if query:
        return f"?{urlencode(query)}"
    return f"{visitor_of(request).base}{request.rel_url.raw_path}"
