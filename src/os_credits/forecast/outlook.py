"""Which level of usage lasts: ways to go on from now, judged by how well they would have done.

A way takes the level of some days, what runs now beside that level (and for how long it is
believed to go on), and perhaps the trend. Each is tried at every day of the project's own past;
the better it told the days that followed, the more paths follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from os_credits.forecast.history import DAY_HOURS, WEEK_HOURS

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL_DAYS = (7, 28, 90)
NOW_HOURS = (3, 24, 72)
# Days after which half of what runs now beside the level has gone; the last one: it stays.
HALF_LIVES = (3.0, 14.0, 1e9)
TREND_DAYS = (7, 14)
TREND_DAMPING = 0.97
HORIZONS = np.array([1, 2, 4, 7, 14, 28, 45])
# An error of the past counts half after these days.
_FORGET_DAYS = 30.0
NEAR = 1.0
TA = 0.004
TB = 0.06


@dataclass(frozen=True, slots=True)
class Way:
    """One way to go on: 0 hours of now: the level alone; 0 days of trend: no trend."""

    level_days: int
    now_hours: int = 0
    half_life: float = 1e9
    trend_days: int = 0

    @property
    def trust(self) -> float:
        """Give how much it is believed before anything was seen; what runs now counts most."""
        return 1.0 if self.now_hours else 0.5


WAYS = (
    *(Way(days) for days in LEVEL_DAYS),
    *(Way(*each) for each in product(LEVEL_DAYS, NOW_HOURS, HALF_LIVES)),
    *(Way(days, trend_days=days) for days in TREND_DAYS),
    *(Way(days, 24, 14.0, days) for days in TREND_DAYS),
)
_LEVEL = np.array([way.level_days for way in WAYS])
_NOW = np.array([way.now_hours for way in WAYS])
_HALF_LIFE = np.array([way.half_life for way in WAYS])
_TREND = np.array([way.trend_days for way in WAYS])
_TRUST = np.array([way.trust for way in WAYS])


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """How a project may go on, in credits per mean hour; one element for each of `WAYS`.

    `spread` is the growth of the error of the logarithm of the level, per root of a day.
    """

    weight: NDArray[np.float64]
    level: NDArray[np.float64]
    beside: NDArray[np.float64]
    slope: NDArray[np.float64]
    spread: float
    floor: float
    past_weight: NDArray[np.float64]
    errors: NDArray[np.float64]
    own: float # ways, origins, horizons

    def hourly_means(self, days: int, rhythm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the mean hour of each coming day by each way, by the mean rhythm of those days."""
        day = np.arange(1, days + 1)
        fading = np.exp2(-(day - 0.5) / _HALF_LIFE[:, None])
        grown = np.cumsum(TREND_DAMPING**day)
        level = self.level[:, None] + self.slope[:, None] * grown
        return np.asarray(np.maximum(level * rhythm + self.beside[:, None] * fading, 0))


class _Past:
    """Sums of the hours, and of their rhythm, up to each hour."""

    def __init__(self, hourly: NDArray[np.float64], rhythm: NDArray[np.float64]) -> None:
        self.used = np.concatenate(([0.0], np.cumsum(hourly)))
        self.rhythm = np.concatenate(([0.0], np.cumsum(rhythm)))

    def level(self, start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give the mean hour of the time between, freed of the rhythm."""
        start, end = np.maximum(start, 0), np.maximum(end, 0)
        weight = np.maximum(self.rhythm[end] - self.rhythm[start], 1.0)
        return np.asarray((self.used[end] - self.used[start]) / weight)

    def states(self, at: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
        """Give level, what runs beside it, and slope a day: a row for each way, a column for `at`."""
        at = at[None, :]
        days = np.unique(np.concatenate((_LEVEL, _TREND)))
        levels = {int(each): self.level(at - each * DAY_HOURS, at) for each in days if each}
        level = np.concatenate([levels[way.level_days] for way in WAYS])
        before = np.concatenate(
            [
                self.level(at - 2 * way.trend_days * DAY_HOURS, at - way.trend_days * DAY_HOURS)
                if way.trend_days
                else levels[way.level_days]
                for way in WAYS
            ]
        )
        trend = np.maximum(_TREND, 1)[:, None]
        known = at >= 2 * trend * DAY_HOURS
        slope = np.where(known & (_TREND > 0)[:, None], (level - before) / trend, 0.0)
        # The level of a trend's days stands for their middle: bring it up to now.
        level = np.maximum(level + slope * trend / 2, 0)
        now = _NOW[:, None]
        start = np.maximum(at - now, 0)
        used = self.used[at] - self.used[start]
        expected = level * (self.rhythm[at] - self.rhythm[start])
        beside = np.where(now > 0, (used - expected) / np.maximum(now, 1), 0.0)
        return level, beside, slope


def outlook(hourly: NDArray[np.float64], rhythm: NDArray[np.float64], likely_days: float) -> Outlook:
    """Judge all ways by the past; `rhythm` is that of each hour of `hourly`.

    Errors count most for horizons near `likely_days`, by which the credits may be gone.
    """
    past = _Past(hourly, rhythm)
    level, beside, slope = past.states(np.array([hourly.size]))
    score, errors = _judge(past, hourly.size // DAY_HOURS, likely_days)
    weight = _TRUST * np.exp(-(score - score.min()) / (TA + TB * score.min()))
    weight /= weight.sum()
    scale = past.used[-1] / max(past.used.size - 1, 1)
    days = hourly.size // DAY_HOURS
    origins = np.arange(2, days)
    w, e = _analogs(past, days, origins, errors)
    return Outlook(weight, level[:, 0], beside[:, 0], slope[:, 0], _spread(weight, errors), FLOOR * scale * DAY_HOURS, w, e, min(OWNMAX, days / (days + 2 * OWN)))


FLOOR = 0.02
SIMILAR = 1.0
EFORGET = 60.0

def _analogs(past, days, origins, errors):
    if not errors or origins.size == 0:
        return np.ones(1), np.zeros((len(WAYS), 1, 1))
    cols = []
    last = np.zeros((len(WAYS), origins.size))
    for h, logs, recent in errors:
        last = last.copy()
        last[:, : logs.shape[1]] = logs
        cols.append(last)
    e = np.stack(cols, axis=2)
    # origins with fewer than a few days known are of no use
    need = errors[min(2, len(errors) - 1)][1].shape[1]
    at = np.concatenate((origins[:need], [days])) * DAY_HOURS
    scale = past.used[-1] / past.used.size
    r = np.log((past.level(at - 24, at) + 0.05 * scale) / (past.level(at - 28 * 24, at) + 0.05 * scale))
    w = np.exp(-((r[:-1] - r[-1]) / SIMILAR) ** 2 / 2) + 1e-3
    w *= np.exp2(-(days - origins[:need]) / EFORGET)
    return w / w.sum(), e[:, :need]


def _judge(past: _Past, days: int, likely_days: float):
    origins = np.arange(2, days)
    if origins.size == 0:
        return np.zeros(len(WAYS)), []
    level, beside, slope = past.states(origins * DAY_HOURS)
    scale = past.used[-1] / max(past.used.size - 1, 1)
    total = np.zeros(len(WAYS))
    weights = np.zeros(1)
    errors = []
    for horizon in HORIZONS:
        count = np.count_nonzero(origins + horizon <= days)
        if not count:
            break
        at = origins[:count] * DAY_HOURS
        then = at + horizon * DAY_HOURS
        real = past.used[then] - past.used[at]
        day = np.arange(1, horizon + 1)
        fading = np.exp2(-(day - 0.5) / _HALF_LIFE[:, None]).sum(axis=1)[:, None]
        grown = np.cumsum(TREND_DAMPING**day).mean()
        told = (level[:, :count] + slope[:, :count] * grown) * (
            past.rhythm[then] - past.rhythm[at]
        ) + beside[:, :count] * DAY_HOURS * fading
        told = np.maximum(told, 0)
        floor = FLOOR * scale * horizon * DAY_HOURS
        error = np.abs(told - real) / (told + real + floor)
        recent = np.exp2(-(days - horizon - origins[:count]) / _FORGET_DAYS)
        near = 1 / (1 + NEAR * np.log2(horizon / likely_days) ** 2)
        total += near * (error * recent).sum(axis=1)
        weights += near * recent.sum()
        logs = np.log((real + floor) / (told + floor))
        errors.append((int(horizon), logs, recent))
    return total / weights, errors


SPREAD0 = 0.06
PRIOR = 6.0
OWN = 14.0
OWNMAX = 0.6


def _spread(weight, errors) -> float:
    """Standard deviation of the log error at a horizon of four days."""
    total, count = PRIOR * SPREAD0**2, PRIOR
    for horizon, logs, recent in errors:
        if horizon > 7 or (horizon < 4 and len(errors) > 2):
            continue
        square = (weight[:, None] * np.minimum(logs**2, 9)).sum(axis=0)
        independent = 1 / horizon
        total += (square * recent).sum() * independent * (4 / horizon) ** 0.6
        count += recent.sum() * independent
    return float(np.sqrt(total / count))
