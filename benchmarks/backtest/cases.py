"""One question to the forecast and its true answer, from a series of hours that is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from os_credits.forecast.credit import Credit
from os_credits.forecast.history import History
from os_credits.forecast.run_out import forecast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

DAY = 24
HISTORY_DAYS = 90
# The balance is so many days of what the last days used: chosen without a look ahead.
DAYS_MIN, DAYS_MAX = 2.0, 60.0
TRUE_DAYS_MIN, TRUE_DAYS_MAX = 2.0, 90.0
BALANCE_MIN = 1e-6
NEVER = float("inf")
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Hours of usage from `start` on, and the family under which its cases are counted."""

    family: str
    hourly: NDArray[np.float64]
    start: datetime = MONDAY


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was told and what happened, in days from the origin; what was not told is infinite.

    The truth is known up to `known` days; infinite: not within them.
    """

    family: str
    truth: float
    known: float
    p10: float
    p50: float
    p90: float
    straight: float


def outcomes(
    series: Series, count: int, chance: np.random.Generator, history_min: int = 14
) -> Iterator[Outcome]:
    """Ask `count` times: an hour by chance, a balance by chance, only the hours before known."""
    hours = series.hourly.size
    sums = np.concatenate(([0.0], np.cumsum(series.hourly)))
    first, last = history_min * DAY, hours - int(DAYS_MIN * DAY)
    if last <= first:
        return
    for _ in range(count):
        at = int(chance.integers(first, last))
        days = float(np.exp(chance.uniform(np.log(DAYS_MIN), np.log(DAYS_MAX))))
        month = sums[at] - sums[max(at - 28 * DAY, 0)]
        balance = month / min(at / DAY, 28) * days
        if balance < BALANCE_MIN or not series.hourly[max(at - 7 * DAY, 0) : at].any():
            continue
        known = min((hours - at) / DAY, TRUE_DAYS_MAX)
        beyond = sums[at:] - sums[at]
        hour = int(np.searchsorted(beyond, balance, side="left"))
        truth = NEVER
        if hour < beyond.size:
            part = (balance - beyond[hour - 1]) / (beyond[hour] - beyond[hour - 1])
            truth = (hour - 1 + part) / DAY
        if truth < TRUE_DAYS_MIN:
            continue
        if truth > known:
            truth = NEVER
        yield _asked(series, at, balance, truth, known, sums)


def _asked(
    series: Series,
    at: int,
    balance: float,
    truth: float,
    known: float,
    sums: NDArray[np.float64],
) -> Outcome:
    now = series.start + timedelta(hours=at)
    seen = History(now, series.hourly[max(at - HISTORY_DAYS * DAY, 0) : at])
    told = forecast(seen, Credit(Decimal(f"{balance:.6f}")), now)
    week = sums[at] - sums[max(at - 7 * DAY, 0)]
    straight = balance / (week / 7) if week else NEVER
    p10, p50, p90 = (
        (date - now) / timedelta(days=1) if date else NEVER
        for date in (told.p10, told.p50, told.p90)
    )
    return Outcome(series.family, truth, known, p10, p50, p90, straight)
