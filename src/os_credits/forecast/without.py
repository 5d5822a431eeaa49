"""How much longer the credits last without the resources that burn most now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.forecast.credit import hours_until_empty
from os_credits.forecast.history import DAY_HOURS, Floats, History
from os_credits.forecast.run_out import KNOWN_DAYS_MIN, expected_paths

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from os_credits.forecast.credit import Credit

TOP = 2
# What is pushed late may miss in the last hour: up to so many hours back the last hour in which
# the project used anything tells what runs now.
_LATE_HOURS_MAX = 3


@dataclass(frozen=True, slots=True)
class Saving:
    """By how many days P50 is later without these resources; None: beyond two years, or never."""

    names: tuple[str, ...]
    days: float | None


def without(
    history: History, credit: Credit, now: datetime, resources: Mapping[str, Floats]
) -> tuple[Saving, ...]:
    """Tell it of the resource that burns most of those that run now, of the second, and of both.

    `resources` are the hours of each up to `history.end`, as far back as the history's; hours
    before its first are without usage. Empty where there is no P50, and where none of them runs.
    Raises InvalidInput for hours that no history may have.
    """
    hourly = history.recent()
    if hourly.size < KNOWN_DAYS_MIN * DAY_HOURS or credit.balance <= 0:
        return ()
    base = _median_hours(history, hourly, credit, now)
    running = {
        name: aligned
        for name, used in sorted(resources.items())
        if _runs_now(aligned := _aligned(History(history.end, used), hourly.size), hourly)
    }
    top = sorted(running, key=lambda name: -_burn_per_hour(running[name]))[:TOP]
    if np.isinf(base) or not top:
        return ()
    groups = [(name,) for name in top] + ([tuple(top)] if len(top) == TOP else [])
    savings: list[Saving] = []
    later = 0.0
    for names in groups:
        rest = np.maximum(hourly - sum(running[name] for name in names), 0)
        hours = _median_hours(history, rest, credit, now)
        days = max((hours - base) / DAY_HOURS, 0.0)
        # Both together save no less than one of them.
        later = max(later, days)
        days = later if len(names) == TOP else days
        savings.append(Saving(names, None if np.isinf(days) else days))
    return tuple(savings)


def _median_hours(history: History, hourly: Floats, credit: Credit, now: datetime) -> float:
    hours = hours_until_empty(credit, now, expected_paths(history, hourly, credit, now))
    return float(np.sort(hours)[hours.size // 2])


def _aligned(history: History, size: int) -> Floats:
    """Give the last hours of a resource, with nothing before it was there."""
    used = history.hourly[-size:]
    return np.concatenate((np.zeros(size - used.size), used))


def _runs_now(used: Floats, hourly: Floats) -> bool:
    """Tell whether a resource used anything in the last hour in which the project did."""
    hours = np.flatnonzero(hourly[-_LATE_HOURS_MAX:])
    return bool(hours.size and used[hourly.size - min(_LATE_HOURS_MAX, hourly.size) + hours[-1]])


def _burn_per_hour(used: Floats) -> float:
    """Give the mean of the last day, or of the time since the resource began in it."""
    day = used[-DAY_HOURS:]
    began = np.flatnonzero(day)
    return float(day[began[0] :].mean()) if began.size else 0.0
