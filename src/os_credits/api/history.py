"""GET /credits_history/{project}: rows for machines; browsers get the page of room `web`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from os_credits.api.context import context_of
from os_credits.api.names import FOUND_NO_PROJECT, Names, ProjectQuery, project_of, read_names
from os_credits.api.reading import Moment
from os_credits.api.routes import Answer, Gate, HttpHandler, Routes, json_response
from os_credits.api.shapes import (
    BalanceShape,
    HistoryRow,
    HistoryShape,
    PeriodShape,
    ProjectShape,
    TotalsShape,
)
from os_credits.domain.entry import EntryKind
from os_credits.domain.history import History, Line, Place, Totals
from os_credits.domain.period import floor_hour, from_ms, to_ms
from os_credits.domain.project import Project
from os_credits.errors import InvalidInput
from os_credits.flows.history import beginning, read_history
from os_credits.store import batches
from os_credits.store.pool import Connection, snapshot
from os_credits.store.usage_reads import UsageSum, sum_quantities

ROWS_DEFAULT = 10_000
ROWS_MAX = 20_000
DEFAULT_LENGTH = timedelta(days=30)
_PLACE = re.compile(r"(\d{1,14})\.([012])\.(\d{1,18})\.(\d{1,9})")

routes = Routes("History")


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """What shows the history to people, and tells who wants that; room `web` knows both."""

    is_wanted: Callable[[web.Request], bool]
    show: HttpHandler


# Put here by `app.py`, since this room knows no HTML; without it everyone gets JSON.
HISTORY_PAGE = web.AppKey("HISTORY_PAGE", HistoryPage)


class HistoryQuery(ProjectQuery):
    """Which part of the history, and in which form."""

    start_date: Moment | None = Field(
        None, description="Rows of hours from here on; 30 days before the end if not given"
    )
    end_date: Moment | None = Field(None, description="Rows of hours before this; else all")
    after: str | None = Field(None, description="`next` of the page before")
    limit: Annotated[int, Field(gt=0, le=ROWS_MAX)] = ROWS_DEFAULT
    format: Literal["json", "html"] | None = Field(
        None, description="Takes the place of the header Accept"
    )


@routes.add(
    "GET",
    "/credits_history/{project}",
    gate=Gate.READ,
    summary="A project's history: what was used, granted and left, hour by hour",
    answers={
        200: Answer(
            "The rows of the period, oldest first; a page if text/html is preferred",
            HistoryShape,
            also=("text/html",),
        )
    }
    | FOUND_NO_PROJECT,
)
async def credits_history(request: web.Request, query: HistoryQuery) -> web.StreamResponse:
    """Give rows in the order of the hours that they concern.

    What is charged but not yet booked stands among them as kind `open`, so that they add up
    to the balance exactly.
    """
    page = request.config_dict.get(HISTORY_PAGE)
    if page is not None and (
        query.format == "html" or (query.format is None and page.is_wanted(request))
    ):
        return await page.show(request)
    response = json_response(await _read(request, query))
    response.headers["Vary"] = "Accept, Authorization"
    return response


async def _read(request: web.Request, query: HistoryQuery) -> HistoryShape:
    async with snapshot(context_of(request).pool) as conn:
        start, end = _period(query, await batches.read_now(conn))
        after = beginning(start) if query.after is None else _place_of(query.after)
        project = await project_of(request, conn, query)
        history = await read_history(
            conn,
            project.id,
            after=after,
            until=end,
            lines_max=query.limit,
        )
        names = await read_names(conn)
        quantities = await _quantities(conn, project, history)
    # Beside the event loop, since there may be very many rows.
    return await asyncio.to_thread(_shape, project, history, (start, end), names, quantities)


def _period(query: HistoryQuery, now: datetime) -> tuple[datetime, datetime | None]:
    """Give the asked period; its end is None for everything up to now."""
    start, end = query.start_date, query.end_date
    if start is None:
        try:
            start = floor_hour(end or now) - DEFAULT_LENGTH
        except OverflowError:
            raise InvalidInput("is too early", where="end_date") from None
    if end is not None and end <= start:
        raise InvalidInput("must be after start_date", where="end_date")
    return start, end


async def _quantities(conn: Connection, project: Project, history: History) -> dict[UsageSum, int]:
    if not history.lines:
        return {}
    return await sum_quantities(
        conn,
        project.id,
        first_hour=history.lines[0][0].place.hour,
        last_hour=history.lines[-1][0].place.hour,
    )


def _shape(
    project: Project,
    history: History,
    period: tuple[datetime, datetime | None],
    names: Names,
    quantities: dict[UsageSum, int],
) -> HistoryShape:
    start, end = period
    return HistoryShape(
        project=ProjectShape.model_validate(project),
        balance=BalanceShape.model_validate(history.balance),
        period=PeriodShape(start=start, end=end or history.balance.as_of),
        opening=TotalsShape.model_validate(history.opening),
        rows=[_row(line, totals, names, quantities) for line, totals in history.lines],
        next=None if history.next_place is None else _text_of(history.next_place),
    )


def _row(line: Line, totals: Totals, names: Names, quantities: dict[UsageSum, int]) -> HistoryRow:
    quantity, unit = None, None
    if line.meter_id is not None and line.flavor_id is not None:
        unit = names.meters[line.meter_id].priced_unit
        steps = quantities.get((line.place.hour, line.meter_id, line.flavor_id))
        if steps is not None and _is_first(line):
            quantity = Decimal(names.units(line.meter_id, steps))
    return HistoryRow(
        time=line.place.hour,
        kind="open" if line.kind is None else line.kind.value,
        meter=names.meter(line.meter_id),
        flavor=names.flavor(line.flavor_id),
        credits=line.amount,
        used=totals.used,
        balance=totals.balance,
        quantity=quantity,
        unit=unit,
        reason=line.reason,
        booked_at=line.booked_at,
        entry_id=line.entry_id,
    )


def _is_first(line: Line) -> bool:
    """Tell whether this is the first line of its hour, meter and flavor."""
    return line.kind is EntryKind.USAGE or (line.kind is None and line.entry_id is None)


def _text_of(place: Place) -> str:
    return f"{to_ms(place.hour)}.{place.rank}.{place.major}.{place.minor}"


def _place_of(text: str) -> Place:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidInput("must be the `next` of an earlier answer", where="after")
    hour_ms, rank, major, minor = map(int, found.groups())
    return Place(from_ms(hour_ms), rank, major, minor)
