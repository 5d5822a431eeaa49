"""Made-up projects of ten kinds: hours of usage, by a fixed seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.backtest.cases import Outcome, Series, outcomes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

DAYS = 450
HOURS = DAYS * 24
# Shares of hours with a restart, and of days on which nobody works.
RESTARTS = 0.002
HOLIDAYS = 0.03
_HOUR = np.arange(HOURS)
_DAY_HOUR = _HOUR % 24
_WEEKDAY = _HOUR // 24 % 7
_SATURDAY = 5
_WORKDAY = _WEEKDAY < _SATURDAY


def constant(chance: np.random.Generator) -> NDArray[np.float64]:
    """Servers that run day and night; one is added or removed every month or two."""
    count = chance.integers(2, 30)
    changes = chance.random(HOURS) < 1 / chance.uniform(30 * 24, 120 * 24)
    steps = np.where(changes, chance.choice([-1, 1], HOURS), 0)
    servers = np.maximum(count + np.cumsum(steps), 1)
    down = chance.random(HOURS) < RESTARTS
    return servers * chance.uniform(0.5, 4) * np.where(down, 0.5, 1.0)


def office_hours(chance: np.random.Generator) -> NDArray[np.float64]:
    """Desktops that people start in the morning and stop in the evening, on workdays."""
    people = chance.integers(3, 40)
    start, length = chance.integers(6, 10), chance.integers(7, 11)
    there = chance.binomial(people, chance.uniform(0.5, 0.9), DAYS).repeat(24)
    since = _DAY_HOUR - start
    at_work = _WORKDAY & (since >= 0) & (since < length)
    holiday = (chance.random(DAYS) < HOLIDAYS).repeat(24)
    some = chance.poisson(0.3, HOURS)
    return np.where(at_work & ~holiday, there, some) * 1.0


def weekend_batch(chance: np.random.Generator) -> NDArray[np.float64]:
    """Large jobs from Friday night on, and a small server all the time."""
    size = chance.uniform(50, 200, DAYS // 7 + 1)
    ends = chance.integers(20, 50, DAYS // 7 + 1)
    since = (_HOUR - (4 * 24 + 20)) % (7 * 24)
    week = np.clip((_HOUR - (4 * 24 + 20)) // (7 * 24), 0, size.size - 1)
    return np.where(since < ends[week], size[week], chance.uniform(1, 4))


def _people_and_jobs(chance: np.random.Generator) -> NDArray[np.float64]:
    """Noise that lasts some hours, around 1."""
    noise = np.repeat(chance.gamma(6, 1 / 6, HOURS // 6), 6)
    return noise * np.where(_WORKDAY, 1.0, chance.uniform(0.5, 1.0))


def growing(chance: np.random.Generator) -> NDArray[np.float64]:
    """Take on, up to a size at which it stays."""
    rate = chance.uniform(0.005, 0.03)
    begin = chance.integers(40, 140)
    days = np.clip(_HOUR / 24 - begin, 0, chance.uniform(40, 150))
    return 10 * np.exp(rate * days) * _people_and_jobs(chance)


def shrinking(chance: np.random.Generator) -> NDArray[np.float64]:
    """Leave bit by bit, to a rest that stays."""
    rate = chance.uniform(0.004, 0.03)
    begin = chance.integers(40, 140)
    days = np.clip(_HOUR / 24 - begin, 0, None)
    left = np.maximum(np.exp(-rate * days), chance.uniform(0.1, 0.3))
    return 100 * left * _people_and_jobs(chance)


def campaigns(chance: np.random.Generator) -> NDArray[np.float64]:
    """Bursts of days to two weeks, with pauses of the same kind between, over a small rest."""
    use = np.full(HOURS, chance.uniform(0.5, 3))
    place = int(chance.integers(0, 200))
    pause, burst = chance.uniform(2, 12) * 24, chance.uniform(1, 8) * 24
    while place < HOURS:
        length = 6 + int(chance.exponential(burst))
        use[place : place + length] += chance.uniform(20, 120)
        place += length + 6 + int(chance.exponential(pause))
    return use


def on_and_off(chance: np.random.Generator) -> NDArray[np.float64]:
    """Servers that come by chance and live from hours to weeks."""
    use = np.zeros(HOURS + 1)
    births = np.flatnonzero(chance.random(HOURS) < chance.uniform(0.02, 0.4))
    lives = np.exp(chance.uniform(np.log(2), np.log(chance.uniform(4, 28) * 24), births.size))
    sizes = chance.choice([1.0, 2.0, 4.0, 8.0, 16.0], births.size, p=[0.4, 0.25, 0.2, 0.1, 0.05])
    np.add.at(use, births, sizes)
    np.subtract.at(use, np.minimum(births + lives.astype(np.int64), HOURS), sizes)
    return np.asarray(np.maximum(np.cumsum(use)[:HOURS], 0))


def steps(chance: np.random.Generator) -> NDArray[np.float64]:
    """Another number of servers every some weeks, all at once."""
    use = np.zeros(HOURS)
    place = 0
    while place < HOURS:
        length = int(chance.uniform(10, 70) * 24)
        use[place : place + length] = chance.uniform(5, 60)
        place += length
    noise = 1 + 0.05 * chance.standard_normal(HOURS)
    return np.asarray(use * noise.clip(0.5, 1.5))


def terms(chance: np.random.Generator) -> NDArray[np.float64]:
    """Teach: office hours while the term lasts, and nearly nothing between two terms."""
    lasting = chance.integers(80, 120)
    since = (_HOUR // 24 + chance.integers(0, 180)) % 180
    return np.where(since < lasting, office_hours(chance), 0.0) + chance.uniform(0.5, 2)


def mixed(chance: np.random.Generator) -> NDArray[np.float64]:
    """Servers day and night, people at work, and jobs now and then."""
    jobs = chance.uniform(0.1, 1) * on_and_off(chance)
    return np.asarray(0.4 * constant(chance) + chance.uniform(0.2, 2) * office_hours(chance) + jobs)


FAMILIES: dict[str, Callable[[np.random.Generator], NDArray[np.float64]]] = {
    each.__name__: each
    for each in (
        constant,
        office_hours,
        weekend_batch,
        growing,
        shrinking,
        campaigns,
        on_and_off,
        steps,
        terms,
        mixed,
    )
}


def ask(family: str, seed: int, count: int) -> list[Outcome]:
    """Make one project of a family and ask for its forecast from so many hours of its life."""
    chance = np.random.default_rng((list(FAMILIES).index(family), seed))
    series = Series(family, FAMILIES[family](chance))
    return list(outcomes(series, count, chance))
