"""The page of the calculator: what flavors would cost, and how long a project could pay."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from aiohttp import web

from os_credits.domain.access import Access, Named, named
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.calculation import HOURS_OF_DAY, Wish, calculate
from os_credits.flows.prices import read_price_table
from os_credits.flows.projects import resolve_project
from os_credits.rating.quote import PriceTable
from os_credits.store import projects
from os_credits.store.pool import Connection, snapshot
from os_credits.web.bill_view import exact, figure
from os_credits.web.language import N_, gettext
from os_credits.web.room import DESK, PageRoute, render, visitor_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multidict import MultiMapping

    from os_credits.domain.project import Project

ROWS_MAX = 30
ROWS_AT_FIRST = 2
PROJECTS_MAX = 200
COUNT_MAX = Decimal(10) ** 9
_DIGITS = -6
NOT_A_COUNT = N_("Please give a number from 0 to a thousand million, with six digits at most.")
NOT_HOURS = N_("Please give more than 0 hours, and at most 24.")
NO_FLAVOR = N_("Please choose a flavor.")


def routes() -> list[PageRoute]:
    """Give the page of the calculator."""
    return [
        PageRoute(
            "/calculator",
            calculator_page,
            "What flavors would cost, as a page",
            api=("GET /api/v1/calculations", "POST /api/v1/calculations"),
        )
    ]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the form as it was typed, and what is wrong with it ('' for nothing)."""

    flavor: str = ""
    count: str = ""
    problem: str = ""
    amount: Decimal | None = None

    @classmethod
    def read(cls, flavor: str, count: str) -> Row:
        """Read what was typed; a flavor without a count means one of it."""
        flavor, count = flavor.strip(), count.strip()
        if not flavor and not count:
            return cls()
        amount = _number(count or "1")
        if amount is None or not 0 <= amount <= COUNT_MAX:
            return cls(flavor, count, gettext(NOT_A_COUNT))
        if not flavor:
            return cls(flavor, count, gettext(NO_FLAVOR))
        return cls(flavor, count, amount=amount)


def _number(text: str) -> Decimal | None:
    """Read a number as people write it, with a comma too; None if it is none."""
    text = text.replace(",", ".")
    if "_" in text or not text.isascii():
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    is_exact = number.is_finite() and number == round(number, -_DIGITS)
    return number if is_exact else None


async def calculator_page(request: web.Request) -> web.Response:
    """Show the form, and what it holds calculated; an address can be kept or handed on."""
    desk, visitor, query = request.app[DESK], visitor_of(request), request.query
    rows = _rows(query)
    hours = _number(query.get("hours", "") or "24")
    hours_problem = "" if hours is not None and 0 < hours <= HOURS_OF_DAY else gettext(NOT_HOURS)
    wanted = [(row.flavor, row.amount) for row in rows if row.amount is not None]
    found, problem = None, ""
    async with snapshot(desk.pool) as conn:
        mine = await _projects(conn, visitor.access)
        table = await read_price_table(conn)
        project, project_problem = await _project(request, conn)
        if wanted and hours is not None and not hours_problem:
            try:
                found = await calculate(conn, Wish(wanted, hours_per_day=hours), project)
            except InvalidInput as error:
                problem = str(error)
    context = {
        "rows": _with_room(rows, query),
        "flavors": _flavors(table),
        "hours": query.get("hours", "") or "24",
        "hours_problem": hours_problem,
        "projects": mine[:PROJECTS_MAX],
        "project": project,
        "project_typed": query.get("project", ""),
        "project_problem": project_problem,
        "found": found,
        "problem": problem,
        "exact": exact,
        "figure": figure,
    }
    is_part = request.headers.get("HX-Request") == "true"
    return render(request, "calculator_result.html" if is_part else "calculator.html", context)


def _rows(query: MultiMapping[str]) -> list[Row]:
    flavors, counts = query.getall("flavor", []), query.getall("count", [])
    length = min(max(len(flavors), len(counts)), ROWS_MAX)
    pad = [""] * length
    pairs = zip((flavors + pad)[:length], (counts + pad)[:length], strict=True)
    return [Row.read(flavor, count) for flavor, count in pairs]


def _with_room(rows: Sequence[Row], query: MultiMapping[str]) -> list[Row]:
    """Leave out lines that are empty, and add one more where that is asked for."""
    used = [row for row in rows if row.flavor or row.count]
    wanted = len(used) + (1 if "more" in query or not used else 0)
    length = min(max(wanted, ROWS_AT_FIRST, len(used)), ROWS_MAX)
    if "more" in query:
        length = min(max(length, len(rows) + 1), ROWS_MAX)
    return [*used, *[Row()] * (length - len(used))]


def _flavors(table: PriceTable) -> list[str]:
    """Offer what has a price of its own; other flavors are only words of somebody's samples."""
    priced = {one for meter_id in table.meters for one in table.prices.flavors_of(meter_id)}
    return sorted(name for id_, name in table.flavors.items() if name and id_ in priced)


async def _projects(conn: Connection, access: Access) -> list[Project]:
    return await projects.search_projects(
        conn,
        name=None,
        site=None,
        domain=None,
        among=None if access.projects is None else _first(named(access.projects)),
        after_id=0,
        limit=PROJECTS_MAX + 1,
    )


def _first(among: Named) -> list[str]:
    """Leave out what is not shown anyway: a person's projects are our numbers, and may be many."""
    numbers = among.numbers if among.names else among.numbers[: PROJECTS_MAX + 1]
    return [f"#{one}" for one in numbers] + list(among.names)


async def _project(request: web.Request, conn: Connection) -> tuple[Project | None, str]:
    """Find the project that was named; what is wrong with the name is told beside it."""
    name = request.query.get("project", "").strip()
    if not name:
        return None, ""
    desk, access = request.app[DESK], visitor_of(request).access
    try:
        return await resolve_project(conn, name, may_see=lambda one: desk.may_read(access, one)), ""
    except NotFound:
        return None, gettext(N_("There is no such project."))
    except Conflict as error:
        numbers = ", ".join(_names(error))
        return None, gettext(N_("Several projects have this name: %(numbers)s."), numbers=numbers)


def _names(error: Conflict) -> list[Any]:
    return [one["number"] for one in error.candidates]
