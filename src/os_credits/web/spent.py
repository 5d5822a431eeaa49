"""Where did my credits go? From all of them down to the explanation of a single hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from aiohttp import web

from os_credits.domain.amount import added
from os_credits.domain.period import HOUR, floor_day
from os_credits.domain.usage import UsageKind
from os_credits.errors import InvalidInput
from os_credits.flows.spent import PeriodSpent, read_spent, step_of
from os_credits.store import spending
from os_credits.store.batches import read_now
from os_credits.store.pool import snapshot
from os_credits.web.bars import Column, over_time
from os_credits.web.hour import hour_page
from os_credits.web.language import N_
from os_credits.web.project import (
    find_project,
    page_href,
    spent_href,
    when_of,
)
from os_credits.web.room import DESK, PageRoute, render, visitor_of
from os_credits.web.span import floor_step, span_between

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from os_credits.domain.project import Project
    from os_credits.flows.spent import Item, SpentStep, StepName
    from os_credits.store.pool import Connection

DAY = timedelta(days=1)
CHART_SIZE = (1000, 160)
# Colours for meters and flavors; beyond, the last one sums up the rest.
COLORS_MAX = 7
RESOURCES_MAX = 50
# Days that are shown up to today; None: all there are.
RANGES = (
    ("7d", N_("7 days"), 7),
    ("30d", N_("30 days"), 30),
    ("90d", N_("90 days"), 90),
    ("1y", N_("1 year"), 365),
    ("all", N_("All the time"), None),
)
DEFAULT_RANGE = "30d"
KINDS = {
    UsageKind.BILLED: N_("no price yet"),
    UsageKind.SUSPECT: N_("too much to be true, waits for a decision"),
    UsageKind.UNMETERED: N_("a gap without samples, waits for a decision"),
}


@dataclass(frozen=True, slots=True)
class Level:
    """The time that a page is about; `key` names a range up to today, '' any other time."""

    start: datetime
    end: datetime
    unit: str
    key: str = ""


def routes() -> list[PageRoute]:
    """Give the pages of where credits went."""
    path, explain = "/projects/{project}/spent", "GET /api/v1/projects/{project}/explain"
    spent = f"GET /api/v1{path}"
    return [
        PageRoute(path, spent_page, "Where a project's credits went, as a page", api=(spent,)),
        PageRoute(
            f"{path}/{{when}}",
            spent_when,
            "Where credits went in a year, month, day or hour, as a page",
            api=(spent, explain),
        ),
    ]


async def spent_page(request: web.Request) -> web.Response:
    """Answer with where credits went in a range up to today, or between two days."""
    async with snapshot(request.app[DESK].pool) as conn:
        project = await find_project(request, conn)
        level = await _level(request, conn, project)
        told = await _read(conn, project, level)
    return _page(request, project, level, told)


async def spent_when(request: web.Request) -> web.Response:
    """Answer with where credits went in the time that the address names."""
    when = when_of(request.match_info["when"])
    if when.unit == "hour":
        return await hour_page(request, when)
    level = Level(when.start, when.end, when.unit)
    async with snapshot(request.app[DESK].pool) as conn:
        project = await find_project(request, conn)
        told = await _read(conn, project, level)
    return _page(request, project, level, told)


async def _level(request: web.Request, conn: Connection, project: Project) -> Level:
    query = request.query
    now = await read_now(conn)
    first = await spending.first_hour(conn, project.id)
    begin = now if first is None else min(first, now)
    if "range" not in query and (query.get("from") or query.get("to")):
        span = span_between(query.get("from", ""), query.get("to", ""), begin=begin, now=now)
        assert span.start is not None  # noqa: S101 - it lies between two days
        assert span.until is not None  # noqa: S101 - as before
        return Level(span.start, span.until, "range")
    key = query.get("range", DEFAULT_RANGE)
    lengths = {one: days for one, _, days in RANGES}
    if key not in lengths:
        raise InvalidInput(f"must be one of {', '.join(lengths)}", where="range")
    today, days = floor_day(now), lengths[key]
    start = floor_day(begin) if days is None else today - (days - 1) * DAY
    return Level(start, today + DAY, "range", key)


async def _read(conn: Connection, project: Project, level: Level) -> PeriodSpent:
    by: StepName = "month" if level.unit == "year" else step_of(level.end - level.start)
    return await read_spent(conn, project.id, start=level.start, end=level.end, by=by)


def _page(request: web.Request, project: Project, level: Level, told: PeriodSpent) -> web.Response:
    base = visitor_of(request).base
    path = page_href(base, project, "spent")
    places = _places(told.items)
    shown = told.resources[:RESOURCES_MAX]
    rest = told.resources[RESOURCES_MAX:]
    return render(
        request,
        "spent.html",
        {
            "project": project,
            "level": level,
            "told": told,
            "path": path,
            "crumbs": _crumbs_of(base, project, level),
            "ranges": [
                {"label": label, "href": f"{path}?range={key}", "is_here": key == level.key}
                for key, label, _ in RANGES
            ],
            "days": _days(level),
            "last_day": level.end - DAY,
            "beside": _beside(base, project, level),
            "items": [
                {"item": one, "color": places[one.meter_id, one.flavor_id]} for one in told.items
            ],
            "steps": [
                {"step": one, "href": spent_href(base, project, one.start, told.by)}
                for one in reversed(told.steps)
            ],
            "columns": _chart(told, places),
            "chart_size": CHART_SIZE,
            "highest": max((one.credits for one in told.steps), default=Decimal(0)),
            "resources": [
                {
                    "one": one,
                    "meter": told.meters[one.meter_id].name,
                    "href": page_href(base, project, "resources", str(one.series_id)),
                }
                for one in shown
            ],
            "rest_count": len(rest),
            "rest": added(*(one.credits for one in rest)),
            "uncharged": [
                {
                    "meter": told.meters[one.meter_id],
                    "flavor": told.flavors.get(one.flavor_id, ""),
                    "quantity": Decimal(one.quantity) / told.meters[one.meter_id].quantity_per_unit,
                    "why": KINDS[one.kind],
                }
                for one in told.uncharged
            ],
        },
    )


def _places(items: Sequence[Item]) -> dict[tuple[int, int], int]:
    """Give each item its colour; the last colour is that of all that are left."""
    return {
        (one.meter_id, one.flavor_id): min(number, COLORS_MAX - 1)
        for number, one in enumerate(items)
    }


def _chart(told: PeriodSpent, places: Mapping[tuple[int, int], int]) -> list[Column]:
    """Draw the steps from the first that cost anything to the last, those of nothing too."""
    if not told.steps:
        return []
    by_start = {step.start: _parts(step, places) for step in told.steps}
    moments = [told.steps[0].start]
    while moments[-1] < told.steps[-1].start:
        moments.append(_after(moments[-1], told.by))
    nothing = [Decimal(0)]
    return over_time(moments, [by_start.get(one, nothing) for one in moments], size=CHART_SIZE)


def _parts(step: SpentStep, places: Mapping[tuple[int, int], int]) -> list[Decimal]:
    parts = [Decimal(0)] * COLORS_MAX
    for key, amount in step.by_item.items():
        parts[places.get(key, COLORS_MAX - 1)] += amount
    return parts


def _after(start: datetime, by: StepName) -> datetime:
    if by == "hour":
        return start + HOUR
    return start + DAY if by == "day" else floor_step(start + 31 * DAY, "month")


def _days(level: Level) -> tuple[str, str]:
    """Give the first and the last day of the time, as the form writes them."""
    return level.start.date().isoformat(), (level.end - DAY).date().isoformat()


def _beside(base: str, project: Project, level: Level) -> dict[str, str]:
    """Give the addresses of the times before and after one that has a name of its own, or ''."""
    if level.unit not in ("month", "day"):
        return {}
    step: StepName = "month" if level.unit == "month" else "day"
    before = floor_step(level.start - HOUR, step)
    has_more = level.end <= datetime.now(UTC)
    return {
        "before": spent_href(base, project, before, step),
        "after": spent_href(base, project, level.end, step) if has_more else "",
    }


def _crumbs_of(base: str, project: Project, level: Level) -> list[dict[str, object]]:
    if level.unit == "range":
        return []
    up: list[dict[str, object]] = [
        {"href": page_href(base, project, "spent"), "unit": "", "start": level.start}
    ]
    if level.unit == "day":
        month = floor_step(level.start, "month")
        up.append(
            {"href": spent_href(base, project, month, "month"), "unit": "month", "start": month}
        )
    return up
