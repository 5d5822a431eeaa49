"""The start page: the projects that a visitor may see, searched, sorted, with a small trend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode

from aiohttp import web

from os_credits.domain.closing import ProjectState, state_of
from os_credits.errors import InvalidInput
from os_credits.flows.organisations import resolve_organisation
from os_credits.flows.overview import Asked, Overview, OverviewRow, Show, Sort, read_overview
from os_credits.store.pool import snapshot
from os_credits.web.account import Account
from os_credits.web.bars import stacked
from os_credits.web.forecast_words import band_of
from os_credits.web.language import N_
from os_credits.web.project import told_part
from os_credits.web.room import DESK, PageRoute, render, visitor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECTS_PER_PAGE = 50
SEARCH_LENGTH_MAX = 200
TREND_WIDTH, TREND_HEIGHT = 84, 20
_ID_DIGITS_MAX = 18
_FALSE, _TRUE = "false", "true"
_Choice = TypeVar("_Choice", Show, Sort)
# What each column is sorted by, and whether the first click on it begins with the largest.
COLUMNS = (
    (Sort.NAME, N_("Project"), False),
    (Sort.BALANCE, N_("Left"), False),
    (Sort.PERCENT, N_("Of what was granted"), False),
    (Sort.USED, N_("Used"), True),
    (Sort.BURN, N_("Per day"), True),
    (Sort.RUN_OUT, N_("Runs out"), False),
)
SHOWN = (
    (Show.ALL, N_("All")),
    (Show.LOW, N_("Below half")),
    (Show.CRITICAL, N_("Below a fifth")),
    (Show.DEBT, N_("Nothing left")),
    (Show.CLOSED, N_("Closed")),
)


@dataclass(frozen=True, slots=True)
class OverviewLine:
    """A project as a line of the table; `trend` is the path that draws its bars."""

    account: Account
    row: OverviewRow
    band: str
    is_closed: bool
    trend: str
    organisation_href: str


@dataclass(frozen=True, slots=True)
class Column:
    """A heading that sorts; `order` is ascending, descending or '' where it does not now."""

    key: str
    label: str
    href: str
    order: str


def routes() -> list[PageRoute]:
    """Give the start page."""
    return [PageRoute("/", start, "The projects, as a page", api=("GET /api/v1/overview",))]


async def start(request: web.Request) -> web.Response:
    """Answer with a page of the projects that the caller may see."""
    access = visitor_of(request).access
    asked, named = _asked(request), request.query.get("organisation", "")
    organisation = None
    async with snapshot(request.app[DESK].pool) as conn:
        if named:
            organisation = await resolve_organisation(conn, named, access=access)
            asked = replace(asked, organisation_id=organisation.id)
        found = await read_overview(conn, asked, access.projects)
    kept = _kept(asked, named)
    base = visitor_of(request).base
    return render(
        request,
        "overview.html",
        {
            "asked": asked,
            "organisation": organisation,
            "found": found,
            "lines": [_line(base, row) for row in found.rows],
            "columns": [_column(base, kept, asked, *column) for column in COLUMNS],
            "shown": _shown(base, kept, found, asked),
            "kept": {name: value for name, value in kept.items() if name != "search"},
            "everything_href": _href(base, kept, organisation=""),
            "next_href": None if found.next is None else _href(base, kept, after=str(found.next)),
            "before_href": None
            if found.before is None
            else _href(base, kept, after=str(found.before or "")),
            "trend_size": (TREND_WIDTH, TREND_HEIGHT),
            "part": told_part(
                found.rows[0].rank if found.rows else 0, len(found.rows), found.shown_count
            ),
        },
    )


def _asked(request: web.Request) -> Asked:
    query = request.query
    search = query.get("search", "").strip()
    if "\0" in search or len(search) > SEARCH_LENGTH_MAX:
        raise InvalidInput(f"at most {SEARCH_LENGTH_MAX} characters of text", where="search")
    after = query.get("after", "") or "0"
    if not (after.isascii() and after.isdigit() and len(after) <= _ID_DIGITS_MAX):
        raise InvalidInput("must be a number", where="after")
    descending = query.get("descending", "") or _FALSE
    if descending not in (_FALSE, _TRUE):
        raise InvalidInput("must be true or false", where="descending")
    return Asked(
        search=search,
        show=_one_of(Show, query.get("show", "") or Show.ALL, where="show"),
        sort=_one_of(Sort, query.get("sort", "") or Sort.NAME, where="sort"),
        descending=descending == _TRUE,
        after=int(after),
        limit=PROJECTS_PER_PAGE,
    )


def _one_of(kind: type[_Choice], text: str, *, where: str) -> _Choice:
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(one.value for one in kind)
        raise InvalidInput(f"must be one of {known}", where=where) from None


def _kept(asked: Asked, named: str) -> dict[str, str]:
    """Give what every link of the page keeps of its address."""
    return {
        "search": asked.search,
        "organisation": named,
        "show": "" if asked.show is Show.ALL else asked.show.value,
        "sort": "" if asked.sort is Sort.NAME else asked.sort.value,
        "descending": _TRUE if asked.descending else "",
    }


def _href(base: str, kept: Mapping[str, str], **changed: str) -> str:
    query = urlencode({name: value for name, value in {**kept, **changed}.items() if value})
    return f"{base}/?{query}" if query else f"{base}/"


def _column(
    base: str, kept: Mapping[str, str], asked: Asked, sort: Sort, label: str, largest_first: bool
) -> Column:
    is_here = asked.sort is sort
    descending = not asked.descending if is_here else largest_first
    order = ("descending" if asked.descending else "ascending") if is_here else ""
    href = _href(
        base,
        kept,
        sort="" if sort is Sort.NAME else sort.value,
        descending=_TRUE if descending else "",
    )
    return Column(sort.value, label, href, order)


def _shown(
    base: str, kept: Mapping[str, str], found: Overview, asked: Asked
) -> list[dict[str, object]]:
    return [
        {
            "label": label,
            "count": Decimal(getattr(found.counts, show.value)),
            "href": _href(base, kept, show="" if show is Show.ALL else show.value),
            "is_here": asked.show is show,
        }
        for show, label in SHOWN
    ]


def _line(base: str, row: OverviewRow) -> OverviewLine:
    account = Account(
        row.project,
        row.balance,
        f"{base}/credits_history/{quote(f'#{row.project.id}', safe='')}",
        row.forecast,
    )
    columns = stacked(
        [[one] for one in row.trend], width=TREND_WIDTH, height=TREND_HEIGHT, gap=Decimal("0.25")
    )
    return OverviewLine(
        account=account,
        row=row,
        band="" if row.forecast is None or not account.ends else band_of(row.forecast),
        is_closed=state_of(row.closing, row.balance.as_of) is ProjectState.CLOSED,
        trend="".join(
            f"M{bar.x} {TREND_HEIGHT}V{bar.y}h{bar.width}V{TREND_HEIGHT}z"
            for column in columns
            for bar in column
        ),
        organisation_href=""
        if row.organisation is None
        else _href(base, {}, organisation=f"#{row.organisation.id}"),
    )
