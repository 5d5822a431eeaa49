"""The rhythm of a project's week: which hours use more than others, as far as that is sure."""

from __future__ import annotations

import numpy as np

from os_credits.forecast.history import DAY_HOURS, WEEK_HOURS, Floats, Whole

_WEEK_DAYS = WEEK_HOURS // DAY_HOURS
_SATURDAY = 5
# Below this many weeks, days are told apart as workday and weekend only.
_WEEKS_FOR_DAYS = 3
# A day that is expected to use hardly anything tells nothing by how much more it used.
_EXPECTED_MIN = 0.05


def weekly_rhythm(hourly: Floats, first: int) -> Floats:
    """Give each of the week's 168 hours (Monday 0:00 UTC first) as a share of the mean hour.

    `hourly` is whole days, `first` the hour of the week of its first element. A share is
    believed as far as the weeks agree about it; one that differs by chance only becomes 1.
    """
    hours = (first + np.arange(hourly.size)) % WEEK_HOURS
    by_day = np.ones(_WEEK_DAYS)
    if hourly.size >= WEEK_HOURS:
        by_day = _shares_of_days(hourly, hours)
    rhythm = _shares_of_hours(hourly, hours) * np.repeat(by_day, DAY_HOURS)
    return _with_mean_one(rhythm)


def _with_mean_one(shares: Floats) -> Floats:
    """Scale shares to a mean of 1; where all are nothing, none is told from another."""
    mean = shares.mean()
    return np.asarray(shares / mean) if mean > 0 else np.ones_like(shares)


def _shares_of_days(hourly: Floats, hours: Whole) -> Floats:
    """Weigh calendar days against the week around them."""
    sums = np.concatenate(([0.0], np.cumsum(hourly)))
    places = np.arange(hourly.size)
    start = np.clip(places - WEEK_HOURS // 2, 0, hourly.size - WEEK_HOURS)
    level = (sums[start + WEEK_HOURS] - sums[start]) / WEEK_HOURS
    number = (places + hours[0] % DAY_HOURS) // DAY_HOURS
    expected = np.bincount(number, weights=level)
    whole = (np.bincount(number) == DAY_HOURS) & (expected > 0)
    ratio = np.bincount(number, weights=hourly)[whole] / expected[whole]
    weekday = ((hours[0] // DAY_HOURS + np.arange(whole.size)) % _WEEK_DAYS)[whole]
    is_weekend = np.arange(_WEEK_DAYS) >= _SATURDAY
    share = _believed(ratio, is_weekend[weekday].astype(np.int64), 2)[is_weekend.astype(np.int64)]
    if hourly.size < _WEEKS_FOR_DAYS * WEEK_HOURS:
        return share
    left = ratio / np.maximum(share[weekday], _EXPECTED_MIN)
    return share * _believed(left, weekday, _WEEK_DAYS)


def _shares_of_hours(hourly: Floats, hours: Whole) -> Floats:
    """Weigh the hours of workdays, and those of weekends, against their calendar day."""
    midnight = -hours[0] % DAY_HOURS
    whole = slice(midnight, midnight + (hourly.size - midnight) // DAY_HOURS * DAY_HOURS)
    hourly, hours = hourly[whole], hours[whole]
    around = np.repeat(hourly.reshape(-1, DAY_HOURS).mean(axis=1), DAY_HOURS)
    used = around > 0
    hours = hours[used]
    kind = hours % DAY_HOURS + DAY_HOURS * (hours // DAY_HOURS >= _SATURDAY)
    workday, weekend = np.split(_believed(hourly[used] / around[used], kind, 2 * DAY_HOURS), 2)
    days = (np.tile(_with_mean_one(workday), _SATURDAY), np.tile(_with_mean_one(weekend), 2))
    return np.concatenate(days)


def _believed(ratio: Floats, kind: Whole, kinds: int) -> Floats:
    """Give the mean ratio of each kind, drawn to 1 by how much of the differences is chance."""
    count = np.bincount(kind, minlength=kinds).astype(np.float64)
    some = np.maximum(count, 1)
    mean = np.where(count > 0, np.bincount(kind, ratio, kinds) / some, 1.0)
    within = np.bincount(kind, (ratio - mean[kind]) ** 2, kinds).sum()
    freedom = max(count.sum() - np.count_nonzero(count), 1.0)
    between = ((mean - 1) ** 2 * count).sum() / max(count.sum(), 1.0)
    chance = within / freedom / some
    # A difference as large as chance makes it tells nothing (James and Stein).
    weight = np.maximum(1 - chance / max(between, 1e-12), 0)
    return np.asarray(1 + (mean - 1) * np.where(count > 1, weight, 0))
