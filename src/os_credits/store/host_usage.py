"""Tables `daily_usage`, by series and host, and `host_usage`: by host, meter and flavor.

The first is of days that are over and whose hours are kept; the second is by day, third of a month
and month.

Neither is money: everything in them can be summed anew from usage (or, where that was dropped,
from its daily sums) and whereabouts. `summed_day` says of which days that is due; a day's usage
that was dropped has its parts in `daily_host`, where a series was on several hosts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.store.pool import Connection

# Any constant that no other job takes: copies of the service sum one after the other.
ADVISORY_LOCK = 0x05C7ED20
# A day of all resources may be two million rows.
STATEMENT_SECONDS_MAX = 300
_DAY = timedelta(hours=24)


async def take_lock(conn: Connection) -> bool:
    """Be the only one who sums until this transaction ends; false if somebody else does."""
    taken: bool = await conn.fetchval("SELECT pg_try_advisory_xact_lock($1)", ADVISORY_LOCK)
    milliseconds = str(STATEMENT_SECONDS_MAX * 1000)
    await conn.execute("SELECT set_config('statement_timeout', $1, true)", milliseconds)
    return taken


async def forget_day(conn: Connection, day: datetime) -> None:
    """Remove what is summed of a day."""
    await conn.execute("DELETE FROM host_usage WHERE length = 'day' AND start = $1", day)
    await conn.execute("DELETE FROM daily_usage WHERE day = $1", day)


_SUM_DAY = """
WITH moved AS MATERIALIZED (
    SELECT DISTINCT series_id FROM whereabouts WHERE hour > $1 AND hour < $2
), measured AS NOT MATERIALIZED (
    SELECT series_id, hour, flavor_id, credits,
           CASE WHEN credits IS NOT NULL AND (kind = 0 OR credits > 0)
                THEN quantity END AS quantity,
           CASE WHEN credits IS NULL AND kind = 0 THEN quantity END AS unpriced,
           CASE WHEN credits = 0 AND kind <> 0 THEN quantity END AS free,
           CASE WHEN credits IS NULL AND kind <> 0 THEN quantity END AS undecided
    FROM usage WHERE hour >= $1 AND hour < $2 AND quantity > 0
), settled AS (
    SELECT series_id, flavor_id, sum(quantity) AS quantity, sum(unpriced) AS unpriced,
           sum(free) AS free, sum(undecided) AS undecided, sum(credits) AS credits
    FROM measured u
    WHERE NOT EXISTS (SELECT FROM moved m WHERE m.series_id = u.series_id)
    GROUP BY series_id, flavor_id
), part AS (
    SELECT s.*, w.host_id
    FROM settled s LEFT JOIN LATERAL (
        SELECT host_id FROM whereabouts w
        WHERE w.series_id = s.series_id AND w.hour <= $1 ORDER BY w.hour DESC LIMIT 1
    ) w ON true
    UNION ALL
    SELECT u.series_id, u.flavor_id, u.quantity, u.unpriced, u.free, u.undecided,
           u.credits, w.host_id
    FROM moved m JOIN measured u ON u.series_id = m.series_id LEFT JOIN LATERAL (
        SELECT host_id FROM whereabouts w
        WHERE w.series_id = u.series_id AND w.hour <= u.hour ORDER BY w.hour DESC LIMIT 1
    ) w ON true
), summed AS MATERIALIZED (
    SELECT coalesce(host_id, 0) AS host_id, series_id, flavor_id,
           coalesce(sum(quantity), 0) AS quantity, coalesce(sum(unpriced), 0) AS unpriced,
           coalesce(sum(free), 0) AS free, coalesce(sum(undecided), 0) AS undecided,
           coalesce(sum(credits), 0) AS credits
    FROM part GROUP BY coalesce(host_id, 0), series_id, flavor_id
), kept AS (
    INSERT INTO daily_usage (series_id, day, flavor_id, host_id, quantity, unpriced, free,
                             undecided, credits)
    SELECT series_id, $1, flavor_id, host_id, quantity, unpriced, free, undecided, credits
    FROM summed WHERE now() >= $2 ORDER BY host_id, series_id
)
INSERT INTO host_usage (length, start, host_id, meter_id, flavor_id, quantity, credits,
                        resource_count)
SELECT 'day', $1, p.host_id, s.meter_id, p.flavor_id,
       sum(p.quantity + p.unpriced + p.free), sum(p.credits), count(*)
FROM summed p JOIN series s ON s.id = p.series_id
WHERE p.quantity + p.unpriced + p.free > 0
GROUP BY p.host_id, s.meter_id, p.flavor_id
"""


async def sum_day(conn: Connection, day: datetime) -> None:
    """Sum a day's usage by host, meter and flavor; nothing is summed of it yet.

    Of a day that is over (by the start of this transaction, which is noted) also by series, in
    the quantities that `daily_usage.py: USED` tells apart. A series that stays where it is all day
    is looked up once, another one hour by hour.
    """
    await conn.execute(
        _SUM_DAY,
        day,
        day + _DAY,
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
