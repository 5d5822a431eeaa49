"""Table `host_usage`: what was used on each host, by day, third of a month and month.

In each by meter and flavor.

It is never money: everything in it can be summed anew from usage (or, where that was dropped,
from its daily sums) and whereabouts. `host_usage_day` says of which days that is due; a day's
usage that was dropped has its parts in `daily_host`, where a series was on several hosts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from os_credits.domain.period import from_ms

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from os_credits.store.pool import Connection

# Any constant that no other job takes: copies of the service sum one after the other.
ADVISORY_LOCK = 0x05C7ED20
# A day of all resources may be two million rows.
STATEMENT_SECONDS_MAX = 300
_DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class DueDay:
    """A day that changed since it was summed, and the count of changes so far."""

    day: datetime
    changed_count: int


async def mark_days(conn: Connection, days_ms: Iterable[int]) -> None:
    """Let these days (ms) be summed anew, once this transaction is committed."""
    days = [from_ms(ms) for ms in sorted(set(days_ms))]
    if not days:
        return
    await conn.execute(
        """
        INSERT INTO host_usage_day AS d (day, changed_count)
        SELECT day, 1 FROM unnest($1::timestamptz[]) AS n(day) ORDER BY day
        ON CONFLICT (day) DO UPDATE SET changed_count = d.changed_count + 1
        """,
        days,
    )


async def take_lock(conn: Connection) -> bool:
    """Be the only one who sums until this transaction ends; false if somebody else does."""
    taken: bool = await conn.fetchval("SELECT pg_try_advisory_xact_lock($1)", ADVISORY_LOCK)
    milliseconds = str(STATEMENT_SECONDS_MAX * 1000)
    await conn.execute("SELECT set_config('statement_timeout', $1, true)", milliseconds)
    return taken


async def list_due(conn: Connection, yesterday: datetime) -> list[DueDay]:
    """Give the days that are to be summed, the newest first.

    Yesterday is one of them if it was not summed since it ended.
    """
    rows = await conn.fetch(
        """
        SELECT day, changed_count FROM host_usage_day
        WHERE changed_count <> summed_count
           OR (day = $1 AND summed_at < day + interval '24 hours')
        ORDER BY day DESC
        """,
        yesterday,
    )
    return [DueDay(row["day"], row["changed_count"]) for row in rows]


async def forget_day(conn: Connection, day: datetime) -> None:
    """Remove what is summed of a day."""
    await conn.execute("DELETE FROM host_usage WHERE length = 'day' AND start = $1", day)
    await conn.execute("DELETE FROM host_resource WHERE day = $1", day)


async def forget_resources(conn: Connection, until: datetime) -> None:
    """Remove what single resources used on hosts on days before `until`."""
    await conn.execute("DELETE FROM host_resource WHERE day < $1", until)


async def sum_day(conn: Connection, day: datetime, *, with_resources: bool) -> None:
    """Sum a day's usage by host, meter and flavor, maybe also by resource; nothing is summed yet.

    A series that stays where it is all day is looked up once, another one hour by hour.
    """
    await conn.execute(
        """
        WITH moved AS MATERIALIZED (
            SELECT DISTINCT series_id FROM whereabouts WHERE hour > $1 AND hour < $2
        ), settled AS (
            SELECT u.series_id, u.flavor_id, sum(u.quantity) AS quantity,
                   sum(u.credits) AS credits
            FROM usage u
            WHERE u.hour >= $1 AND u.hour < $2 AND u.quantity > 0
              AND (u.kind = 0 OR u.credits IS NOT NULL)
              AND NOT EXISTS (SELECT FROM moved m WHERE m.series_id = u.series_id)
            GROUP BY u.series_id, u.flavor_id
        ), part AS (
            SELECT s.series_id, s.flavor_id, s.quantity, s.credits, w.host_id
            FROM settled s LEFT JOIN LATERAL (
                SELECT host_id FROM whereabouts w
                WHERE w.series_id = s.series_id AND w.hour <= $1 ORDER BY w.hour DESC LIMIT 1
            ) w ON true
            UNION ALL
            SELECT u.series_id, u.flavor_id, u.quantity, u.credits, w.host_id
            FROM moved m JOIN usage u ON u.series_id = m.series_id LEFT JOIN LATERAL (
                SELECT host_id FROM whereabouts w
                WHERE w.series_id = u.series_id AND w.hour <= u.hour ORDER BY w.hour DESC LIMIT 1
            ) w ON true
            WHERE u.hour >= $1 AND u.hour < $2 AND u.quantity > 0
              AND (u.kind = 0 OR u.credits IS NOT NULL)
        ), summed AS MATERIALIZED (
            SELECT coalesce(host_id, 0) AS host_id, series_id, flavor_id,
                   sum(quantity) AS quantity, coalesce(sum(credits), 0) AS credits
            FROM part GROUP BY coalesce(host_id, 0), series_id, flavor_id
        ), kept AS (
            INSERT INTO host_resource (host_id, day, series_id, flavor_id, quantity, credits)
            SELECT host_id, $1, series_id, flavor_id, quantity, credits FROM summed
            WHERE $3::boolean AND host_id <> 0
        )
        INSERT INTO host_usage (length, start, host_id, meter_id, flavor_id, quantity, credits,
                                resource_count)
        SELECT 'day', $1, p.host_id, s.meter_id, p.flavor_id, sum(p.quantity), sum(p.credits),
               count(*)
        FROM summed p JOIN series s ON s.id = p.series_id
        GROUP BY p.host_id, s.meter_id, p.flavor_id
        """,
        day,
        day + _DAY,
        with_resources,
        timeout=STATEMENT_SECONDS_MAX,
    )


async def sum_dropped_day(conn: Connection, day: datetime) -> None:
    """Sum a day by host whose hourly usage was dropped; nothing is summed of it yet."""
    await conn.execute(
        """
        WITH part AS (
            SELECT d.series_id, d.flavor_id, d.quantity, d.credits, w.host_id
            FROM daily_charge d LEFT JOIN LATERAL (
                SELECT host_id FROM whereabouts w
                WHERE w.series_id = d.series_id AND w.hour < $2 ORDER BY w.hour DESC LIMIT 1
            ) w ON true
            WHERE d.day = $1 AND NOT EXISTS (
                SELECT FROM daily_host h WHERE h.day = $1 AND h.series_id = d.series_id)
            UNION ALL
            SELECT series_id, flavor_id, quantity, credits, host_id
            FROM daily_host WHERE day = $1
        )
        INSERT INTO host_usage (length, start, host_id, meter_id, flavor_id, quantity, credits,
                                resource_count)
        SELECT 'day', $1, coalesce(p.host_id, 0), s.meter_id, p.flavor_id, sum(p.quantity),
               sum(p.credits), count(DISTINCT p.series_id)
        FROM part p JOIN series s ON s.id = p.series_id
        GROUP BY coalesce(p.host_id, 0), s.meter_id, p.flavor_id
        """,
        day,
        day + _DAY,
        timeout=STATEMENT_SECONDS_MAX,
    )


async def sum_days(conn: Connection, length: str, start: datetime, end: datetime) -> None:
    """Sum the days of a month or of a third of one, instead of what was summed of it before."""
    await conn.execute("DELETE FROM host_usage WHERE length = $1 AND start = $2", length, start)
    await conn.execute(
        """
        INSERT INTO host_usage (length, start, host_id, meter_id, flavor_id, quantity, credits,
                                resource_count)
        SELECT $1, $2, host_id, meter_id, flavor_id, sum(quantity), sum(credits),
               sum(resource_count)
        FROM host_usage WHERE length = 'day' AND start >= $2 AND start < $3
        GROUP BY host_id, meter_id, flavor_id
        """,
        length,
        start,
        end,
        timeout=STATEMENT_SECONDS_MAX,
    )


async def note_summed(conn: Connection, due: DueDay) -> None:
    """Say that a day is summed up to its changes so far; the last statement of a transaction.

    Rating waits for this row, so the commit should follow at once.
    """
    await conn.execute(
        "UPDATE host_usage_day SET summed_count = $2, summed_at = now() WHERE day = $1",
        due.day,
        due.changed_count,
    )


async def keep_parts(conn: Connection, day: datetime) -> None:
    """Keep what each host had of a day's usage that is to be dropped, where that was several.

    A series that is not named here was all day where it was in its last hour.
    """
    await conn.execute(
        """
        WITH part AS (
            SELECT u.series_id, u.flavor_id, u.quantity, u.credits,
                   coalesce(w.host_id, 0) AS host_id, coalesce(l.host_id, 0) AS last_id
            FROM (SELECT DISTINCT series_id FROM whereabouts WHERE hour > $1 AND hour < $2) m
            JOIN usage u ON u.series_id = m.series_id
            LEFT JOIN LATERAL (
                SELECT host_id FROM whereabouts w
                WHERE w.series_id = u.series_id AND w.hour <= u.hour ORDER BY w.hour DESC LIMIT 1
            ) w ON true
            LEFT JOIN LATERAL (
                SELECT host_id FROM whereabouts w
                WHERE w.series_id = u.series_id AND w.hour < $2 ORDER BY w.hour DESC LIMIT 1
            ) l ON true
            WHERE u.hour >= $1 AND u.hour < $2 AND u.credits IS NOT NULL AND u.quantity > 0
        )
        INSERT INTO daily_host (day, series_id, flavor_id, host_id, quantity, credits)
        SELECT $1, series_id, flavor_id, host_id, sum(quantity), sum(credits)
        FROM part p
        WHERE series_id IN (SELECT series_id FROM part WHERE host_id <> last_id)
        GROUP BY series_id, flavor_id, host_id
        """,
        day,
        day + _DAY,
        timeout=STATEMENT_SECONDS_MAX,
    )


async def read_summed_at(conn: Connection) -> datetime | None:
    """Give when the newest days were summed last, None if they never were."""
    moment: datetime | None = await conn.fetchval(
        """
        SELECT max(summed_at) FROM host_usage_day
        WHERE day >= (SELECT max(day) FROM host_usage_day) - interval '48 hours'
        """
    )
    return moment
