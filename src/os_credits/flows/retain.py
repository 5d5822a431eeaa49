"""Drops old samples and old hourly usage without changing a credit (rule 10).

Samples go in two steps. First their time is announced: from then on older samples are refused,
whatever the acceptance window. Once every push that was judged before must be over, what waits
is rated, the last two samples of each series become its floor, and the rest is dropped. Hourly
usage goes when no accepted sample can reach it any more, and leaves daily sums behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from os_credits.domain.period import EPOCH, floor_day, to_ms
from os_credits.flows.rate import RatedElsewhere
from os_credits.store import batches, host_usage, rating_state, retention, summed_days

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.flows.rate import Rater
    from os_credits.store.pool import Connection
    from os_credits.store.retention import Retention

DAY = timedelta(days=1)
# Longer than a push may take from being judged to its commit (a statement's time limit).
ANNOUNCED_FOR = timedelta(hours=1)
# Usage is dropped by whole chunks (`migrations/`: 7 days).
USAGE_STEP = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Kept:
    """How long samples and hourly usage are kept; None keeps them for ever."""

    samples: timedelta | None
    usage: timedelta | None
    announced_for: timedelta = ANNOUNCED_FOR


async def retain(rater: Rater, kept: Kept) -> int:
    """Do the next step of what is due; gives 1 if there may be more to do at once, else 0.

    One step drops a day of samples or a week of usage, so that nobody waits long for the lock.
    """
    try:
        async with rater.turn(wait=False) as conn:
            return int(await _step(rater, conn, kept))
    except RatedElsewhere:
        return 0


async def _step(rater: Rater, conn: Connection, kept: Kept) -> bool:
    await retention.give_way(conn)
    now, state = await batches.read_now(conn), await retention.read_retention(conn)
    if kept.samples is not None:
        await retention.announce_samples(conn, floor_day(now - kept.samples))
        if await _drop_samples(rater, conn, state, now - kept.announced_for):
            return True
    if kept.usage is not None:
        return await _drop_usage(conn, state, now - kept.usage)
    return False


async def _drop_samples(
    rater: Rater, conn: Connection, state: Retention, announced_before: datetime
) -> bool:
    if state.samples_announced_at > announced_before:
        return False
    start = max(state.samples_dropped_until, await retention.first_day_of_samples(conn) or EPOCH)
    until = min(start + DAY, state.samples_announced_until)
    if until <= state.samples_dropped_until or not await rater.rate_all(conn):
        return False
    await retention.keep_floors(conn, state.samples_dropped_until, until)
    await retention.drop_samples(conn, until)
    await rating_state.raise_epoch(conn)
    return True


async def _drop_usage(conn: Connection, state: Retention, old: datetime) -> bool:
    """Drop a week of usage that no sample can change any more and that has its price."""
    start = state.usage_dropped_until
    first = await retention.first_day_of_usage(conn)
    if first is None:
        return False
    until = max(start, _floor_week(first)) + USAGE_STEP
    if until > min(old, state.samples_dropped_until):
        return False
    if await retention.first_unpriced_hour(conn, until) is not None:
        return False
    day = max(start, _floor_week(first))
    while day < until:  # one at a time: a statement has its time limit
        await retention.sum_days(conn, day, day + DAY)
        await host_usage.keep_parts(conn, day)
        await summed_days.mark_days(conn, [to_ms(day)])
        day += DAY
    await retention.drop_usage(conn, until)
    return True


def _floor_week(moment: datetime) -> datetime:
    """Give the start of the chunk (counted in weeks since the epoch) in which a moment lies."""
    return EPOCH + (moment - EPOCH) // USAGE_STEP * USAGE_STEP
