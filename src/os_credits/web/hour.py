"""The last step down: an hour of a project, explained from its credits to its raw samples."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.amount import added
from os_credits.domain.explanation import LinePlace, Reach
from os_credits.domain.period import HOUR, floor_day, from_ms
from os_credits.domain.usage import UsageKind
from os_credits.errors import InvalidInput
from os_credits.flows.explain import explain_hour
from os_credits.flows.explain_samples import View
from os_credits.store.pool import snapshot
from os_credits.web.admin.tools import TOOLS
from os_credits.web.explain_words import REACHES, WHY, remark_text
from os_credits.web.language import N_
from os_credits.web.project import find_project, page_href, spent_href
from os_credits.web.room import DESK, render, visitor_of
from os_credits.web.span import floor_step

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from aiohttp import web

    from os_credits.domain.explanation import Contribution, ExplainedCharge, UsageLine
    from os_credits.domain.project import Project
    from os_credits.web.project import When

LINES_MAX = 20
PAIRS_MAX = 60
_PLACE = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,18})\.(\d)")
KINDS = {
    UsageKind.BILLED: "",
    UsageKind.SUSPECT: N_("suspect: too much to be true"),
    UsageKind.UNMETERED: N_("unmetered: a gap without samples"),
}
ENTRY_KINDS = {
    "opening": N_("Taken over"),
    "grant": N_("Grant"),
    "usage": N_("Usage"),
    "correction": N_("Correction"),
    "adjustment": N_("Adjustment"),
    "transfer": N_("Transfer"),
    "expiry": N_("Expired"),
}
VERDICTS = {
    "bill": N_("decided to bill it"),
    "waive": N_("decided to waive it"),
    "reopen": N_("decided to leave it open"),
}


@dataclass(frozen=True, slots=True)
class PairLine:
    """What two samples bring, as a line of a calculation; times are as the hour needs them."""

    start: str
    end: str
    expression: str
    result: str
    unit: str
    remark: str


async def hour_page(request: web.Request, when: When) -> web.Response:
    """Answer with the explanation of an hour of a project."""
    base, query = visitor_of(request).base, request.query
    view = View(LINES_MAX, PAIRS_MAX, after=_place_of(query.get("after", "")))
    async with snapshot(request.app[DESK].pool) as conn:
        project = await find_project(request, conn)
        told = await explain_hour(
            conn,
            project,
            when.start,
            view,
            window_ms=request.app[TOOLS].window_ms,
        )
    path = spent_href(base, project, when.start, "hour")
    return render(
        request,
        "hour.html",
        {
            "project": project,
            "told": told,
            "hour": when.start,
            "credits": added(*(one.charged for one in told.charges)),
            "charges": [_charge(base, project, one) for one in told.charges],
            "reach": "" if told.reach is Reach.SAMPLES else REACHES[told.reach],
            "crumbs": _crumbs(base, project, when.start),
            "before_href": spent_href(base, project, when.start - HOUR, "hour"),
            "after_href": spent_href(base, project, when.end, "hour")
            if when.end <= told.as_of
            else None,
            "next_href": None
            if told.next_place is None
            else f"{path}?after={'.'.join(map(str, told.next_place))}",
            "entry_kinds": ENTRY_KINDS,
            "verdicts": VERDICTS,
        },
    )


def _place_of(text: str) -> LinePlace:
    if not text:
        return (0, 0, 0, -1)
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidInput("must be the `next` of an earlier answer", where="after")
    meter_id, flavor_id, series_id, kind = map(int, found.groups())
    return meter_id, flavor_id, series_id, kind


def _crumbs(base: str, project: Project, hour: datetime) -> list[dict[str, object]]:
    month, day = floor_step(hour, "month"), floor_day(hour)
    return [
        {"href": page_href(base, project, "spent"), "unit": "", "start": hour},
        {"href": spent_href(base, project, month, "month"), "unit": "month", "start": month},
        {"href": spent_href(base, project, day, "day"), "unit": "day", "start": day},
    ]


def _charge(base: str, project: Project, charge: ExplainedCharge) -> dict[str, object]:
    return {
        "charge": charge,
        "lines": [_line(base, project, charge, one) for one in charge.lines],
        "hidden_count": charge.line_count - len(charge.lines),
        "day_lines": []
        if charge.day is None
        else [
            {
                "one": one,
                "href": page_href(base, project, "resources", str(one.series_id)),
            }
            for one in charge.day.lines
        ],
    }


def _line(
    base: str, project: Project, charge: ExplainedCharge, line: UsageLine
) -> dict[str, object]:
    return {
        "line": line,
        "href": page_href(base, project, "resources", str(line.series_id)),
        "kind": KINDS[line.kind],
        "why": WHY[line.outcome],
        "rounding": remark_text(line.cost.rounding) if line.cost is not None else "",
        "pairs": [] if line.trace is None else _pairs(line.trace.contributions, charge.hour),
    }


def _pairs(contributions: Sequence[Contribution], hour: datetime) -> list[PairLine]:
    return [
        PairLine(
            start="" if one.pair.earlier is None else _clock(one.pair.start_ms, hour),
            end=_clock(
                one.pair.end_ms if one.pair.earlier is not None else one.pair.later.time_ms, hour
            ),
            expression="" if one.formula is None else one.formula.expression,
            result="" if one.formula is None else one.formula.result,
            unit="" if one.formula is None else one.formula.unit,
            remark=remark_text(one.remark),
        )
        for one in contributions
    ]


def _clock(ms: int, hour: datetime) -> str:
    """Write a time of day, with its date where that is another one, to the millisecond."""
    moment = from_ms(ms)
    text = f"{moment:%H:%M:%S}" + (f".{ms % 1000:03d}" if ms % 1000 else "")
    is_near = hour.date() == moment.date() or moment == hour + HOUR
    return text if is_near else f"{moment:%Y-%m-%d} {text}"
