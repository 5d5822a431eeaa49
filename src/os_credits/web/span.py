"""Which time a page shows, and in steps of what: hours for a short time, else UTC days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from os_credits.domain.period import HOUR, floor_hour
from os_credits.errors import InvalidInput

DAY = timedelta(days=1)
Step = Literal["hour", "day"]


@dataclass(frozen=True, slots=True)
class Span:
    """A choice of how far back a page looks; `key` stands in its address."""

    key: str
    label: str
    length: timedelta
    step: Step

    @property
    def step_length(self) -> timedelta:
        """Give the time from one bar of the chart to the next."""
        return HOUR if self.step == "hour" else DAY

    @property
    def row_step(self) -> Step:
        """Say what a line of the table is: only the shortest span has one for each hour."""
        return "hour" if self.length <= DAY else "day"

    def start_before(self, now: datetime) -> datetime:
        """Give the full hour or day at which this span starts, seen from `now`."""
        return floor_step(now, self.step) - self.length + self.step_length


SPANS = (
    Span("24h", "24 hours", DAY, "hour"),
    Span("7d", "7 days", 7 * DAY, "hour"),
    Span("30d", "30 days", 30 * DAY, "day"),
    Span("90d", "90 days", 90 * DAY, "day"),
    Span("1y", "1 year", 365 * DAY, "day"),
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


def floor_step(moment: datetime, step: Step) -> datetime:
    """Give the start of the hour or UTC day in which a moment lies."""
    hour = floor_hour(moment)
    return hour if step == "hour" else hour.replace(hour=0)
