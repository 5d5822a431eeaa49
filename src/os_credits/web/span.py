"""Which time a page shows, and in steps of what: hours for a short time, else UTC days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from os_credits.domain.period import HOUR, floor_hour
from os_credits.errors import InvalidInput
from os_credits.web.language import N_

DAY = timedelta(days=1)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Up to this, the chart has a bar for each hour; from the other on, the table has months.
HOURLY_MAX = 7 * DAY
MONTHLY_FROM = 400 * DAY
Step = Literal["hour", "day"]
RowStep = Literal["hour", "day", "month"]


@dataclass(frozen=True, slots=True)
class Span:
    """A time that a page shows; `key` stands in its address, '' for one between two days.

    `start` and `until` (excluded) are set between two days; else it reaches up to now.
    """

    key: str
    label: str
    length: timedelta
    step: Step
    start: datetime | None = None
    until: datetime | None = None

    @property
    def step_length(self) -> timedelta:
        """Give the time from one bar of the chart to the next."""
        return HOUR if self.step == "hour" else DAY

    @property
    def row_step(self) -> RowStep:
        """Say what a line of the table is: only the shortest span has one for each hour."""
        if self.length <= DAY:
            return "hour"
        return "day" if self.length < MONTHLY_FROM else "month"

    def start_before(self, now: datetime) -> datetime:
        """Give the full hour or day at which this span starts, seen from `now`."""
        if self.start is not None:
            return self.start
        return floor_step(now, self.step) - self.length + self.step_length

    def is_live(self, now: datetime) -> bool:
        """Tell whether the span reaches up to now."""
        return self.until is None or self.until > now

    @property
    def first_day(self) -> str:
        """Give the first day of a span between two days, as forms write it."""
        return "" if self.start is None else self.start.date().isoformat()

    @property
    def last_day(self) -> str:
        """Give the last day of a span between two days, included, as forms write it."""
        return "" if self.until is None else (self.until - DAY).date().isoformat()


SPANS = (
    Span("24h", N_("24 hours"), DAY, "hour"),
    Span("7d", N_("7 days"), 7 * DAY, "hour"),
    Span("30d", N_("30 days"), 30 * DAY, "day"),
    Span("90d", N_("90 days"), 90 * DAY, "day"),
    Span("1y", N_("1 year"), 365 * DAY, "day"),
)
DEFAULT_SPAN = SPANS[2]


def span_of(key: str | None) -> Span:
    """Find the span that an address asks for; none means `DEFAULT_SPAN`."""
    if key is None:
        return DEFAULT_SPAN
    for span in SPANS:
        if span.key == key:
            return span
    known = ", ".join(span.key for span in SPANS)
    raise InvalidInput(f"{key[:40]!r} is not one of {known}", where="range")


def span_between(first: str, last: str, *, begin: datetime, now: datetime) -> Span:
    """Give the span from a day to another, both included; '' is the first day, or today.

    What lies before `begin`, when the account began, or after today is cut off.
    """
    today = now.date()
    first_day = _day_of(first, begin.date(), where="from")
    last_day = _day_of(last, today, where="to")
    if last_day < first_day:
        raise InvalidInput("must not be before the first day", where="to")
    last_day = min(last_day, today)
    first_day = min(max(first_day, begin.date()), last_day)
    start = datetime.combine(first_day, time(), UTC)
    until = datetime.combine(last_day, time(), UTC) + DAY
    length = until - start
    step: Step = "hour" if length <= HOURLY_MAX else "day"
    return Span("", "", length, step, start, until)


def _day_of(text: str, otherwise: date, *, where: str) -> date:
    if not text:
        return otherwise
    problem = InvalidInput("must be a day like 2026-01-31", where=where)
    if not _DAY.fullmatch(text):
        raise problem
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise problem from None


def floor_step(moment: datetime, step: RowStep) -> datetime:
    """Give the start of the hour, UTC day or month in which a moment lies."""
    hour = floor_hour(moment)
    match step:
        case "hour":
            return hour
        case "day":
            return hour.replace(hour=0)
        case "month":
            return hour.replace(day=1, hour=0)
