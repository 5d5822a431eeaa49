"""GET /credits_history/{project}: rows for machines and spreadsheets; browsers get a page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from os_credits.api.account_shapes import GrantShape
from os_credits.api.auth import access_of, may_read
from os_credits.api.context import context_of
from os_credits.api.forecasts import ForecastShape, forecast_shape
from os_credits.api.history_csv import csv_of
from os_credits.api.names import FOUND_NO_PROJECT, Names, ProjectQuery, project_of, read_names
from os_credits.api.reading import Moment
from os_credits.api.routes import Answer, Gate, HttpHandler, Routes, json_response
from os_credits.api.shapes import (
    BalanceShape,
    HistoryRow,
    PeriodShape,
    ProjectShape,
    Shape,
    TotalsShape,
)
from os_credits.domain.entry import EntryKind
from os_credits.domain.history import History, Line, Place, Totals
from os_credits.domain.period import floor_hour, from_ms, to_ms
from os_credits.domain.project import Project
from os_credits.errors import InvalidInput
from os_credits.flows.forecast import read_forecast
from os_credits.flows.given import GivenLot, read_given
from os_credits.flows.history import beginning, read_history
from os_credits.store import batches, projects, transfers
from os_credits.store.pool import Connection, snapshot
from os_credits.store.usage_reads import UsageSum, sum_quantities

# What the page calls its time, and what stands for it here.
_OF_THE_PAGE = {
    "range": "start_date and end_date",
    "from": "start_date",
    "to": "end_date (which is excluded)",
}
ROWS_DEFAULT = 10_000
ROWS_MAX = 20_000
# Of a file for spreadsheets, which is made whole.
CSV_ROWS_MAX = 200_000
CSV_PAGE_ROWS = 5_000
# Grants beside the rows: the latest of those that are over.
GRANTS_MAX = 1000
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
    limit: Annotated[int, Field(gt=0, le=ROWS_MAX)] | None = Field(
        None, description=f"{ROWS_DEFAULT} if not given; of CSV, all rows of the period"
    )
    format: Literal["json", "html", "csv"] | None = Field(
        None, description="Takes the place of the header Accept"
    )


class HistoryShape(Shape):
    """A project's history, oldest first; the rows add up from `opening` to the balance.

    Where `next` is set, the following rows come with `after` set to it. `grants` (those that
    burn next come first, then those to come, then those that are over) and `forecast` stand
    with the first rows only.
    """

    project: ProjectShape
    balance: BalanceShape
    period: PeriodShape
    opening: TotalsShape
    grants: list[GrantShape] | None
    forecast: ForecastShape | None
    rows: list[HistoryRow]
    next: str | None


@routes.add(
    "GET",
    "/credits_history/{project}",
    gate=Gate.READ,
    summary="A project's history: what was used, granted and left, hour by hour",
    answers={
        200: Answer(
            "The rows of the period, oldest first; a page, or a file, if the header Accept or"
            " `format` says so",
            HistoryShape,
            also=("text/html", "text/csv"),
        )
    }
    | FOUND_NO_PROJECT,
    is_page_too=True,
)
async def credits_history(request: web.Request, query: HistoryQuery) -> web.StreamResponse:
    """Give rows in the order of the hours that they concern.

    What is charged but not yet booked stands among them as kind `open`, so that they add up
    to the balance exactly. A CSV has the columns of `rows`, and all rows of the period unless
    `limit` is given; then the header `X-Next` gives `after` for the following ones. Texts that
    a spreadsheet would take for a formula have an apostrophe before them.
    """
    page = request.config_dict.get(HISTORY_PAGE)
    shows_page = page is not None and (
        query.format == "html" or (query.format is None and page.is_wanted(request))
    )
    if page is not None and shows_page:
        return await page.show(request)
    for name, ours in _OF_THE_PAGE.items():
        if name in request.query:
            raise InvalidInput(f"is the page's: JSON and CSV take {ours}", where=name)
    if query.format == "csv" or (query.format is None and _takes_csv_only(request)):
        return await _csv(request, query)
    response = json_response(await _read(request, query))
    response.headers["Vary"] = "Accept, Authorization"
    return response


def _takes_csv_only(request: web.Request) -> bool:
    return request.headers.get("Accept", "").partition(";")[0].strip().lower() == "text/csv"


async def _read(request: web.Request, query: HistoryQuery) -> HistoryShape:
    async with snapshot(context_of(request).pool) as conn:
        start, end = _period(query, await batches.read_now(conn))
        place = beginning(start) if query.after is None else _place_of(query.after)
        project = await project_of(request, conn, query)
        part = await _read_part(
            request,
            conn,
            project,
            after=place,
            until=end,
            lines_max=query.limit or ROWS_DEFAULT,
        )
        given, forecast = None, None
        if query.after is None:
            given = await read_given(conn, project.id, part.history.balance.as_of)
            forecast = forecast_shape(await read_forecast(conn, project.id))
    # Beside the event loop, since there may be very many rows.
    return await asyncio.to_thread(
        lambda: HistoryShape(
            project=ProjectShape.model_validate(project),
            balance=BalanceShape.model_validate(part.history.balance),
            period=PeriodShape(start=start, end=end or part.history.balance.as_of),
            opening=TotalsShape.model_validate(part.history.opening),
            grants=None if given is None else [_grant(one) for one in given[:GRANTS_MAX]],
            forecast=forecast,
            rows=part.rows(),
            next=part.next,
        )
    )


async def _csv(request: web.Request, query: HistoryQuery) -> web.Response:
    """Make the whole file from one snapshot, so that its rows add up."""
    parts: list[str] = []
    count = 0
    async with snapshot(context_of(request).pool) as conn:
        start, end = _period(query, await batches.read_now(conn))
        place = beginning(start) if query.after is None else _place_of(query.after)
        project = await project_of(request, conn, query)
        while True:
            part = await _read_part(
                request,
                conn,
                project,
                after=place,
                until=end,
                lines_max=min(CSV_PAGE_ROWS, (query.limit or CSV_ROWS_MAX) - count),
            )
            parts.append(await asyncio.to_thread(_csv_part, part, with_head=not parts))
            count += len(part.history.lines)
            if part.history.next_place is None or count == query.limit:
                break
            if count >= CSV_ROWS_MAX:
                raise InvalidInput(
                    f"more than {CSV_ROWS_MAX} rows: ask for a shorter time, or with a limit",
                    where="start_date",
                )
            place = part.history.next_place
    headers = {
        "Content-Disposition": f'attachment; filename="credits-history-{project.id}.csv"',
        "Vary": "Accept, Authorization",
        "X-Content-Type-Options": "nosniff",
    }
    if part.next is not None:
        headers["X-Next"] = part.next
    text = "".join(parts)
    return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)


def _csv_part(part: _Part, *, with_head: bool) -> str:
    return csv_of(part.rows(), with_head=with_head)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some lines of a history, with all that names them."""

    history: History
    names: Names
    quantities: dict[UsageSum, int]
    partners: dict[int, str]

    @property
    def next(self) -> str | None:
        """Give the place from which the following lines come, if there are any."""
        place = self.history.next_place
        return None if place is None else _text_of(place)

    def rows(self) -> list[HistoryRow]:
        """Shape the lines."""
        return [self._row(line, totals) for line, totals in self.history.lines]

    def _row(self, line: Line, totals: Totals) -> HistoryRow:
        quantity, unit = None, None
        if line.meter_id is not None and line.flavor_id is not None:
            unit = self.names.meters[line.meter_id].priced_unit
            steps = self.quantities.get((line.place.hour, line.meter_id, line.flavor_id))
            if steps is not None and _is_first(line):
                quantity = Decimal(self.names.units(line.meter_id, steps))
        return HistoryRow(
            time=line.place.hour,
            kind="open" if line.kind is None else line.kind.value,
            meter=self.names.meter(line.meter_id),
            flavor=self.names.flavor(line.flavor_id),
            credits=line.amount,
            used=totals.used,
            balance=totals.balance,
            quantity=quantity,
            unit=unit,
            reason=line.reason,
            booked_at=line.booked_at,
            entry_id=line.entry_id,
            grant_id=line.grant_id,
            other_project=self.partners.get(line.entry_id or 0),
        )


async def _read_part(
    request: web.Request,
    conn: Connection,
    project: Project,
    *,
    after: Place,
    until: datetime | None,
    lines_max: int,
) -> _Part:
    history = await read_history(conn, project.id, after=after, until=until, lines_max=lines_max)
    return _Part(
        history,
        await read_names(conn),
        await _quantities(conn, project, history),
        await _partners(request, conn, history),
    )


async def _partners(request: web.Request, conn: Connection, history: History) -> dict[int, str]:
    """Name the other project of each transfer, by entry, as far as the caller may read it."""
    moved = [
        line.entry_id
        for line, _ in history.lines
        if line.kind is EntryKind.TRANSFER and line.entry_id is not None
    ]
    if not moved:
        return {}
    partner_of = await transfers.list_partners(conn, moved)
    found = await projects.list_projects_by_id(conn, sorted(set(partner_of.values())))
    access = access_of(request)
    names = {one.id: one.name for one in found if may_read(access, one)}
    return {
        entry_id: names[partner] for entry_id, partner in partner_of.items() if partner in names
    }


def _grant(one: GivenLot) -> GrantShape:
    fate = {"burned": one.burned, "expired": one.expired, "left": one.left, "state": one.state}
    return GrantShape.model_validate({**asdict(one.grant), **fate})


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
