"""The rhythm of a project's week: which hours use more than others, as far as that is sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from os_credits.forecast.history import DAY_HOURS, WEEK_HOURS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WEEK_DAYS = 7
_SATURDAY = 5
# Below this a day of the week has too few fellows to be judged by itself.
_WEEKS_FOR_DAYS = 3


def weekly_rhythm(hourly: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    """Give the share of each of the week's 168 hours in the mean hour; their mean is 1.

    `hourly` is whole days, `first` the hour of the week of the first element. A factor is
    believed as far as weeks agree about it: one that differs by chance only becomes 1.
    """
    hours = (first + np.arange(hourly.size)) % WEEK_HOURS
    daily = hourly.reshape(-1, DAY_HOURS).sum(axis=1)
    if hourly.size < WEEK_HOURS:
        by_day = np.ones(_WEEK_DAYS)
    else:
        by_day = _factors_of_days(hourly, hours)
    around = np.repeat(daily, DAY_HOURS) / DAY_HOURS
    by_hour = _factors_of_hours(hourly, around, hours)
    rhythm = by_hour * np.repeat(by_day, DAY_HOURS)
    return np.asarray(rhythm / rhythm.mean())


def _factors_of_days(hourly: NDArray[np.float64], hours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weigh calendar days against the week around them."""
    sums = np.concatenate(([0.0], np.cumsum(hourly)))
    places = np.arange(hourly.size)
    start = np.clip(places - WEEK_HOURS // 2, 0, hourly.size - WEEK_HOURS)
    level = (sums[start + WEEK_HOURS] - sums[start]) / WEEK_HOURS
    day_number = (places + hours[0] % DAY_HOURS) // DAY_HOURS
    used = np.bincount(day_number, weights=hourly)
    expected = np.bincount(day_number, weights=level)
    counted = expected > 0
    ratio = np.divide(used, expected, out=np.ones_like(used), where=counted)
    weekday = (hours[0] // DAY_HOURS + np.arange(ratio.size)) % _WEEK_DAYS
    whole = counted & (np.bincount(day_number) == DAY_HOURS)
    weekend = (weekday >= _SATURDAY).astype(np.int64)
    kinds = _believed(ratio[whole], weekend[whole], 2)[(np.arange(_WEEK_DAYS) >= _SATURDAY) * 1]
    if hourly.size < _WEEKS_FOR_DAYS * WEEK_HOURS:
        return kinds
    left = ratio[whole] / np.maximum(kinds[weekday[whole]], 0.05)
    return kinds * _believed(left, weekday[whole], _WEEK_DAYS)


def _factors_of_hours(
    hourly: NDArray[np.float64], around: NDArray[np.float64], hours: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Weigh the hours of working days, and those of weekends, against the day around them."""
    counted = around > 0
    ratio = hourly[counted] / around[counted]
    weekend = hours[counted] // DAY_HOURS >= _SATURDAY
    kind = hours[counted] % DAY_HOURS + DAY_HOURS * weekend
    factors = _believed(ratio, kind, 2 * DAY_HOURS)
    work, rest = factors[:DAY_HOURS], factors[DAY_HOURS:]
    week = np.concatenate((np.tile(work / work.mean(), 5), np.tile(rest / rest.mean(), 2)))
    return np.asarray(week)


def _believed(
    ratio: NDArray[np.float64], kind: NDArray[np.int64], kinds: int
) -> NDArray[np.float64]:
    """Give the mean ratio of each kind, drawn to 1 by how much of it may be chance."""
    count = np.bincount(kind, minlength=kinds).astype(np.float64)
    some = np.maximum(count, 1)
    mean = np.where(count > 0, np.bincount(kind, ratio, kinds) / some, 1.0)
    within = np.bincount(kind, (ratio - mean[kind]) ** 2, kinds)
    freedom = max(float(count.sum() - np.count_nonzero(count)), 1.0)
    chance = within.sum() / freedom / some
    between = float(np.average((mean - 1) ** 2, weights=count)) if count.any() else 0.0
    weight = np.where(count > 1, np.maximum(1 - chance / (between + 1e-12), 0), 0.0)
    return np.asarray(1 + (mean - 1) * weight)
