"""When a project's credits are used up: an early, a middle and a late date.

The method is told, with how well it did, in `docs/forecast.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from os_credits.errors import InvalidInput
from os_credits.forecast.credit import Credit, hours_until_empty
from os_credits.forecast.history import DAY_HOURS, WEEK_HOURS, Floats, History, hour_of_week
from os_credits.forecast.outlook import outlook
from os_credits.forecast.paths import Paths, draw, unused
from os_credits.forecast.rhythm import weekly_rhythm

if TYPE_CHECKING:
    from datetime import datetime

KNOWN_DAYS_MIN = 3
# A project that used nothing for so long is taken to use nothing in future.
IDLE_HOURS = WEEK_HOURS
# Less than the least amount of credits, over all of the history, is nothing.
_NOTHING = 1e-6
# Days of the level by which it is guessed how far off the date may be.
_LIKELY_LEVEL_HOURS = 28 * DAY_HOURS
_LIKELY_DAYS = (1.0, 90.0)


class State(StrEnum):
    """What a forecast can say."""

    OK = "ok"
    """P50 is a date. P90 is None where it lies beyond the two years of a forecast."""
    SHORT = "short"
    """The first usage is too recent; `needs_days` more are needed."""
    IDLE = "idle"
    """Nothing was used for a week, and no lot expires that would leave nothing."""
    BEYOND = "beyond"
    """P50 lies beyond two years; P10 may be a date."""
    OUT = "out"
    """Nothing is left now."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """When nothing is left: with a chance of 10, 50 and 90 % it is so before these moments.

    `burn_per_day` is what the next seven days are expected to use, in credits per day; of a
    history that is too short, what the last 24 hours used.
    """

    state: State
    p10: datetime | None = None
    p50: datetime | None = None
    p90: datetime | None = None
    burn_per_day: float = 0.0
    needs_days: int = 0


def forecast(history: History, credit: Credit, now: datetime) -> Forecast:
    """Tell when the credits run out. Raises InvalidInput for a history that ends after `now`."""
    if history.end > now:
        raise InvalidInput("a history ends before the forecast begins", where="now")
    known = history.known_hours
    is_short = 0 < known < KNOWN_DAYS_MIN * DAY_HOURS
    paths = unused()
    if is_short:
        burn = float(history.hourly[-DAY_HOURS:].sum())
    else:
        paths = expected_paths(history, history.recent(), credit, now)
        burn = paths.burn_per_day()
    if credit.balance <= 0:
        return Forecast(State.OUT, burn_per_day=burn)
    if is_short:
        needs_days = KNOWN_DAYS_MIN - known // DAY_HOURS
        return Forecast(State.SHORT, burn_per_day=burn, needs_days=needs_days)
    p10, p50, p90 = _quantiles(hours_until_empty(credit, now, paths), now)
    if p50 is not None:
        return Forecast(State.OK, p10, p50, p90, burn)
    return Forecast(State.BEYOND if burn else State.IDLE, p10, burn_per_day=burn)


def expected_paths(history: History, hourly: Floats, credit: Credit, now: datetime) -> Paths:
    """Draw what may be used from now on; `hourly` is some whole days up to `history.end`."""
    if not hourly[-IDLE_HOURS:].any() or hourly.sum() < _NOTHING:
        return unused()
    first = (hour_of_week(history.end) - hourly.size) % WEEK_HOURS
    rhythm = weekly_rhythm(hourly, first)
    level = hourly[-_LIKELY_LEVEL_HOURS:].mean() * DAY_HOURS
    likely = float(np.clip(float(credit.balance) / level, *_LIKELY_DAYS))
    of_hours = rhythm[(first + np.arange(hourly.size)) % WEEK_HOURS]
    return draw(outlook(hourly, of_hours, likely), rhythm, hour_of_week(now))


def _quantiles(hours: Floats, now: datetime) -> tuple[datetime | None, ...]:
    """Give the moments before which 10, 50 and 90 % of the paths have nothing left."""
    ordered = np.sort(hours)
    places = [ordered.size * percent // 100 for percent in (10, 50, 90)]
    return tuple(
        None if np.isinf(ordered[place]) else now + timedelta(hours=float(ordered[place]))
        for place in places
    )
