"""Ways in which a project may go on from a moment, each a simple rule of what was used before.

A way takes the level of some days, freed of the rhythm; what runs now beside that level, and
for how long it is believed to go on; and perhaps the trend.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from os_credits.forecast.history import DAY_HOURS, Floats, Whole

# A trend loses this share of its strength with every day.
TREND_FADING = 0.03
# Fewer hours of the mean rhythm say nothing of a level.
_RHYTHM_MIN = 1.0
_FOREVER = 1e9
# The least hours that are looked at, and so the first to show that something began.
NEWS_HOURS = 3


@dataclass(frozen=True, slots=True)
class Way:
    """One way: `now_hours` 0: the level alone; `trend_days` 0: no trend.

    After `half_life` days half of what runs now beside the level has gone.
    """

    level_days: int
    now_hours: int = 0
    half_life: float = _FOREVER
    trend_days: int = 0

    @property
    def trust(self) -> float:
        """Give how much it is believed before anything was tried: what runs now goes on."""
        if not self.now_hours:
            return 0.5
        return 3.0 if self.half_life == _FOREVER else 1.0


_LEVEL_DAYS = (7, 28, 90)
WAYS = (
    *(Way(days) for days in _LEVEL_DAYS),
    *(Way(*each) for each in product(_LEVEL_DAYS, (NEWS_HOURS, 24, 72), (3.0, 14.0, _FOREVER))),
    *(Way(days, trend_days=days) for days in (7, 14)),
    *(Way(days, 24, 14.0, days) for days in (7, 14)),
)
_LEVEL = np.array([[way.level_days] for way in WAYS])
_NOW = np.array([[way.now_hours] for way in WAYS])
_HALF_LIFE = np.array([[way.half_life] for way in WAYS])
_TREND = np.array([[way.trend_days] for way in WAYS])


@dataclass(frozen=True, slots=True, eq=False)
class Stance:
    """Where each way (a row) stands at some moments (columns): credits per mean hour.

    `slope` is the change of the level in a day.
    """

    level: Floats
    beside: Floats
    slope: Floats

    def first(self, count: int) -> Stance:
        """Give the first moments only."""
        return Stance(self.level[:, :count], self.beside[:, :count], self.slope[:, :count])

    def used(self, days: int, rhythm: Floats) -> Floats:
        """Give what is used in so many days from each moment, by the sum of their rhythm."""
        gone_on, grown = _course(days)
        level = (self.level + self.slope * grown.mean()) * rhythm
        more = self.beside * DAY_HOURS * gone_on.sum(axis=1, keepdims=True)
        return np.asarray(np.maximum(level + more, 0))

    def daily(self, rhythm: Floats) -> Floats:
        """Give what is used on each coming day (columns) by the sum of its rhythm; one moment."""
        gone_on, grown = _course(rhythm.size)
        level = (self.level + self.slope * grown) * rhythm
        return np.asarray(np.maximum(level + self.beside * DAY_HOURS * gone_on, 0))


def _course(days: int) -> tuple[Floats, Floats]:
    """Give for each day what is left beside the level by each way, and days of growth so far."""
    day = np.arange(1, days + 1)
    return np.exp2((0.5 - day) / _HALF_LIFE), np.cumsum((1 - TREND_FADING) ** day)


class Past:
    """Sums of what was used, and of the rhythm of those hours, up to each hour."""

    def __init__(self, hourly: Floats, rhythm: Floats) -> None:
        self.days = hourly.size // DAY_HOURS
        self.mean = float(hourly.mean())
        self._used = np.concatenate(([0.0], np.cumsum(hourly)))
        self._rhythm = np.concatenate(([0.0], np.cumsum(rhythm)))

    def used(self, start: Whole, end: Whole) -> Floats:
        """Give what was used from one hour, included, to another."""
        return np.asarray(self._used[end] - self._used[np.maximum(start, 0)])

    def rhythm(self, start: Whole, end: Whole) -> Floats:
        """Give the sum of the rhythm from one hour, included, to another."""
        return np.asarray(self._rhythm[end] - self._rhythm[np.maximum(start, 0)])

    def level(self, start: Whole, end: Whole) -> Floats:
        """Give the mean hour of the time between, freed of the rhythm."""
        end = np.maximum(end, 0)
        return self.used(start, end) / np.maximum(self.rhythm(start, end), _RHYTHM_MIN)

    def stance(self, moments: Whole) -> Stance:
        """Tell where each way stands at some hours, by what was before them only."""
        level = self.level(moments - _LEVEL * DAY_HOURS, moments)
        trend = np.maximum(_TREND, 1)
        before = self.level(moments - 2 * trend * DAY_HOURS, moments - trend * DAY_HOURS)
        has_trend = (_TREND > 0) & (moments >= 2 * trend * DAY_HOURS)
        slope = np.where(has_trend, (level - before) / trend, 0.0)
        # The level of a trend's days is that of their middle: bring it up to now.
        level = np.maximum(level + slope * trend / 2, 0)
        start = moments - _NOW
        more = self.used(start, moments) - level * self.rhythm(start, moments)
        return Stance(level, more / np.maximum(_NOW, 1), slope)
