"""Writes years of history behind series that are stored already, as the service leaves it.

Hourly samples, usage, charges and entries of two counters of each project, everything kept, and
the sums by day that the service's own job and trigger make of them. Only the hashes of the
entries are made up: what is timed here never looks at more than the head of a chain.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from os_credits.flows.day_sums import sum_due_days
from os_credits.store.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

YEAR_DAYS = 365.25
# One transaction holds a lock for each chunk that it makes, so it makes so many days.
STRETCH = timedelta(days=70)
HOUR = timedelta(hours=1)
# Written without their keys into others and without indexes, which are made anew at the end.
BARE = ("entry", "charge")

# Which series have a past, numbered within their project; each used `credits` in every hour.
LINES = """
CREATE SCHEMA IF NOT EXISTS bench;
CREATE TABLE bench.line AS
SELECT s.id AS series_id, l.id AS label_set_id, s.project_id, s.meter_id,
       row_number() OVER w AS number, count(*) OVER (PARTITION BY s.project_id) AS line_count,
       round(0.24 * p.credits_per_unit * (1 + s.project_id % 5), 6) AS credits
FROM series s JOIN label_set l ON l.series_id = s.id JOIN meter m ON m.id = s.meter_id
JOIN price p ON p.meter_id = m.id
WHERE m.name IN ('project_vcpu_usage', 'project_mb_usage')
WINDOW w AS (PARTITION BY s.project_id ORDER BY s.meter_id)
"""
# $1 the first hour, $2 hours in all. One grant at the beginning that all of it does not use up.
GRANTS = """
WITH given AS (
    INSERT INTO project_grant (project_id, amount, reason, author, idempotency_key, valid_from)
    SELECT project_id, ceil(2 * sum(credits) * $2::int), 'for years', 'bench',
           'bench ' || project_id, $1::timestamptz
    FROM bench.line GROUP BY project_id ORDER BY project_id
    RETURNING id, project_id, amount
)
INSERT INTO entry (project_id, sequence, kind, amount, balance, hour, grant_id, reason, author,
                   entry_key, booked_at, previous_hash, hash)
SELECT project_id, 1, 'grant', amount, amount, $1::timestamptz, id, 'for years', 'bench',
       'grant:' || id, $1::timestamptz, sha256(''), sha256(id::text::bytea)
FROM given
"""
# From here on $1 and $2 are the first hour of a stretch and the one behind its last.
USAGE = """
INSERT INTO usage (series_id, hour, flavor_id, kind, quantity, credits)
SELECT l.series_id, h, 0, 0, 240000 * (1 + l.project_id % 5), l.credits
FROM generate_series($1::timestamptz, $2::timestamptz - interval '1 hour', interval '1 hour') h
CROSS JOIN bench.line l
"""
# $3 is the very first hour.
ENTRIES = """
INSERT INTO entry (project_id, sequence, kind, amount, balance, meter_id, flavor_id, hour, reason,
                   author, entry_key, booked_at, previous_hash, hash)
SELECT l.project_id, 1 + n * l.line_count + l.number, 'usage', -l.credits,
       g.amount - n * c.credits
       - sum(l.credits) OVER (PARTITION BY l.project_id, h ORDER BY l.number),
       l.meter_id, 0, h, '', 'os_credits',
       'charge:' || l.project_id || ':' || l.meter_id || ':0:' || to_char(h, 'YYYYMMDDHH24'),
       h + interval '75 minutes', sha256((n || ' ' || l.series_id)::bytea),
       sha256((n + 1 || ' ' || l.series_id)::bytea)
FROM generate_series($1::timestamptz, $2::timestamptz - interval '1 hour', interval '1 hour') h
CROSS JOIN LATERAL (SELECT (extract(epoch FROM h - $3::timestamptz) / 3600)::bigint) x (n)
CROSS JOIN bench.line l JOIN project_grant g USING (project_id)
JOIN (SELECT project_id, sum(credits) AS credits FROM bench.line GROUP BY 1) c USING (project_id)
ORDER BY h, l.project_id, l.number
"""
CHARGES = """
INSERT INTO charge (project_id, hour, meter_id, flavor_id, charged, booked, differs_since,
                    changed_at, entry_id)
SELECT project_id, hour, meter_id, flavor_id, -amount, -amount, hour, booked_at, id
FROM entry WHERE meter_id IS NOT NULL ORDER BY id
"""
DAYS = """
INSERT INTO summed_day (day, changed_count)
SELECT d, 1 FROM generate_series(date_trunc('day', $1::timestamptz, 'UTC'),
                                 $2::timestamptz - interval '1 hour', interval '24 hours') d
ON CONFLICT (day) DO UPDATE SET changed_count = summed_day.changed_count + 1
"""
# A block for each series and day.
SAMPLE_BLOCKS = """
INSERT INTO sample_block (series_id, first_at, last_at, label_set_id, offsets_ms, "values")
SELECT l.series_id, b.hours[1], b.hours[cardinality(b.hours)], l.label_set_id, b.offsets_ms,
       b."values"
FROM (
    SELECT array_agg(h ORDER BY h) AS hours,
           array_agg((extract(epoch FROM h - first_at) * 1000)::int ORDER BY h) AS offsets_ms,
           array_agg((extract(epoch FROM h) / 36000)::float8 ORDER BY h) AS "values"
    FROM (
        SELECT h, min(h) OVER (PARTITION BY date_trunc('day', h, 'UTC')) AS first_at
        FROM generate_series($1::timestamptz, $2::timestamptz - interval '1 hour',
                             interval '1 hour') h
    ) t GROUP BY first_at
) b
CROSS JOIN bench.line l
"""
CLOSED = "UPDATE rating_state SET closed_until = $1, writer = NULL, epoch = epoch + 1"


async def write_past(conn: Any, service_url: str, *, years: float, end: datetime) -> None:
    """Write the `years` up to before the hour `end`; `conn` is the owner's."""
    hours = int(years * YEAR_DAYS * 24)
    start = end - hours * HOUR
    await conn.execute("SET synchronous_commit = off; SET timezone = 'UTC'; SET work_mem = '64MB'")
    async with _bare(conn):
        await conn.execute(LINES)
        await conn.execute(GRANTS, start, hours)
        first = start
        while first < end:
            until = min(first + STRETCH, end)
            for statement in (SAMPLE_BLOCKS, USAGE):
                await conn.execute(statement, first, until)
            await conn.execute(ENTRIES, first, until, start)
            first = until
        await conn.execute(CHARGES)
    await conn.execute(DAYS, start, end)
    await conn.execute(CLOSED, end)
    pool = await open_pool(service_url, connections_max=2, statement_timeout_seconds=300)
    await sum_due_days(pool)
    await pool.close()


@asynccontextmanager
async def _bare(conn: Any) -> AsyncIterator[None]:
    """Take away keys and indexes of the large plain tables, and make them again."""
    made: list[str] = []
    for table in BARE:
        rules = await conn.fetch(
            "SELECT conname, pg_get_constraintdef(oid) AS text FROM pg_constraint c "
            "WHERE conrelid = $1::regclass AND contype IN ('f', 'c', 'u') AND NOT EXISTS "
            "(SELECT FROM pg_constraint WHERE conindid = c.conindid AND contype = 'f' "
            " AND c.contype = 'u')",
            table,
        )
        indexes = await conn.fetch(
            "SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS text "
            "FROM pg_index i WHERE i.indrelid = $1::regclass AND NOT EXISTS "
            "(SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND conrelid = i.indrelid)",
            table,
        )
        for one in rules:
            await conn.execute(f"ALTER TABLE {table} DROP CONSTRAINT {one['conname']}")
            made.append(f"ALTER TABLE {table} ADD CONSTRAINT {one['conname']} {one['text']}")
        for one in indexes:
            await conn.execute(f"DROP INDEX {one['name']}")
            made.append(one["text"])
    yield
    await conn.execute("SET maintenance_work_mem = '512MB'")
    for statement in reversed(made):
        await conn.execute(statement)
