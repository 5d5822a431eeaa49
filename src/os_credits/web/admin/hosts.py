"""Pages of compute nodes: what was used on each of them, in each region, of each provider."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

from aiohttp import web

from os_credits.domain.period import floor_day
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows.hosts import (
    HOST_DAYS_DEFAULT,
    Asked,
    HostBy,
    HostReport,
    HostSort,
    read_host,
    read_hosts,
)
from os_credits.rating.charge import units_of
from os_credits.store import batches
from os_credits.store.pool import snapshot
from os_credits.web.language import N_, gettext
from os_credits.web.room import DESK, PageRoute, render, visitor_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.flows.hosts import HostDetail, HostLine
    from os_credits.store.host_reads import HostDay, HostSum

LINES_PER_PAGE = 50
BARS_MAX = 12
RESOURCES_MAX = 100
PROJECTS_MAX = 50
ID_DIGITS_MAX = 9
DAY = timedelta(days=1)
# Geometry of the drawn columns, in the units of their box.
_COLUMN, _GAP, _HEIGHT = 10, 2, 100
BY = {
    HostBy.HOST: N_("Compute nodes"),
    HostBy.REGION: N_("Regions"),
    HostBy.PROVIDER: N_("Providers"),
}
SORTS = {
    HostSort.CREDITS: N_("Credits"),
    HostSort.VCPUS: N_("vCPU-hours"),
    HostSort.RAM: N_("Memory (GiB-hours)"),
    HostSort.RESOURCES: N_("Resources"),
    HostSort.NAME: N_("Name"),
}

Chosen = TypeVar("Chosen", HostBy, HostSort)


def routes() -> list[PageRoute]:
    """Give the pages of compute nodes."""
    return [
        PageRoute(
            "/admin/hosts", list_page, "Usage by compute node, region and provider, as a page",
            gate="admin", api=("GET /api/v1/hosts",),
        ),
        PageRoute(
            "/admin/hosts/{host}", host_page, "A compute node's days, projects and resources",
            gate="admin", api=("GET /api/v1/hosts/{host}",),
        ),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """A line's part of all credits, drawn: its length in per cent of the longest one."""

    line: HostSum
    share: Decimal | None
    length: Decimal


@dataclass(frozen=True, slots=True)
class Column:
    """A day, drawn: where its column stands and how high it is."""

    day: datetime
    x: int
    y: Decimal
    height: Decimal


async def list_page(request: web.Request) -> web.Response:
    """Show the largest users of credits first, or as asked."""
    query = request.query
    start, last = _day(query.get("start"), "start"), _day(query.get("end"), "end")
    asked = Asked(
        start,
        None if last is None else last + DAY,
        _choice(HostBy, query.get("by"), HostBy.HOST, "by"),
        query.get("meter") or None,
        _choice(HostSort, query.get("sort"), HostSort.CREDITS, "sort"),
        query.get("after") or None,
        LINES_PER_PAGE,
    )
    async with snapshot(request.app[DESK].pool) as conn:
        report = await read_hosts(conn, asked)
    base, path = visitor_of(request).base, "/admin/hosts"
    kept = {name: query[name] for name in ("start", "end", "meter", "sort") if query.get(name)}
    by_now = {**kept, "by": str(asked.by)}
    context = {
        "report": report,
        "asked": asked,
        "last_day": report.end - DAY,
        "tabs": [
            (gettext(label), f"{base}{path}?{urlencode({**kept, 'by': str(by)})}", by is asked.by)
            for by, label in BY.items()
        ],
        "title": gettext(BY[asked.by]),
        "sorts": [(str(one), gettext(label)) for one, label in SORTS.items()],
        "bars": _bars(report) if asked.after is None else [],
        "units": lambda quantity: _units(quantity, report),
        "per_day": lambda count: round(Decimal(count) / report.day_count, 1),
        "days_query": urlencode(_days_of(report)),
        "next_href": report.next and f"{base}{path}?{urlencode({**by_now, 'after': report.next})}",
        "first_href": f"{base}{path}?{urlencode(by_now)}" if asked.after else "",
        "csv_href": f"{base}/api/v1/hosts?{urlencode(_api_query(report, asked))}",
    }
    return render(request, "admin/hosts.html", context)


def _units(quantity: int, report: HostReport) -> Decimal | None:
    return None if report.meter is None else Decimal(units_of(quantity, report.meter))


def _days_of(report: HostReport) -> dict[str, str]:
    """Ask for the same days of one compute node, as far as it shows so many."""
    start = max(report.start, report.end - 31 * DAY)
    return {"start": f"{start:%Y-%m-%d}", "end": f"{report.end - DAY:%Y-%m-%d}"}


def _api_query(report: HostReport, asked: Asked) -> dict[str, str]:
    query = {
        "start": f"{report.start:%Y-%m-%d}",
        "end": f"{report.end:%Y-%m-%d}",
        "by": str(asked.by),
        "sort": str(asked.sort),
        "format": "csv",
    }
    return query if asked.meter is None else {**query, "meter": asked.meter}


def _bars(report: HostReport) -> list[Bar]:
    """Draw the lines with the most credits among those shown."""
    lines = sorted(report.lines, key=lambda one: -one.credits)[:BARS_MAX]
    longest = max((one.credits for one in lines), default=Decimal(0))
    if longest <= 0:
        return []
    return [
        Bar(one, report.share(one), round(max(one.credits, Decimal(0)) * 100 / longest, 2))
        for one in lines
    ]


async def host_page(request: web.Request) -> web.Response:
    """Show one compute node."""
    text = request.match_info["host"]
    if not (text.isascii() and text.isdigit() and len(text) <= ID_DIGITS_MAX):
        raise NotFound(f"there is no compute node {text[:100]}")
    start = _day(request.query.get("start"), "start")
    last = _day(request.query.get("end"), "end")
    end = None if last is None else last + DAY
    async with snapshot(request.app[DESK].pool) as conn:
        today = floor_day(await batches.read_now(conn))
        detail = await read_host(conn, int(text), start, end)
    context = {
        "detail": detail,
        "host": detail.host,
        "last_day": detail.end - DAY,
        "today": today,
        "columns": _columns(detail.days, detail),
        "width": _width(detail),
        "height": _HEIGHT,
        "credits_sum": sum((one.credits for one in detail.days), Decimal(0)),
        "projects": None if detail.projects is None else detail.projects[:PROJECTS_MAX],
        "lines": None
        if detail.resources is None
        else [_line(one, detail) for one in detail.resources[:RESOURCES_MAX]],
        "line_count": len(detail.resources or ()),
        "default_days": HOST_DAYS_DEFAULT,
    }
    return render(request, "admin/host.html", context)


def _line(line: HostLine, detail: HostDetail) -> dict[str, object]:
    place = line.place
    return {
        "used": line.used,
        "project": line.project,
        "meter": line.meter,
        "flavor": line.flavor,
        "quantity": Decimal(units_of(line.used.quantity, line.meter)),
        "state": "" if place is None else place.state,
        "moved_to": place if place is not None and place.host_id != detail.host.id else None,
    }


def _width(detail: HostDetail) -> int:
    return max((detail.end - detail.start) // DAY * (_COLUMN + _GAP) - _GAP, _COLUMN)


def _columns(days: Sequence[HostDay], detail: HostDetail) -> list[Column]:
    """Draw a column for each day, from left to right, the highest one to the top."""
    highest = max((one.credits for one in days), default=Decimal(0))
    if highest <= 0:
        return []
    drawn = []
    for one in days:
        height = round(max(one.credits, Decimal(0)) * _HEIGHT / highest, 2)
        x = (one.day - detail.start) // DAY * (_COLUMN + _GAP)
        drawn.append(Column(one.day, x, _HEIGHT - height, height))
    return drawn


def _day(text: str | None, where: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(f"{text}T00:00:00+00:00")
    except ValueError:
        raise InvalidInput("must be a day like 2026-01-31", where=where) from None


def _choice(kind: type[Chosen], text: str | None, default: Chosen, where: str) -> Chosen:
    if not text:
        return default
    try:
        return kind(text)
    except ValueError:
        raise InvalidInput(f"must be one of {', '.join(kind)}", where=where) from None
