"""Of which days a bill's page is: a month, quarter or year by its name, or any days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from os_credits.domain.allowance import floor_month, next_month
from os_credits.domain.period import Period, floor_day
from os_credits.errors import InvalidInput
from os_credits.web.language import N_

DAY = timedelta(days=1)
MONTHS_OF_QUARTER = 3
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_YEARS = (1970, 8999)

# What stands in an address, and what the page calls it.
RANGES = (
    ("month", N_("This month")),
    ("last-month", N_("Last month")),
    ("quarter", N_("This quarter")),
    ("last-quarter", N_("Last quarter")),
    ("year", N_("This year")),
    ("last-year", N_("Last year")),
)
DEFAULT = RANGES[0][0]


@dataclass(frozen=True, slots=True)
class Range:
    """The hours of some days; `key` is '' for days that were named one by one."""

    key: str
    period: Period

    @property
    def first_day(self) -> str:
        """Give the first day as forms write it."""
        return self.period.start.date().isoformat()

    @property
    def last_day(self) -> str:
        """Give the last day, included, as forms write it."""
        return (self.period.end - timedelta(hours=1)).date().isoformat()


def range_of(key: str, first: str, last: str, now: datetime) -> Range:
    """Read a range, seen from `now`.

    A last day that is missing is today, a first one that of the last one's month.
    """
    if first or last:
        end = (_day_of(last, "to") if last else floor_day(now)) + DAY
        start = _day_of(first, "from") if first else floor_month(end - DAY)
        if end <= start:
            raise InvalidInput("must not be before the first day", where="to")
        return Range("", Period(start, end))
    key = key or DEFAULT
    month = floor_month(now)
    starts = {
        "month": (month, 1),
        "last-month": (_back(month, 1), 1),
        "quarter": (_quarter(month), 3),
        "last-quarter": (_back(_quarter(month), 3), 3),
        "year": (month.replace(month=1), 12),
        "last-year": (_back(month.replace(month=1), 12), 12),
    }
    if key not in starts:
        raise InvalidInput(f"must be one of {', '.join(starts)}", where="range")
    start, months = starts[key]
    end = start
    for _ in range(months):
        end = next_month(end)
    return Range(key, Period(start, end))


def _quarter(month: datetime) -> datetime:
    first = (month.month - 1) // MONTHS_OF_QUARTER * MONTHS_OF_QUARTER + 1
    return month.replace(month=first)


def _back(month: datetime, count: int) -> datetime:
    for _ in range(count):
        month = floor_month(month - DAY)
    return month


def _day_of(text: str, where: str) -> datetime:
    problem = InvalidInput("must be a day like 2026-01-31", where=where)
    if not _DAY.fullmatch(text):
        raise problem
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise problem from None
    if not _YEARS[0] <= day.year <= _YEARS[1]:
        raise problem
    return datetime.combine(day, time(), UTC)
