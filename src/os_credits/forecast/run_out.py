"""When a project's credits are used up: an early, a middle and a late date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
import numpy as np
from os_credits.forecast.history import DAY_HOURS, WEEK_HOURS, History, hour_of_week
from os_credits.forecast.rhythm import weekly_rhythm
from os_credits.forecast.outlook import outlook
from os_credits.forecast import paths as paths_
from os_credits.forecast.credit import Credit, empty_after

HORIZON_DAYS = 730
KNOWN_HOURS_MIN = 72
IDLE_HOURS = 7 * 24


class State(StrEnum):
    OK = "ok"
    SHORT = "short"
    IDLE = "idle"
    BEYOND = "beyond"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Forecast:
    state: State
    p10: datetime | None = None
    p50: datetime | None = None
    p90: datetime | None = None
    burn_per_day: float = 0.0
    needs_days: int = 0


def residuals(hourly, rhythm):
    """Each day against the week around it."""
    used = hourly.reshape(-1, 24).sum(axis=1)
    expected = rhythm.reshape(-1, 24).sum(axis=1)
    span = min(7, used.size)
    kernel = np.ones(span)
    level = np.convolve(used, kernel, "same") / np.maximum(np.convolve(expected, kernel, "same"), 1e-9)
    mean = used.sum() / expected.sum()
    fitted = np.maximum(level, 0.05 * mean) * np.maximum(expected, 0.05 * 24)
    ratio = np.clip(used / fitted, 0, 5)
    return ratio * (fitted.sum() / max((ratio * fitted).sum(), 1e-9))


def forecast(history: History, credit: Credit, now: datetime) -> Forecast:
    if credit.balance <= 0:
        return Forecast(State.OUT)
    known = history.known_hours
    if known == 0 or not history.hourly[-IDLE_HOURS:].any():
        return Forecast(State.IDLE)
    if known < KNOWN_HOURS_MIN:
        return Forecast(State.SHORT, needs_days=-(-(KNOWN_HOURS_MIN - known) // 24))
    hourly = history.recent()
    if not hourly.any():
        return Forecast(State.IDLE)
    first = (hour_of_week(history.end) - hourly.size) % WEEK_HOURS
    week = weekly_rhythm(hourly, first)
    rhythm = week[(first + np.arange(hourly.size)) % WEEK_HOURS]
    recent = hourly[-28 * 24 :].mean() * 24
    likely = min(max(float(credit.balance) / max(recent, 1e-12), 1.0), 90.0)
    look = outlook(hourly, rhythm, likely)
    usage = paths_.draw(look, residuals(hourly, rhythm), week, hour_of_week(now), HORIZON_DAYS)
    empty = np.sort(empty_after(credit, now, usage))
    def at(share):
        hours = empty[min(int(share * empty.size), empty.size - 1)]
        return None if np.isinf(hours) else now + timedelta(hours=float(hours))
    p10, p50, p90 = at(.1), at(.5), at(.9)
    return Forecast(State.OK if p50 else State.BEYOND, p10, p50, p90, float(usage.sums[:, 7].mean() / 7))
