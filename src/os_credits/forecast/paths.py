"""Ways in which the coming usage may go: days drawn from the project's own, by a fixed seed."""

from __future__ import annotations

from functools import cache
import numpy as np
from os_credits.forecast.outlook import HORIZONS
from os_credits.forecast.history import DAY_HOURS, WEEK_HOURS

PATHS = 300
SEED = 20_160_229
BLOCK_DAYS = 7
ESCALE = 1.0


DF = 3.0
GROW = 0.3
TSCALE = 1.0


@cache
def _tails(paths):
    t = np.random.default_rng(SEED).standard_t(DF, paths // 2)
    return np.concatenate((t, -t))[np.random.default_rng(SEED + 3).permutation(paths)]


@cache
def _uniform(paths):
    return np.random.default_rng(SEED + 4).permutation(paths) / paths


@cache
def _order(paths):
    return np.random.default_rng(SEED + 2).permutation(paths)


class Usage:
    """What is used on each path by the end of each coming day, and within it by the rhythm."""

    def __init__(self, daily, within):
        self.sums = np.concatenate((np.zeros((daily.shape[0], 1)), daily), axis=1)
        self.within = within  # (7, 25) share of the day used by each hour
        self.paths, self.days = daily.shape
        self.hours = float(self.days * DAY_HOURS)

    def until(self, hours):
        day = min(int(hours // DAY_HOURS), self.days - 1)
        hour = hours - day * DAY_HOURS
        share = np.interp(hour, np.arange(DAY_HOURS + 1), self.within[day % 7])
        return self.sums[:, day] * (1 - share) + self.sums[:, day + 1] * share

    def reach(self, target):
        reached = self.sums[:, 1:] >= target[:, None]
        day = np.argmax(reached, axis=1)
        found = reached[:, -1]
        row = np.arange(self.paths)
        before, after = self.sums[row, day], self.sums[row, day + 1]
        share = np.where(after > before, (target - before) / np.maximum(after - before, 1e-300), 0)
        within = self.within[day % 7]
        hour = np.argmax(within >= share[:, None], axis=1)
        low = within[row, np.maximum(hour - 1, 0)]
        high = within[row, hour]
        part = np.where(high > low, (share - low) / np.maximum(high - low, 1e-12), 0)
        hours = day * DAY_HOURS + np.maximum(hour - 1, 0) + part
        return np.where(found, hours, np.inf)


def draw(outlook, residual, week, first, days, paths=PATHS):
    """week: rhythm of 168 hours; first: hour of week of now."""
    coming = (first + np.arange(WEEK_HOURS)) % WEEK_HOURS
    byday = week[coming].reshape(7, DAY_HOURS)
    mean = byday.mean(axis=1)
    rhythm = np.resize(mean, days)
    levels = outlook.hourly_means(days, rhythm) * DAY_HOURS
    cum = np.cumsum(outlook.weight)
    which = np.searchsorted(cum, (np.arange(paths) + 0.5) / paths * cum[-1])
    which = np.minimum(which, cum.size - 1)[_order(paths)]
    cum = np.cumsum(outlook.past_weight)
    when = np.searchsorted(cum, (np.arange(paths) + 0.5) / paths * cum[-1])
    when = np.minimum(when, cum.size - 1)
    e = outlook.errors[which, when] * ESCALE
    hs = np.concatenate(([0], HORIZONS[: e.shape[1]]))
    e = np.concatenate((e[:, :1], e), axis=1)
    d = np.arange(1, days + 1)
    right = np.clip(np.searchsorted(hs, d), 1, hs.size - 1)
    part = np.clip((d - hs[right - 1]) / (hs[right] - hs[right - 1]), 0, 1)
    e = e[:, right - 1] * (1 - part) + e[:, right] * part
    own = (_uniform(paths) < outlook.own)[:, None]
    prior = (TSCALE * outlook.spread * _tails(paths))[:, None] * (np.minimum(d, 90) / 4.0) ** GROW
    e = np.where(own, e, np.clip(prior, -4, 4))
    F = np.cumsum(levels[which], axis=1)
    floor = outlook.floor * d
    C = np.maximum(np.maximum.accumulate((F + floor) * np.exp(e) - floor, axis=1), 0)
    sums = C
    share = np.cumsum(byday, axis=1) / np.maximum(byday.sum(axis=1, keepdims=True), 1e-12)
    within = np.concatenate((np.zeros((7, 1)), share), axis=1)
    within[:, -1] = 1.0
    return Usage(sums, within)
