"""When the servers of the simulated cloud run: a pure function of server and day.

The same server and day give the same runs for ever, on every machine and Python: chance is a
hash of their names. Days are UTC, counted from `ANCHOR_MS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from os_credits.demo.cast import Flavor, Rhythm, Server
from os_credits.domain.period import HOUR_MS, to_ms

DAY_MS = 24 * HOUR_MS
# A Monday; counters of the simulated cloud started at zero then.
ANCHOR_MS = to_ms(datetime(2025, 1, 6, tzinfo=UTC))
_MINUTE_MS = 60_000
_DAYS_PER_WEEK = 7
_SATURDAY = 5
_LESSON_DAYS = (1, 3)
# In one night of each fortnight nobody measures the servers of projects that `fail`.
_OUTAGE_DAY, _OUTAGE_CYCLE, _OUTAGE_HOURS = 9, 14, (1, 7)
# Runs start on their day and end this many days later at most.
RUN_DAYS_MAX = 2


@dataclass(frozen=True, slots=True)
class Run:
    """A server that runs with one flavor, from `start_ms`, included, to `end_ms`, excluded."""

    start_ms: int
    end_ms: int
    flavor: Flavor
    day: int


def day_of(time_ms: int) -> int:
    """Count the days from the anchor to the day in which a moment lies."""
    return (time_ms - ANCHOR_MS) // DAY_MS


def runs_of_day(server: Server, day: int) -> Iterator[Run]:
    """Give the runs of a server that start on this day, in order, without overlap."""
    midnight = ANCHOR_MS + day * DAY_MS
    flavor = server.flavors[day // _DAYS_PER_WEEK % len(server.flavors)]
    for start_minute, end_minute in _minutes(server, day):
        yield Run(
            midnight + start_minute * _MINUTE_MS, midnight + end_minute * _MINUTE_MS, flavor, day
        )


def _minutes(server: Server, day: int) -> Iterator[tuple[int, int]]:
    """Give start and end of each run in minutes after the day's midnight."""
    weekday = day % _DAYS_PER_WEEK
    match server.rhythm:
        case Rhythm.ALWAYS:
            yield 0, 24 * 60
        case Rhythm.OFFICE:
            if weekday < _SATURDAY:
                yield 480 + _chance(server, day, "in", 60), 1050 + _chance(server, day, "out", 90)
        case Rhythm.COURSE:
            if weekday in _LESSON_DAYS:
                yield 540 + _chance(server, day, "morning", 10), 720
                yield 780 + _chance(server, day, "noon", 10), 960
        case Rhythm.NIGHTLY:
            start = 1290 + _chance(server, day, "night", 60)
            yield start, start + 150 + _chance(server, day, "length", 210)
        case Rhythm.CAMPAIGN:
            if _chance(server, day, "any", 10) < (6 if weekday < _SATURDAY else 3):
                start = 360 + _chance(server, day, "start", 420)
                yield start, start + 120 + _chance(server, day, "length", 480)


def _chance(server: Server, day: int, what: str, below: int) -> int:
    """Draw a whole number from 0 to below `below`, the same for the same question."""
    text = f"{server.name}/{day}/{what}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) % below


def runs_between(server: Server, start_ms: int, end_ms: int) -> Iterator[Run]:
    """Give every run that has a part in the time from `start_ms` to `end_ms`."""
    for day in range(day_of(start_ms) - RUN_DAYS_MAX, day_of(end_ms) + 1):
        for run in runs_of_day(server, day):
            if run.start_ms < end_ms and run.end_ms > start_ms:
                yield run


def outages_between(start_ms: int, end_ms: int) -> Iterator[range]:
    """Give the times (ms) in which measuring fails, as far as they touch this stretch."""
    for day in range(day_of(start_ms), day_of(end_ms) + 1):
        if day % _OUTAGE_CYCLE == _OUTAGE_DAY:
            first, last = (ANCHOR_MS + day * DAY_MS + hour * HOUR_MS for hour in _OUTAGE_HOURS)
            if first < end_ms and last > start_ms:
                yield range(first, last)
