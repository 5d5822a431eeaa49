"""Sums what was used by each series and on each host, day by day, wherever something has changed.

Rating and pricing only mark the days; this job sums a marked day as a whole, in a transaction of
its own that reads what is committed. What changes meanwhile is marked anew.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from os_credits.domain.allowance import floor_month, next_month
from os_credits.domain.period import floor_day
from os_credits.rating.host_pieces import third_of
from os_credits.store import batches, host_usage, retention, summed_days
from os_credits.store.pool import Pool, connection, transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from os_credits.store.pool import Connection
    from os_credits.store.summed_days import DueDay

# Summing may take one part in so many of the time: the present day is always due.
REST_FACTOR = 50
# After many days at once, as when all of them are new, the present one must not wait for days.
REST_SECONDS_MAX = 900.0


class DaySums:
    """Keeps the sums by day; rests after each turn in proportion to what it took."""

    def __init__(self, pool: Pool, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the pool and a clock in seconds that never goes back."""
        self._pool = pool
        self._clock = clock
        self._rests_until = clock()

    async def run(self) -> int:
        """Sum what is due, unless it is time to rest; gives the count of days summed."""
        started = self._clock()
        if started < self._rests_until:
            return 0
        try:
            return await sum_due_days(self._pool)
        finally:
            ended = self._clock()
            rest = min(REST_FACTOR * (ended - started), REST_SECONDS_MAX)
            self._rests_until = ended + rest


async def sum_due_days(pool: Pool) -> int:
    """Sum every day that changed since it was summed; gives their count.

    Another copy of the service that sums at this moment does it for us.
    """
    async with connection(pool) as conn:
        now = await batches.read_now(conn)
        due = await summed_days.list_due(conn, floor_day(now))
    done = 0
    for one in due:
        async with transaction(pool) as conn:
            if not await host_usage.take_lock(conn):
                break
            await _sum_day(conn, one)
            done += 1
    return done


async def _sum_day(conn: Connection, due: DueDay) -> None:
    await host_usage.forget_day(conn, due.day)
    if due.day < (await retention.read_retention(conn)).usage_dropped_until:
        await host_usage.sum_dropped_day(conn, due.day)
    else:
        await host_usage.sum_day(conn, due.day)
    month = floor_month(due.day)
    await host_usage.sum_days(conn, "month", month, next_month(month))
    await host_usage.sum_days(conn, "third", *third_of(due.day))
    await summed_days.note_summed(conn, due)
