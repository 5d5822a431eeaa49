"""What may be used from now on: some hundred paths, of which each is as likely as the others.

A path goes on by one of the ways. It errs as that way erred from some day of the past on (a
block of the past is replayed), or by chance as much as is usual after so many days. Chance
comes from fixed seeds: the same past gives the same paths, to the last bit.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from os_credits.forecast.history import DAY_HOURS, WEEK_HOURS, Floats, Whole
from os_credits.forecast.outlook import HORIZONS, Outlook

PATH_COUNT = 300
HORIZON_DAYS = 730
# So far a path has each day, then each week.
_FINE_DAYS = 119
_WEEK_DAYS = WEEK_HOURS // DAY_HOURS
_SEED = 20_160_229
# At most this share of the paths replays the past; half of it does with 28 days of history.
_REPLAYED_MAX = 0.6
_REPLAYED_DAYS = 28
# Chance has longer tails than a normal distribution: projects end, others take off.
_TAIL_FREEDOM = 3.0
_TAIL_SCALE = 0.4
# Projects of which little can be told err even more than their own errors say.
_TAIL_MORE = 2.0
_TAIL_GROWTH = 0.3
_TAIL_DAYS = 4.0
_TAIL_DAYS_MAX = 90
_TAIL_MAX = 4.0


class Paths:
    """Sums used up to some days from now (columns), on each path (rows)."""

    def __init__(self, days: Whole, sums: Floats, shares: Floats) -> None:
        """Take `shares`: of the day's usage up to each of its hours, for a week's days from now."""
        self._days = days
        self._sums = sums
        self._shares = shares
        self.count = sums.shape[0]
        self.hours = float(days[-1] * DAY_HOURS)

    def burn_per_day(self) -> float:
        """Give the mean of all paths over the next seven days."""
        return float(self._sums[:, _WEEK_DAYS].mean() / _WEEK_DAYS)

    def until(self, hours: float) -> Floats:
        """Give what each path has used so many hours from now."""
        place = int(np.searchsorted(self._days, hours / DAY_HOURS, side="right")) - 1
        place = min(place, self._days.size - 2)
        begin, end = self._days[place], self._days[place + 1]
        share = (hours / DAY_HOURS - begin) / (end - begin)
        if end - begin == 1:
            share = np.interp(share * DAY_HOURS, np.arange(DAY_HOURS + 1), self._shares[begin % 7])
        return np.asarray(self._sums[:, place] * (1 - share) + self._sums[:, place + 1] * share)

    def hours_until(self, amounts: Floats) -> Floats:
        """Give after how many hours each path has used its amount; infinite: not on the path."""
        rows = np.arange(self.count)
        after = np.argmax(self._sums >= amounts[:, None], axis=1)
        before = np.maximum(after - 1, 0)
        low, high = self._sums[rows, before], self._sums[rows, after]
        rises = high > low
        share = np.divide(amounts - low, high - low, out=np.zeros_like(low), where=rises)
        begin, length = self._days[before], self._days[after] - self._days[before]
        hours = (begin + share * length) * DAY_HOURS
        fine = length == 1
        hours[fine] = begin[fine] * DAY_HOURS + self._hours_of_day(begin[fine], share[fine])
        return np.where(self._sums[:, -1] >= amounts, hours, np.inf)

    def _hours_of_day(self, day: Whole, share: Floats) -> Floats:
        """Give the hours of a day after which a share of its usage is done."""
        shares = self._shares[day % _WEEK_DAYS]
        rows = np.arange(day.size)
        after = np.maximum(np.argmax(shares >= share[:, None], axis=1), 1)
        low, high = shares[rows, after - 1], shares[rows, after]
        part = np.divide(share - low, high - low, out=np.zeros_like(low), where=high > low)
        return np.asarray(after - 1 + np.clip(part, 0, 1))


def draw(outlook: Outlook, rhythm: Floats, now: int) -> Paths:
    """Draw the paths from `now`, an hour of the week, on; `rhythm` is that of 168 hours."""
    hours = rhythm[(now + np.arange(WEEK_HOURS)) % WEEK_HOURS].reshape(_WEEK_DAYS, DAY_HOURS)
    daily = outlook.stance.daily(np.resize(hours.sum(axis=1), HORIZON_DAYS))
    days = _days()
    told = np.cumsum(daily, axis=1)[:, days[1:] - 1]
    way = _dealt(outlook.weight)[_shuffled(0)]
    errors = _errors(outlook, way, _dealt(outlook.likeness))
    floor = outlook.floor * days[1:]
    sums = (told[way] + floor) * np.exp(errors) - floor
    # An error that shrinks faster than the sum grows takes nothing back.
    sums = np.maximum.accumulate(np.maximum(sums, 0), axis=1)
    return Paths(days, _from_nothing(sums), _shares(hours))


def unused() -> Paths:
    """Give paths on which nothing is used."""
    days = _days()
    shares = _shares(np.ones((_WEEK_DAYS, DAY_HOURS)))
    return Paths(days, np.zeros((PATH_COUNT, days.size)), shares)


def steady(per_day: float) -> Paths:
    """Give a single path on which every day uses the same, at any hour alike."""
    days = _days()
    shares = _shares(np.ones((_WEEK_DAYS, DAY_HOURS)))
    return Paths(days, np.atleast_2d(days * per_day), shares)


def _errors(outlook: Outlook, way: Whole, past_day: Whole) -> Floats:
    """Give the logarithm of each path's error up to each day."""
    days = _days()[1:]
    replayed = outlook.errors[way, past_day]
    known = np.array(HORIZONS[: replayed.shape[1]])
    right = np.minimum(np.searchsorted(known, days), known.size - 1)
    left = np.maximum(right - 1, 0)
    step = np.maximum(known[right] - known[left], 1)
    part = np.clip((days - known[left]) / step, 0, 1)
    replayed = replayed[:, left] * (1 - part) + replayed[:, right] * part
    growth = (np.minimum(days, _TAIL_DAYS_MAX) / _TAIL_DAYS) ** _TAIL_GROWTH
    scale = _TAIL_SCALE * outlook.spread * (1 + _TAIL_MORE * outlook.spread)
    chance = np.outer(scale * _tails(), growth)
    tried = outlook.likeness.size
    share = min(_REPLAYED_MAX, tried / (tried + _REPLAYED_DAYS))
    is_replay = _shuffled(1) < share * PATH_COUNT
    return np.where(is_replay[:, None], replayed, np.clip(chance, -_TAIL_MAX, _TAIL_MAX))


def _dealt(weight: Floats) -> Whole:
    """Deal the paths to places by weight, as evenly as can be."""
    shares = np.cumsum(weight)
    middle = (np.arange(PATH_COUNT) + 0.5) / PATH_COUNT * shares[-1]
    return np.asarray(np.minimum(np.searchsorted(shares, middle), weight.size - 1))


def _shares(hours: Floats) -> Floats:
    shares = np.cumsum(hours, axis=1)
    whole = shares[:, -1:]
    return _from_nothing(shares / np.where(whole > 0, whole, 1.0))


def _from_nothing(rows: Floats) -> Floats:
    return np.concatenate((np.zeros((rows.shape[0], 1)), rows), axis=1)


@cache
def _days() -> Whole:
    weeks = np.arange(_FINE_DAYS + _WEEK_DAYS, HORIZON_DAYS, _WEEK_DAYS)
    return np.concatenate((np.arange(_FINE_DAYS + 1), weeks, [HORIZON_DAYS]))


@cache
def _shuffled(what: int) -> Whole:
    return np.random.default_rng((_SEED, what)).permutation(PATH_COUNT)


@cache
def _tails() -> Floats:
    half = np.random.default_rng(_SEED).standard_t(_TAIL_FREEDOM, PATH_COUNT // 2)
    return np.concatenate((half, -half))
