"""How far each way is to be believed, by what it would have told in the project's own past.

Every way is tried from every day of the past. The better it told what followed, the more paths
go on by it; and the errors that it made then are the errors that it may make now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from os_credits.forecast.history import DAY_HOURS, Floats
from os_credits.forecast.ways import NEWS_HOURS, WAYS, Past, Stance

# Days for which a way is tried.
HORIZONS = (1, 2, 4, 7, 14, 28, 45)
# Nothing is told from the first days of a history.
_FIRST_DAY = 2
# What is small beside this share of the project's mean is no error.
_FLOOR_SHARE = 0.02
# An error of the past counts half after so many days.
_FORGET_DAYS = 30.0
# Ways whose error is this much above the least one (all of it and its share) count a third.
_TOLERANCE, _TOLERANCE_SHARE = 0.004, 0.1
_TRUST = np.array([way.trust for way in WAYS])
# Usage beside the level is news if it is so many times of what is usual.
_SURPRISE_MIN = 3.0
_NEWS_MAX = 0.9
_NEWS_WEIGHT = np.where([way.now_hours == NEWS_HOURS for way in WAYS], _TRUST, 0)
_NEWS_WEIGHT /= _NEWS_WEIGHT.sum()
# The spread (of a logarithm, after four days) of projects in general counts as so many trials.
_SPREAD_OF_ALL, _SPREAD_TRIALS = 0.25, 3.0
_SPREAD_DAYS = 4
_SPREAD_HORIZONS = (4, 7)
_SPREAD_GROWTH = 0.3
_LARGEST_ERROR = 3.0


class _Trial(NamedTuple):
    """What became of all ways (rows) tried for one horizon from the days of the past."""

    horizon: int
    # Logarithms of what was used against what was told.
    errors: Floats
    # Errors as shares of both, 0 to 1.
    misses: Floats
    # By how long ago it was.
    weight: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """How a project may go on; rows of `stance` and `errors` are `WAYS`.

    `errors` are logarithms for past days and for the first of `HORIZONS`; `likeness` weighs the
    days by how like they are to now. `spread` is what is to be expected beyond them: the
    standard deviation of the logarithm of what is used in four days. `floor` is a day's usage
    that is too small to matter.
    """

    stance: Stance
    weight: Floats
    errors: Floats
    likeness: Floats
    spread: float
    floor: float


def outlook(hourly: Floats, rhythm: Floats, likely_days: float) -> Outlook:
    """Judge all ways by the past; `rhythm` is that of each hour of `hourly`, some of it used.

    Errors count most for horizons near `likely_days`, in which the credits may be gone.
    """
    past = Past(hourly, rhythm)
    floor = _FLOOR_SHARE * past.mean * DAY_HOURS
    before = past.stance(np.arange(_FIRST_DAY, past.days) * DAY_HOURS)
    stance = past.stance(np.array([hourly.size]))
    trials = _trials(past, before, floor)
    weight = _weights(trials, likely_days)
    news = _news(before, stance, past.mean)
    weight = weight * (1 - news) + _NEWS_WEIGHT * news
    return Outlook(
        stance=stance,
        weight=weight,
        errors=_replayed(trials),
        likeness=_likeness(past, trials[_kept(trials)].weight.size),
        spread=_spread(trials, weight),
        floor=floor,
    )


def _trials(past: Past, stance: Stance, floor: float) -> list[_Trial]:
    days = np.arange(_FIRST_DAY, past.days)
    trials = []
    for horizon in HORIZONS:
        count = int(np.count_nonzero(days + horizon <= past.days))
        if not count:
            break
        start, end = days[:count] * DAY_HOURS, (days[:count] + horizon) * DAY_HOURS
        told = stance.first(count).used(horizon, past.rhythm(start, end)) + floor * horizon
        real = past.used(start, end) + floor * horizon
        misses = np.abs(told - real) / (told + real)
        recent = np.exp2((days[:count] + horizon - past.days) / _FORGET_DAYS)
        trials.append(_Trial(horizon, np.log(real / told), misses, recent))
    return trials


def _weights(trials: list[_Trial], likely_days: float) -> Floats:
    """Weigh the ways by their misses."""
    near = [1 / (1 + np.log2(trial.horizon / likely_days) ** 2) for trial in trials]
    total = sum(
        each * (t.misses * t.weight).sum(axis=1) for each, t in zip(near, trials, strict=True)
    )
    count = sum(each * t.weight.sum() for each, t in zip(near, trials, strict=True))
    score = np.asarray(total / count)
    tolerance = _TOLERANCE + _TOLERANCE_SHARE * score.min()
    weight = _TRUST * np.exp((score.min() - score) / tolerance)
    return np.asarray(weight / weight.sum())


def _news(before: Stance, stance: Stance, mean: float) -> float:
    """Give the share of paths that follow the last hours because nothing before was like them.

    The past has not tried a project that for the first time started fifty servers. Hours that
    lack usage are no news: it may be late.
    """
    usual = np.sqrt((before.beside**2).mean(axis=1)) + _FLOOR_SHARE * mean
    surprise = float((stance.beside[:, 0] / usual)[_NEWS_WEIGHT > 0].min()) - _SURPRISE_MIN
    return _NEWS_MAX * (1 - float(np.exp(-max(surprise, 0.0) / _SURPRISE_MIN)))


def _kept(trials: list[_Trial]) -> int:
    """Days of the past are replayed if this horizon was known of them: four days, or fewer."""
    return min(HORIZONS.index(_SPREAD_DAYS), len(trials) - 1)


def _replayed(trials: list[_Trial]) -> Floats:
    """Give errors by way, day and horizon; a horizon not yet known goes on as the one before."""
    columns = [trials[0].errors]
    for trial in trials[1:]:
        known = trial.errors.shape[1]
        columns.append(np.concatenate((trial.errors, columns[-1][:, known:]), axis=1))
    return np.stack(columns, axis=2)[:, : trials[_kept(trials)].weight.size]


def _likeness(past: Past, count: int) -> Floats:
    """Weigh days of the past: recent ones, and those that used as much beside their month."""
    days = np.concatenate((_FIRST_DAY + np.arange(count), [past.days]))
    at = days * DAY_HOURS
    little = 0.05 * past.mean
    day, month = past.level(at - DAY_HOURS, at), past.level(at - 28 * DAY_HOURS, at)
    beside = np.log((day + little) / (month + little))
    like = np.exp(-((beside[:-1] - beside[-1]) ** 2) / 2) + 0.001
    weight = like * np.exp2((days[:-1] - past.days) / (2 * _FORGET_DAYS))
    return np.asarray(weight / weight.sum())


def _spread(trials: list[_Trial], weight: Floats) -> float:
    """Give the usual error after four days, held to that of projects in general."""
    total, count = _SPREAD_TRIALS * _SPREAD_OF_ALL**2, _SPREAD_TRIALS
    chosen = [trial for trial in trials if trial.horizon in _SPREAD_HORIZONS] or trials[-1:]
    for horizon, errors, _, recent in chosen:
        squares = weight @ np.minimum(errors**2, _LARGEST_ERROR**2)
        # Trials of days beside each other tell the same; errors grow with the horizon.
        total += (squares @ recent) / horizon * (_SPREAD_DAYS / horizon) ** (2 * _SPREAD_GROWTH)
        count += recent.sum() / horizon
    return float(np.sqrt(total / count))
