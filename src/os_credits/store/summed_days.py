"""Table `summed_day`: which days of usage are summed (`daily_usage`, `host_usage`), which are due.

Whoever changes usage or whereabouts marks the days in the same transaction, so that whoever reads
sums knows of which days to add up the hours instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from os_credits.domain.period import from_ms
from os_credits.domain.tree import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from os_credits.store.pool import Connection

_DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class DueDay:
    """A day that changed since it was summed, and the count of changes so far."""

    day: datetime
    changed_count: int


@dataclass(frozen=True, slots=True)
class OpenDays:
    """Days without sums that hold, the present one among them: starts and ends, oldest first.

    Days that follow each other are one span. The last one has no end.
    """

    starts: tuple[datetime, ...]
    ends: tuple[datetime, ...]


async def mark_days(conn: Connection, days_ms: Iterable[int]) -> None:
    """Let these days (ms) be summed anew, once this transaction is committed."""
    days = [from_ms(ms) for ms in sorted(set(days_ms))]
    if not days:
        return
    await conn.execute(
        """
        INSERT INTO summed_day AS d (day, changed_count)
        SELECT day, 1 FROM unnest($1::timestamptz[]) AS n(day) ORDER BY day
        ON CONFLICT (day) DO UPDATE SET changed_count = d.changed_count + 1
        """,
        days,
    )


async def list_due(conn: Connection, today: datetime) -> list[DueDay]:
    """Give the days that are to be summed, the newest first.

    A day that is over is one of them if it was not summed since it ended, however long ago.
    """
    rows = await conn.fetch(
        """
        SELECT day, changed_count FROM summed_day
        WHERE changed_count <> summed_count
           OR (day < $1 AND summed_at < day + interval '24 hours')
        ORDER BY day DESC
        """,
        today,
    )
    return [DueDay(row["day"], row["changed_count"]) for row in rows]


async def note_summed(conn: Connection, due: DueDay) -> None:
    """Say that a day is summed up to its changes so far; the last statement of a transaction.

    Rating waits for this row, so the commit should follow at once.
    """
    await conn.execute(
        "UPDATE summed_day SET summed_count = $2, summed_at = now() WHERE day = $1",
        due.day,
        due.changed_count,
    )


async def read_summed_at(conn: Connection) -> datetime | None:
    """Give when the newest days were summed last, None if they never were."""
    moment: datetime | None = await conn.fetchval(
        """
        SELECT max(summed_at) FROM summed_day
        WHERE day >= (SELECT max(day) FROM summed_day) - interval '48 hours'
        """
    )
    return moment


async def read_open_days(conn: Connection) -> OpenDays:
    """Give the days whose hours are to be added up, since `daily_usage` does not have them.

    A sum holds if its day was over when it was made, and has not changed since.
    """
    rows = await conn.fetch(
        """
        SELECT day FROM summed_day
        WHERE day < date_trunc('day', now(), 'UTC')
          AND (changed_count <> summed_count OR summed_at < day + interval '24 hours')
        UNION ALL SELECT date_trunc('day', now(), 'UTC')
        ORDER BY day
        """
    )
    days = [row["day"] for row in rows]
    starts = [day for place, day in enumerate(days) if place == 0 or days[place - 1] + _DAY != day]
    ends = [day + _DAY for place, day in enumerate(days[:-1]) if days[place + 1] != day + _DAY]
    return OpenDays(tuple(starts), (*ends, FOREVER))
