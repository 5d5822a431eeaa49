"""Table `retention`: until when samples and hourly usage were dropped; one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.store.pool import Connection


LOCK_TIMEOUT = "2s"


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept: samples and usage from these moments on.

    Samples before `samples_announced_until` are refused since `samples_announced_at`; they are
    dropped once nothing that was judged before can be under way any more.
    """

    samples_announced_until: datetime
    samples_announced_at: datetime
    samples_dropped_until: datetime
    usage_dropped_until: datetime


async def read_retention(conn: Connection) -> Retention:
    """Read what is kept."""
    (row,) = await conn.fetch(
        """
        SELECT samples_announced_until, samples_announced_at, samples_dropped_until,
               usage_dropped_until
        FROM retention
        """
    )
    return Retention(**dict(row))


async def first_day_of_samples(conn: Connection) -> datetime | None:
    """Give the first moment of the oldest chunk of samples."""
    return await _first_chunk(conn, "sample_block")


async def first_day_of_usage(conn: Connection) -> datetime | None:
    """Give the first moment of the oldest chunk of usage."""
    return await _first_chunk(conn, "usage")


async def _first_chunk(conn: Connection, table: str) -> datetime | None:
    start: datetime | None = await conn.fetchval(
        "SELECT min(range_start) FROM timescaledb_information.chunks "
        "WHERE hypertable_schema = current_schema AND hypertable_name = $1",
        table,
    )
    return start


async def announce_samples(conn: Connection, until: datetime) -> None:
    """Refuse samples before `until` from the commit on."""
    await conn.execute(
        """
        UPDATE retention SET samples_announced_until = $1, samples_announced_at = now()
        WHERE samples_announced_until < $1
        """,
        until,
    )


async def keep_floors(conn: Connection, start: datetime, until: datetime) -> int:
    """Make the last two samples before `until` the floor of each series that has any since `start`.

    Gives how many series that were.
    """
    rows = await conn.fetch(
        """
        WITH concerned AS (
            SELECT DISTINCT series_id FROM sample_block WHERE first_at >= $1 AND first_at < $2
        ), last AS (
            SELECT s.* FROM concerned c CROSS JOIN LATERAL (
                (SELECT series_id, first_at + o.ms * interval '1 millisecond' AS measured_at,
                        o.value, coalesce(o.label_set_id, b.label_set_id) AS label_set_id
                 FROM (SELECT * FROM sample_block b
                       WHERE b.series_id = c.series_id AND first_at >= $1 AND first_at < $2
                       ORDER BY first_at DESC LIMIT 2) b
                 CROSS JOIN unnest(offsets_ms, b.values, label_set_ids)
                            AS o(ms, value, label_set_id)
                 WHERE first_at + o.ms * interval '1 millisecond' < $2
                 ORDER BY measured_at DESC LIMIT 2)
                UNION ALL
                (SELECT series_id, measured_at, value, label_set_id FROM sample_floor f
                 WHERE f.series_id = c.series_id)
                ORDER BY measured_at DESC LIMIT 2
            ) s
        ), old AS (
            DELETE FROM sample_floor f USING concerned c WHERE f.series_id = c.series_id
              AND NOT EXISTS (SELECT FROM last WHERE last.series_id = f.series_id
                              AND last.measured_at = f.measured_at)
        ), new AS (
            INSERT INTO sample_floor (series_id, measured_at, value, label_set_id)
            SELECT series_id, measured_at, value, label_set_id FROM last
            ON CONFLICT (series_id, measured_at) DO NOTHING
        )
        SELECT count(*) AS series FROM concerned
        """,
        start,
        until,
    )
    return int(rows[0]["series"])


async def give_way(conn: Connection) -> None:
    """Let this transaction give up soon where someone reads what it would drop.

    A chunk is only dropped when nobody reads it; to wait for a long reader would keep all other
    readers, and rating, waiting behind us.
    """
    await conn.execute("SELECT set_config('lock_timeout', $1, true)", LOCK_TIMEOUT)


async def drop_samples(conn: Connection, until: datetime) -> None:
    """Drop all samples before `until`, which have their floors."""
    await conn.execute("UPDATE retention SET samples_dropped_until = $1", until)
    await conn.execute("SELECT drop_samples($1)", until)
    await conn.execute("DELETE FROM excluded_sample WHERE measured_at < $1", until)


async def first_unpriced_hour(conn: Connection, until: datetime) -> datetime | None:
    """Give the first hour before `until` whose usage is to be billed and has no price."""
    hour: datetime | None = await conn.fetchval(
        """
        SELECT min(u.hour) FROM usage u JOIN series s ON s.id = u.series_id
        WHERE u.hour < $1 AND u.open_kind IS NOT NULL AND u.quantity > 0
          AND (u.kind = 0 OR EXISTS (
              SELECT FROM settlement t
              WHERE t.project_id = s.project_id AND t.kind = u.kind AND t.verdict = 'bill'
                AND u.hour >= t.first_hour AND u.hour < t.end_hour))
        """,
        until,
    )
    return hour


async def sum_days(conn: Connection, start: datetime, until: datetime) -> int:
    """Sum the usage of these days that costs something per day, series and flavor; gives rows."""
    rows = await conn.fetch(
        """
        INSERT INTO daily_charge (project_id, day, meter_id, flavor_id, series_id, quantity,
                                  credits)
        SELECT s.project_id, date_trunc('day', u.hour, 'UTC'), s.meter_id, u.flavor_id,
               u.series_id, sum(u.quantity), sum(u.credits)
        FROM usage u JOIN series s ON s.id = u.series_id
        WHERE u.hour >= $1 AND u.hour < $2 AND u.credits IS NOT NULL AND u.quantity > 0
        GROUP BY s.project_id, date_trunc('day', u.hour, 'UTC'), s.meter_id, u.flavor_id,
                 u.series_id
        RETURNING 1
        """,
        start,
        until,
    )
    return len(rows)


async def drop_usage(conn: Connection, until: datetime) -> None:
    """Drop all hourly usage before `until`, which has its daily sums."""
    await conn.execute("UPDATE retention SET usage_dropped_until = $1", until)
    await conn.execute("SELECT drop_usage($1)", until)
