"""The servers, volumes ... of a project, and the page of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from aiohttp import web

from os_credits.domain.amount import added
from os_credits.domain.period import HOUR, floor_hour
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows import resources as flow
from os_credits.flows.resources import Asked, ResourceSort, ResourceState
from os_credits.store.batches import read_now
from os_credits.store.pool import snapshot
from os_credits.web.bars import Column, over_time
from os_credits.web.language import N_
from os_credits.web.project import find_project, page_href, spent_href, told_part
from os_credits.web.room import DESK, PageRoute, render, visitor_of
from os_credits.web.span import SPANS, span_between, span_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.project import Project
    from os_credits.flows.resources import ResourceDetail, ResourceList
    from os_credits.store.resources import ResourceStep

RESOURCES_PER_PAGE = 25
CHART_SIZE = (1000, 160)
_ID_DIGITS_MAX = 18
_TRUE = "true"
STATES = {
    ResourceState.RUNNING: N_("running"),
    ResourceState.STOPPED: N_("stopped"),
    ResourceState.GONE: N_("gone"),
}
# What each column is sorted by, and whether the first click on it begins with the largest.
COLUMNS = (
    (ResourceSort.NAME, N_("Name"), False),
    (None, N_("State"), False),
    (None, N_("Flavor"), False),
    (None, N_("Where"), False),
    (ResourceSort.FIRST, N_("First seen"), True),
    (ResourceSort.LAST, N_("Last seen"), True),
    (ResourceSort.RECENT, N_("Last 30 days"), True),
    (ResourceSort.CREDITS, N_("To date"), True),
)


@dataclass(frozen=True, slots=True)
class StepLine:
    """What a resource used in one hour or day, of all its flavors; `href` leads further down."""

    start: datetime
    flavors: tuple[str, ...]
    quantity: Decimal
    waiting: Decimal
    credits: Credits
    href: str


def routes() -> list[PageRoute]:
    """Give the pages of resources."""
    one = "/projects/{project}/resources"
    return [
        PageRoute(
            one,
            resource_list,
            "A project's servers and volumes, as a page",
            api=("GET /api/v1/projects/{project}/resources",),
        ),
        PageRoute(
            f"{one}/{{series}}",
            resource_page,
            "A server, volume ... of a project, as a page",
            api=("GET /api/v1/projects/{project}/resources/{series}",),
        ),
    ]


async def resource_list(request: web.Request) -> web.Response:
    """Answer with the page of a project's resources."""
    base, query = visitor_of(request).base, request.query
    async with snapshot(request.app[DESK].pool) as conn:
        project = await find_project(request, conn)
        meter = query.get("meter", "")
        asked = _asked(query, await flow.find_meter(conn, meter) if meter else None)
        found = await flow.read_resources(conn, project.id, asked)
    kept = {
        "running": _TRUE if asked.is_running else "",
        "meter": meter,
        "sort": "" if asked.sort is None else asked.sort.value,
        "descending": "" if asked.descending else "false",
    }
    path = page_href(base, project, "resources")
    return render(
        request,
        "resources.html",
        {
            "project": project,
            "found": found,
            "states": STATES,
            "asked": asked,
            "meter": meter,
            "path": path,
            "columns": [_column(path, kept, found, asked, *column) for column in COLUMNS],
            "kinds": _kinds(path, kept, found, asked),
            "kept": {name: kept[name] for name in ("running", "sort", "descending") if kept[name]},
            "next_href": None if found.next is None else _href(path, kept, after=str(found.next)),
            "first_href": _href(path, kept) if found.first_rank > 1 else None,
            "part": told_part(found.first_rank, len(found.rows), found.shown_count),
        },
    )


def _asked(query: Mapping[str, str], meter_id: int | None) -> Asked:
    sort = query.get("sort", "")
    if sort and sort not in set(ResourceSort):
        known = ", ".join(one.value for one in ResourceSort)
        raise InvalidInput(f"must be one of {known}", where="sort")
    return Asked(
        is_running=_flag(query, "running", otherwise=False),
        meter_id=meter_id,
        sort=ResourceSort(sort) if sort else None,
        descending=_flag(query, "descending", otherwise=True),
        after=_number(query.get("after", "") or "0"),
        limit=RESOURCES_PER_PAGE,
    )


def _flag(query: Mapping[str, str], name: str, *, otherwise: bool) -> bool:
    text = query.get(name, "")
    if text not in ("", _TRUE, "false"):
        raise InvalidInput("must be true or false", where=name)
    return text == _TRUE if text else otherwise


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS_MAX):
        raise InvalidInput("must be a number", where="after")
    return int(text)


def _href(path: str, kept: Mapping[str, str], **changed: str) -> str:
    query = urlencode({name: value for name, value in {**kept, **changed}.items() if value})
    return f"{path}?{query}" if query else path


def _column(
    path: str,
    kept: Mapping[str, str],
    found: ResourceList,
    asked: Asked,
    sort: ResourceSort | None,
    label: str,
    largest_first: bool,
) -> dict[str, str]:
    if sort is None:
        return {"label": label, "href": "", "order": "", "key": ""}
    is_here = found.sort is sort
    descending = not asked.descending if is_here else largest_first
    order = ("descending" if asked.descending else "ascending") if is_here else ""
    href = _href(path, kept, sort=sort.value, descending="" if descending else "false")
    return {"label": label, "href": href, "order": order, "key": sort.value}


def _kinds(
    path: str, kept: Mapping[str, str], found: ResourceList, asked: Asked
) -> list[dict[str, object]]:
    return [
        {
            "label": N_("All"),
            "count": Decimal(sum(found.counts.values())),
            "href": _href(path, kept, running=""),
            "is_here": not asked.is_running,
        },
        {
            "label": N_("Running"),
            "count": Decimal(found.counts[ResourceState.RUNNING]),
            "href": _href(path, kept, running=_TRUE),
            "is_here": asked.is_running,
        },
    ]


async def resource_page(request: web.Request) -> web.Response:
    """Answer with the page of one resource."""
    base, query = visitor_of(request).base, request.query
    text = request.match_info["series"]
    if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS_MAX):
        raise NotFound(f"there is no resource {text[:40]!r}")
    async with snapshot(request.app[DESK].pool) as conn:
        project = await find_project(request, conn)
        now = await read_now(conn)
        span = span_of(query.get("range"))
        if "range" not in query and (query.get("from") or query.get("to")):
            span = span_between(
                query.get("from", ""), query.get("to", ""), begin=now.replace(year=1970), now=now
            )
        told = await flow.read_resource(
            conn,
            project.id,
            int(text),
            start=span.start_before(now),
            end=floor_hour(now) + 2 * HOUR if span.until is None else span.until,
            by=span.step,
        )
    path = page_href(base, project, "resources", text)
    lines, chart = _steps(base, project, told, span.step)
    return render(
        request,
        "resource.html",
        {
            "project": project,
            "one": told.resource,
            "told_times": [
                {
                    "flavor": told.flavors.get(each.flavor_id, ""),
                    "first": each.first,
                    "last": each.last,
                    "quantity": Decimal(each.quantity) / told.resource.meter.quantity_per_unit,
                    "credits": each.credits,
                }
                for each in told.times
            ],
            "label_sets": [
                {
                    "flavor": told.flavors.get(each.flavor_id, ""),
                    "created_at": each.created_at,
                    "fits": each.fits,
                    "labels": each.labels,
                }
                for each in told.labels
            ],
            "state": STATES[told.resource.state],
            "span": span,
            "spans": [
                {"key": each.key, "label": each.label, "href": f"{path}?range={each.key}"}
                for each in SPANS
            ],
            "path": path,
            "list_path": page_href(base, project, "resources"),
            "lines": list(reversed(lines)),
            "columns": chart,
            "chart_size": CHART_SIZE,
            "highest": max((line.credits for line in lines), default=Decimal(0)),
            "in_all": added(*(line.credits for line in lines)),
        },
    )


def _steps(
    base: str, project: Project, told: ResourceDetail, step: Literal["hour", "day"]
) -> tuple[list[StepLine], list[Column]]:
    per_unit = told.resource.meter.quantity_per_unit
    by_start: dict[datetime, list[ResourceStep]] = {}
    for one in told.steps:
        by_start.setdefault(one.start, []).append(one)
    lines = [
        StepLine(
            start=start,
            flavors=tuple(told.flavors.get(one.flavor_id, "") for one in parts),
            quantity=sum((Decimal(one.quantity) for one in parts), Decimal(0)) / per_unit,
            waiting=sum((Decimal(one.waiting) for one in parts), Decimal(0)) / per_unit,
            credits=added(*(one.credits for one in parts)),
            href=spent_href(base, project, start, step),
        )
        for start, parts in by_start.items()
    ]
    return lines, _chart(lines, step)


def _chart(lines: Sequence[StepLine], step: Literal["hour", "day"]) -> list[Column]:
    """Draw all steps from the first to the last, those of nothing too."""
    if not lines:
        return []
    costs = {line.start: line.credits for line in lines}
    length = HOUR if step == "hour" else 24 * HOUR
    count = (lines[-1].start - lines[0].start) // length + 1
    moments = [lines[0].start + number * length for number in range(count)]
    return over_time(moments, [[costs.get(one, Decimal(0))] for one in moments], size=CHART_SIZE)
