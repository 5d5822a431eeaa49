"""Calculates what flavors and amounts would cost, and for how long a project could pay for them.

An hour costs what the charge of a full hour would be, rounded half-even to six digits for each
line. A day is that times the hours of a day, rounded so once more; a month is 30 days, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.amount import Credits, added, divide_half_even, from_micro, to_micro
from os_credits.domain.period import floor_hour, to_ms
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows.budgets import usable
from os_credits.flows.forecast import read_credit, read_forecast
from os_credits.flows.prices import read_price_table
from os_credits.forecast.credit import hours_until_empty
from os_credits.forecast.paths import HORIZON_DAYS, steady
from os_credits.store import batches
from os_credits.store.balances import read_balances

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from os_credits.domain.balance import Balance
    from os_credits.domain.budget import Usable
    from os_credits.domain.project import Project
    from os_credits.forecast.credit import Credit
    from os_credits.rating.quote import PriceTable, QuoteLine
    from os_credits.store.pool import Connection

DAYS_OF_MONTH = 30
HOURS_OF_DAY = Decimal(24)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody would like to run: counts of flavors, units of meters, hours of each day.

    `at` says by the prices of which hour; None: of now.
    """

    flavors: Sequence[tuple[str, Decimal]]
    meters: Sequence[tuple[str, Decimal]] = ()
    hours_per_day: Decimal = HOURS_OF_DAY
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Credits for an hour, a day with its hours, and a month of 30 days."""

    per_hour: Credits
    per_day: Credits
    per_month: Credits


@dataclass(frozen=True, slots=True)
class CalculatedLine:
    """What a meter, and flavor, of a wish costs."""

    quote: QuoteLine
    cost: Cost


@dataclass(frozen=True, slots=True)
class NotPriced:
    """A flavor or meter of a wish that is unknown or has no price, and the reason."""

    name: str
    reason: str


class Lasts(StrEnum):
    """For how long credits suffice."""

    UNTIL = "until"
    """Up to a moment."""
    BEYOND = "beyond"
    """For more than two years."""
    OUT = "out"
    """Nothing is left now."""
    UNUSED = "unused"
    """For ever: nothing would be used."""


@dataclass(frozen=True, slots=True)
class Duration:
    """For how long credits last if every day uses so many; `until` with that state only."""

    per_day: Credits
    state: Lasts
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """For how long a project could pay: with only the wish, and on top of what burns now."""

    project: Project
    balance: Balance
    usable: Usable
    burn_per_day: Credits
    alone: Duration
    together: Duration


@dataclass(frozen=True, slots=True)
class Calculation:
    """What a wish costs by the prices of the hour that begins at `hour`; `total` adds its lines."""

    hour: datetime
    hours_per_day: Decimal
    lines: tuple[CalculatedLine, ...]
    not_priced: tuple[NotPriced, ...]
    total: Cost
    outlook: Outlook | None


async def calculate(conn: Connection, wish: Wish, project: Project | None = None) -> Calculation:
    """Calculate a wish, and of a project how long it could pay; use it in a snapshot.

    What is unknown or has no price is told, and costs nothing. Raises InvalidInput for more than
    24 hours a day, or none, and for what no account can hold.
    """
    if not 0 < wish.hours_per_day <= HOURS_OF_DAY:
        raise InvalidInput("must be more than 0, and at most 24", where="hours_per_day")
    now = await batches.read_now(conn)
    hour = floor_hour(wish.at or now)
    quotes, not_priced = _quoted(await read_price_table(conn), wish, to_ms(hour))
    lines = tuple(CalculatedLine(one, _cost(one.credits, wish.hours_per_day)) for one in quotes)
    total = _total(line.cost for line in lines)
    outlook = None if project is None else await _outlook(conn, project, total.per_day)
    return Calculation(hour, wish.hours_per_day, lines, not_priced, total, outlook)


def _quoted(
    table: PriceTable, wish: Wish, hour_ms: int
) -> tuple[list[QuoteLine], tuple[NotPriced, ...]]:
    quotes: list[QuoteLine] = []
    not_priced: list[NotPriced] = []
    for name, count in _together(wish.flavors):
        try:
            quotes += table.quote_flavor(name, count, hour_ms)
        except NotFound as error:
            not_priced.append(NotPriced(name, str(error)))
    for name, count in _together(wish.meters):
        try:
            quotes.append(table.quote_meter(name, count, hour_ms))
        except NotFound as error:
            not_priced.append(NotPriced(name, str(error)))
    return quotes, tuple(not_priced)


def _together(wanted: Iterable[tuple[str, Decimal]]) -> Iterator[tuple[str, Decimal]]:
    """Add up what is named twice, in the order of its first time, without what counts 0."""
    counts: dict[str, Decimal] = {}
    for name, count in wanted:
        counts[name] = counts.get(name, Decimal(0)) + count
    return ((name, count) for name, count in counts.items() if count)


def _cost(per_hour: Credits, hours: Decimal) -> Cost:
    top, bottom = hours.as_integer_ratio()
    day = divide_half_even(to_micro(per_hour) * top, bottom)
    return Cost(per_hour, from_micro(day), from_micro(day * DAYS_OF_MONTH))


def _total(costs: Iterable[Cost]) -> Cost:
    found = list(costs)
    return Cost(
        added(*(one.per_hour for one in found)),
        added(*(one.per_day for one in found)),
        added(*(one.per_month for one in found)),
    )


async def _outlook(conn: Connection, project: Project, per_day: Credits) -> Outlook:
    balance = (await read_balances(conn, [project.id]))[project.id]
    limits = (await usable(conn, {project.id: balance}))[project.id]
    credit = await read_credit(conn, balance)
    burn = (await read_forecast(conn, project.id)).burn_per_day
    return Outlook(
        project,
        balance,
        limits,
        burn,
        alone=_duration(balance, limits, credit, per_day),
        together=_duration(balance, limits, credit, added(per_day, burn)),
    )


def _duration(balance: Balance, limits: Usable, credit: Credit, per_day: Credits) -> Duration:
    """Tell when a steady use has used up what a project, or a budget above it, has.

    Grants that end or are to come are heeded; of a budget, what the others use is not known.
    """
    if limits.amount <= 0:
        return Duration(per_day, Lasts.OUT)
    if per_day <= 0:
        return Duration(per_day, Lasts.UNUSED)
    own = float(hours_until_empty(credit, balance.as_of, steady(float(per_day)))[0])
    shared = [float(one.balance / per_day) * 24 for one in limits.levels if one.organisation]
    # Without credits of its own a project lives on the budgets alone.
    has_own = any(one.organisation is None for one in limits.levels) or not limits.levels
    hours = min([own] * has_own + shared)
    if np.isinf(hours) or hours > HORIZON_DAYS * 24:
        return Duration(per_day, Lasts.BEYOND)
    return Duration(per_day, Lasts.UNTIL, balance.as_of + timedelta(hours=hours))
