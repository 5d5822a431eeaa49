"""Writes a cloud of any size straight into a database, by SQL: for timing what reads it.

What rating and booking would have left is written as they leave it: hourly usage and charges of
`HOURLY_DAYS` in the order of time, older days as daily charges (the hourly usage of which was
dropped), all booked usage as sums by day and month. Entries are hourly for `ENTRY_DAYS` only, one
a day up to `HOURLY_DAYS` and one a month before: the pages read sums there, and two years of
hourly entries would not fit on a disk. Every step is one transaction and done once, so that a
run that was stopped goes on.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

DAYS = 730
HOURLY_DAYS = 60
ENTRY_DAYS = 7
SAMPLE_HOURS = 2
PROJECTS_AT_ONCE = 500
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# A gauge of 1 during an hour, in smallest steps: millionths times milliseconds.
HOUR_STEPS = 1_000_000 * 3_600_000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Size:
    """How many projects, and resources in all."""

    projects: int
    resources: int

    @property
    def resources_each(self) -> int:
        """Say how many resources a project has."""
        return max(self.resources // self.projects, 1)

    @property
    def hosts(self) -> int:
        """Say how many compute nodes there are."""
        return max(self.resources // 300, 3)

    @property
    def people(self) -> int:
        """Say how many people hear of projects."""
        return max(self.projects * 4 // 5, 5)


# Who logs in.
ADMINISTRATOR = "administrator@bench.example"
MANAGER = "manager@bench.example"
OWNER = "owner@bench.example"


def session_token(email: str) -> str:
    """Give the secret of an address's session; these databases are for timing only."""
    return hashlib.sha256(f"session of {email}".encode()).hexdigest()[:43]


# Everything that all others refer to. $1 projects, $2 resources each, $3 hosts, $4 people, $5 now.
BASE = (
    """
    INSERT INTO project (key, site, external_id, domain, name, created_at, named_at)
    SELECT sha256(i::text::bytea), 'site-' || i % 4, md5(i::text), 'domain-' || i % 20,
           (ARRAY['genome','plant','imaging','folding','climate','text','ocean','star','flood',
                  'cell'])[i % 10 + 1] || '-' ||
           (ARRAY['atlas','pathways','course','archive','models','mining','maps','survey'])
           [i / 10 % 8 + 1] || '-' || lpad(i::text, 5, '0'),
           $2::timestamptz - interval '731 days', $2::timestamptz
    FROM generate_series(1, $1::int) i ORDER BY i
    """,
    """
    CREATE TABLE bench.line AS
    SELECT p.id AS project_id, p.id AS number, m.id AS meter_id, f.id AS flavor_id,
           x.slot, r.credits_per_unit AS credits
    FROM project p
    CROSS JOIN (VALUES (0), (1), (2)) AS x (slot)
    JOIN meter m ON m.name = CASE WHEN x.slot < 2 THEN 'openstack_nova_server_status'
                                  ELSE 'openstack_cinder_volume_gb' END
    JOIN flavor f ON f.name = CASE WHEN x.slot < 2 THEN
        (ARRAY['m1.small','m1.medium','m1.large','m1.xlarge','g1.large'])
        [(p.id + x.slot) % 5 + 1] ELSE '' END
    LEFT JOIN price r ON r.meter_id = m.id AND coalesce(r.flavor_id, 0) = f.id
    """,
)


def floor_day(moment: datetime) -> datetime:
    """Give the start of the UTC day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


class Generator:
    """Fills one database; `conn` is a superuser's, so that triggers can be left out."""

    def __init__(self, conn: Any, size: Size, say: Say) -> None:
        self._conn = conn
        self._size = size
        self._say = say
        self._now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)

    async def fill(self) -> None:
        """Do all steps that were not done yet."""
        await self._conn.execute(
            """
            SET session_replication_role = replica; SET synchronous_commit = off;
            SET work_mem = '256MB'; SET maintenance_work_mem = '1GB'; SET timezone = 'UTC';
            SET max_parallel_workers_per_gather = 0;
            CREATE SCHEMA IF NOT EXISTS bench;
            CREATE TABLE IF NOT EXISTS bench.done (step text PRIMARY KEY, seconds float8);
            CREATE TABLE IF NOT EXISTS bench.clock (now timestamptz);
            """
        )
        kept = await self._conn.fetchval("SELECT now FROM bench.clock")
        if kept is None:
            await self._conn.execute("INSERT INTO bench.clock VALUES ($1)", self._now)
        else:
            self._now = kept
        for name, work in self._steps():
            await self._step(name, work)
        if not await self._is_done("vacuum"):
            await self._conn.execute("VACUUM (ANALYZE)")
            await self._conn.execute("INSERT INTO bench.done VALUES ('vacuum', 0)")

    def _steps(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        today = floor_day(self._now)
        hourly = [today - DAY * count for count in range(HOURLY_DAYS - 1, -1, -1)]
        daily = [today - DAY * count for count in range(DAYS - 1, HOURLY_DAYS - 1, -1)]
        return [
            ("projects", self._projects),
            ("resources", self._resources),
            ("people", self._people),
            ("without indexes", self._drop_indexes),
            *((f"usage {day:%F}", self._usage_of(day)) for day in hourly),
            *((f"daily charges {day:%F}", self._daily_charges_of(day)) for day in daily),
            *((f"charges {day:%F}", self._charges_of(day)) for day in hourly),
            *((f"index {number}", self._index(text)) for number, text in enumerate(MADE)),
            ("booked usage", self._booked_usage),
            *(
                (f"entries from {first}", self._entries_of(first))
                for first in range(1, self._size.projects + 1, PROJECTS_AT_ONCE)
            ),
            ("samples", self._samples),
            ("hosts", self._hosts),
            *((f"daily usage {day:%F}", self._daily_usage_of(day)) for day in hourly[:-1]),
            ("figures", self._figures),
        ]

    async def _step(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        if await self._is_done(name):
            return
        started = time.monotonic()
        async with self._conn.transaction():
            await work()
            seconds = time.monotonic() - started
            await self._conn.execute("INSERT INTO bench.done VALUES ($1, $2)", name, seconds)
        self._say(f"{name}: {seconds:.1f} s")

    async def _is_done(self, name: str) -> bool:
        found = await self._conn.fetchval("SELECT true FROM bench.done WHERE step = $1", name)
        return found is not None

    async def _run(self, statements: Sequence[str], *arguments: object) -> None:
        for statement in statements:
            await self._conn.execute(_written(statement, arguments))

    async def _projects(self) -> None:
        await self._run(BASE, self._size.projects, self._now)
        await self._run(ORGANISATIONS, self._size.projects, self._now)

    async def _resources(self) -> None:
        await self._run(RESOURCES, self._size.resources_each, self._size.hosts, self._now)

    async def _people(self) -> None:
        await self._run(PEOPLE, self._size.people, self._now)
        for number, email in enumerate((ADMINISTRATOR, MANAGER, OWNER)):
            login_id = await self._conn.fetchval(
                "INSERT INTO login (email, name, is_administrator) VALUES ($1, $2, $3) "
                "RETURNING id",
                email,
                email.partition("@")[0].title(),
                number == 0,
            )
            await self._conn.execute(
                """
                INSERT INTO session (login_id, digest, expires_at)
                VALUES ($1, sha256(convert_to($2, 'UTF8')), now() + interval '7 days')
                """,
                login_id,
                session_token(email),
            )
        await self._run(ROLES, MANAGER, OWNER, self._now)

    async def _drop_indexes(self) -> None:
        await self._run(DROPPED)

    def _index(self, statement: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            # As a replica TimescaleDB would leave the chunks without it.
            await self._conn.execute("SET LOCAL session_replication_role = origin")
            await self._run([statement])

        return work

    def _usage_of(self, day: datetime) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            for number in range(24):
                hour = day + HOUR * number
                if hour < self._now:
                    chunk = await self._conn.fetchval(CHUNK, hour)
                    statement = USAGE.replace("INTO usage", f"INTO {chunk or 'usage'}")
                    await self._run([statement], hour, _is_office(hour), HOUR_STEPS)

        return work

    def _daily_usage_of(self, day: datetime) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            await self._run([DAILY_USAGE], day)

        return work

    def _charges_of(self, day: datetime) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            for number in range(24):
                hour = day + HOUR * number
                if hour < self._now:
                    is_booked = hour < self._now - HOUR
                    await self._run([CHARGE], hour, _is_office(hour), is_booked)

        return work

    def _daily_charges_of(self, day: datetime) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            await self._run([DAILY_CHARGE], day, day.weekday() < 5, HOUR_STEPS)  # noqa: PLR2004

        return work

    async def _booked_usage(self) -> None:
        first = floor_day(self._now) - DAY * (DAYS - 1)
        await self._run(BOOKED_USAGE, first, self._now - HOUR)

    def _entries_of(self, first: int) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            today = floor_day(self._now)
            await self._run(
                [ENTRIES],
                first,
                first + PROJECTS_AT_ONCE,
                self._now - HOUR,
                today - DAY * ENTRY_DAYS,
                today - DAY * HOURLY_DAYS,
            )

        return work

    async def _samples(self) -> None:
        await self._run([SAMPLES], self._now, SAMPLE_HOURS)

    async def _hosts(self) -> None:
        first = floor_day(self._now) - DAY * (DAYS - 1)
        await self._run(HOSTS, first, self._now, HOUR_STEPS)

    async def _figures(self) -> None:
        await self._run(FIGURES, self._now)


def _written(statement: str, arguments: Sequence[object]) -> str:
    """Write our own figures into a statement: not every kind of statement takes arguments."""

    def text(match: re.Match[str]) -> str:
        value = arguments[int(match[1]) - 1]
        return str(value) if isinstance(value, (bool, int)) else f"'{value}'::text"

    return re.sub(r"\$(\d)", text, statement).replace("'::text::timestamptz", "'::timestamptz")


def _is_office(hour: datetime) -> bool:
    return hour.weekday() < 5 and 8 <= hour.hour < 18  # noqa: PLR2004


# 20 programs with 10 institutes of 10 groups; $1 projects, $2 now.
ORGANISATIONS = (
    """
    INSERT INTO organisation (name)
    SELECT 'Program ' || lpad(i::text, 2, '0') FROM generate_series(0, 19) i ORDER BY i
    """,
    """
    INSERT INTO organisation (name)
    SELECT 'Institute ' || lpad(i::text, 3, '0') FROM generate_series(0, 199) i ORDER BY i
    """,
    """
    INSERT INTO organisation (name)
    SELECT 'Group ' || lpad(i::text, 4, '0') FROM generate_series(0, 1999) i ORDER BY i
    """,
    """
    INSERT INTO organisation_place (organisation_id, parent_id, valid_from, author, reason)
    SELECT c.id, p.id, date_trunc('day', $2::timestamptz, 'UTC') - interval '731 days', 'bench',
           'as it was'
    FROM generate_series(0, 1999) i
    JOIN organisation c ON c.name = 'Group ' || lpad(i::text, 4, '0')
    JOIN organisation p ON p.name = 'Institute ' || lpad((i / 10)::text, 3, '0')
    ORDER BY c.id
    """,
    """
    INSERT INTO organisation_place (organisation_id, parent_id, valid_from, author, reason)
    SELECT c.id, p.id, date_trunc('day', $2::timestamptz, 'UTC') - interval '731 days', 'bench',
           'as it was'
    FROM generate_series(0, 199) i
    JOIN organisation c ON c.name = 'Institute ' || lpad(i::text, 3, '0')
    JOIN organisation p ON p.name = 'Program ' || lpad((i / 10)::text, 2, '0')
    ORDER BY c.id
    """,
    """
    INSERT INTO membership (project_id, organisation_id, valid_from, author, reason)
    SELECT p.id, o.id, date_trunc('day', $2::timestamptz, 'UTC') - interval '731 days', 'bench',
           'as it was'
    FROM project p
    JOIN organisation o ON o.name = 'Group ' || lpad((p.id % 2000)::text, 4, '0')
    ORDER BY p.id
    """,
    """
    INSERT INTO budget (organisation_id, amount, valid_from, reason, author, idempotency_key,
                        digest)
    SELECT o.id, 1e9, date_trunc('day', $2::timestamptz, 'UTC') - interval '300 days', 'this year',
           'bench', 'bench budget ' || o.id, ''
    FROM organisation o WHERE o.name LIKE 'Program %' ORDER BY o.id
    """,
)

# $1 resources each, $2 hosts, $3 now. Servers 0 to 6 of a project, volumes from 7 on; servers 4
# to 6 run in office hours only.
RESOURCES = (
    """
    INSERT INTO host (name, region, provider, key)
    SELECT 'compute-' || lpad(i::text, 4, '0'), 'region-' || i % 6,
           CASE WHEN i % 6 < 4 THEN 'openstack' ELSE 'aws' END,
           sha256(convert_to(jsonb_build_array('compute-' || lpad(i::text, 4, '0'),
               'region-' || i % 6, CASE WHEN i % 6 < 4 THEN 'openstack' ELSE 'aws' END)::text,
               'UTF8'))
    FROM generate_series(1, $2::int) i
    ORDER BY i
    """,
    """
    CREATE TABLE bench.resource AS
    SELECT row_number() OVER (ORDER BY l.project_id, r) AS id, l.project_id, l.meter_id,
           l.flavor_id, r AS number,
           CASE WHEN r < 7 THEN md5(l.project_id || '/' || r)::uuid::text
                ELSE md5('v' || l.project_id || '/' || r)::uuid::text END AS resource,
           r NOT BETWEEN 4 AND 6 AS is_always,
           CASE WHEN r < 7 THEN 1 ELSE 50 * (r + l.project_id % 20) END AS level,
           round(l.credits * CASE WHEN r < 7 THEN 1 ELSE 50 * (r + l.project_id % 20) END, 6)
               AS credits,
           (l.project_id * 7 + r) % $2::int + 1 AS host_id
    FROM generate_series(0, $1::int - 1) r
    JOIN bench.line l ON l.slot = CASE WHEN r < 7 THEN r % 2 ELSE 2 END
    """,
    "ALTER TABLE bench.resource ADD PRIMARY KEY (id)",
    """
    INSERT INTO series (id, meter_id, project_id, resource, identity, key, created_at)
    OVERRIDING SYSTEM VALUE
    SELECT id, meter_id, project_id, resource, '{}', sha256(resource::bytea),
           $3::timestamptz - interval '730 days'
    FROM bench.resource ORDER BY id
    """,
    """
    INSERT INTO label_set (id, meter_version_id, series_id, flavor_id, fits, project_name, labels,
                           key, created_at)
    OVERRIDING SYSTEM VALUE
    SELECT r.id, v.id, r.id, r.flavor_id, true, p.name,
           jsonb_build_object('__name__', m.name, 'id', r.resource, 'name',
               CASE WHEN r.number < 7 THEN 'server-' ELSE 'volume-' END || r.number,
               'status', CASE WHEN r.number < 7 THEN 'ACTIVE' ELSE 'in-use' END,
               'hypervisor_hostname', h.name, 'region', h.region, 'provider', h.provider,
               'tenant_id', p.external_id, 'project_name', p.name, 'location_id', p.site),
           sha256(convert_to('l' || r.id, 'UTF8')), $3::timestamptz - interval '730 days'
    FROM bench.resource r JOIN project p ON p.id = r.project_id JOIN meter m ON m.id = r.meter_id
    JOIN meter_version v ON v.meter_id = m.id JOIN host h ON h.id = r.host_id
    ORDER BY r.id
    """,
    """
    INSERT INTO whereabouts (series_id, hour, host_id, state)
    SELECT r.id, date_trunc('day', $3::timestamptz, 'UTC') - w * interval '70 days',
           (r.host_id + w * 11) % $2::int + 1, 'ACTIVE'
    FROM bench.resource r CROSS JOIN generate_series(1, 10) w
    WHERE r.number < 7 ORDER BY 1, 2
    """,
    """
    CREATE TABLE bench.hourly AS
    SELECT project_id, meter_id, flavor_id,
           sum(credits) FILTER (WHERE is_always) AS always,
           coalesce(sum(credits) FILTER (WHERE NOT is_always), 0) AS office
    FROM bench.resource GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """,
    "SELECT setval(pg_get_serial_sequence('series', 'id'), (SELECT max(id) FROM series))",
    "SELECT setval(pg_get_serial_sequence('label_set', 'id'), (SELECT max(id) FROM label_set))",
    "ANALYZE bench.resource, bench.hourly, series, label_set, project, organisation, membership",
)

# $1 people, $2 now.
PEOPLE = (
    """
    INSERT INTO project_owner (project_id, email, name, role)
    SELECT p.id, 'person-' || x.who || '@bench.example', 'Person ' || x.who,
           CASE WHEN x.n < 2 THEN 'owner' ELSE 'member' END
    FROM project p CROSS JOIN LATERAL (
        SELECT n, (p.id * 13 + n * 101) % $1::int AS who FROM generate_series(0, 4) n
    ) x
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO login (email, name)
    SELECT 'person-' || i || '@bench.example', 'Person ' || i
    FROM generate_series(0, $1::int - 1) i ORDER BY i
    """,
    """
    INSERT INTO audit (made_at, actor, via, subject, action, project_id, details)
    SELECT $2::timestamptz - i * interval '5 minutes', 'Person ' || i % $1::int, 'page',
           'project_owner', 'insert', i % (SELECT max(id) FROM project) + 1,
           jsonb_build_object('name', 'Person ' || i)
    FROM generate_series(20 * $1::int, 0, -1) i
    """,
)

# $1 the manager's address, $2 the owner's, $3 now.
ROLES = (
    """
    INSERT INTO manager (organisation_id, email, author)
    SELECT id, $1, 'bench' FROM organisation
    WHERE name LIKE 'Program %' ORDER BY id
    """,
    """
    INSERT INTO project_owner (project_id, email, name)
    SELECT id, $2, 'Owner' FROM project
    WHERE id % greatest((SELECT max(id) FROM project) / 5, 1) = 1
    """,
)

DROPPED = (
    "DROP INDEX IF EXISTS usage_hour",
    "DROP INDEX IF EXISTS usage_open",
    "DROP INDEX IF EXISTS usage_unsettled",
    "DROP INDEX IF EXISTS usage_unpriced",
    "ALTER TABLE usage DROP CONSTRAINT usage_pkey",
    "ALTER TABLE daily_charge DROP CONSTRAINT daily_charge_pkey",
    "DROP INDEX IF EXISTS daily_charge_day",
    "ALTER TABLE charge DROP CONSTRAINT charge_pkey",
    "DROP INDEX IF EXISTS charge_tally",
)
MADE = (
    "ALTER TABLE usage ADD PRIMARY KEY (series_id, hour, flavor_id, kind)",
    "CREATE INDEX usage_hour ON usage (hour, series_id)",
    "CREATE INDEX usage_open ON usage (series_id, hour) WHERE open_kind IS NOT NULL",
    "CREATE INDEX usage_unsettled ON usage (series_id, hour) WHERE open_kind > 0",
    "CREATE INDEX usage_unpriced ON usage (hour) WHERE open_kind = 0",
    """
    ALTER TABLE daily_charge ADD PRIMARY KEY (project_id, day, flavor_id, series_id)
        INCLUDE (meter_id, quantity, credits)
    """,
    "CREATE INDEX daily_charge_day ON daily_charge (day)",
    "ALTER TABLE charge ADD PRIMARY KEY (project_id, hour, meter_id, flavor_id)",
    """
    CREATE INDEX charge_tally ON charge (project_id, hour) INCLUDE (charged, booked, differs_since)
    WHERE charged <> booked
    """,
)

# $1 hour, $2 whether offices are open, $3 steps of an hour. One resource in a thousand has no
# price, and one in five hundred was not measured in some hour.
USAGE = """
    INSERT INTO usage (series_id, hour, flavor_id, kind, quantity, credits)
    SELECT id, $1::timestamptz, flavor_id,
           CASE WHEN (id + extract(epoch FROM $1::timestamptz)::bigint / 3600) % 9973 = 0
                THEN 2 ELSE 0 END,
           level * $3::bigint,
           CASE WHEN (id + extract(epoch FROM $1::timestamptz)::bigint / 3600) % 9973 = 0
                THEN NULL ELSE credits END
    FROM bench.resource WHERE is_always OR $2::boolean
"""
# Where the hours around an hour lie; to write there directly takes half the time.
CHUNK = """
    SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks
    WHERE hypertable_name = 'usage' AND range_start <= $1 AND range_end > $1
"""
CHARGE = """
    INSERT INTO charge (project_id, hour, meter_id, flavor_id, charged, booked, differs_since,
                        changed_at)
    SELECT project_id, $1::timestamptz, meter_id, flavor_id, c.amount,
           CASE WHEN $3::boolean THEN c.amount ELSE 0 END, $1::timestamptz,
           $1::timestamptz + interval '1 hour'
    FROM bench.hourly
    CROSS JOIN LATERAL (SELECT always + CASE WHEN $2::boolean THEN office ELSE 0 END) c (amount)
"""
# $1 day, $2 whether offices were open, $3 steps of an hour.
DAILY_CHARGE = """
    INSERT INTO daily_charge (project_id, day, meter_id, flavor_id, series_id, quantity, credits)
    SELECT project_id, $1::timestamptz, meter_id, flavor_id, id, level * $3::bigint * h.hours,
           credits * h.hours
    FROM bench.resource
    CROSS JOIN LATERAL (SELECT CASE WHEN is_always THEN 24 ELSE 10 END) h (hours)
    WHERE is_always OR $2::boolean
"""
# $1 first day, $2 booked until. The last day is booked as far as it is over.
BOOKED_USAGE = (
    """
    INSERT INTO booked_usage (project_id, length, start, meter_id, flavor_id, amount)
    SELECT h.project_id, 'day', d, h.meter_id, h.flavor_id,
           h.always * least(24, extract(epoch FROM $2::timestamptz - d) / 3600)
           + h.office * CASE WHEN extract(isodow FROM d) > 5 THEN 0
             ELSE greatest(least(extract(epoch FROM $2::timestamptz - d) / 3600, 18) - 8, 0) END
    FROM generate_series($1::timestamptz, $2::timestamptz - interval '1 hour',
                         interval '24 hours') d
    CROSS JOIN bench.hourly h
    """,
    """
    INSERT INTO booked_usage (project_id, length, start, meter_id, flavor_id, amount)
    SELECT project_id, 'month', date_trunc('month', start, 'UTC'), meter_id, flavor_id, sum(amount)
    FROM booked_usage WHERE length = 'day'
    GROUP BY 1, 3, 4, 5 ORDER BY 3, 1
    """,
)
# $1 first project, $2 the one after the last, $3 booked until, $4 hourly since, $5 daily since.
ENTRIES = """
    WITH given AS (
        INSERT INTO project_grant (project_id, amount, reason, author, idempotency_key, valid_from,
                                   expires_at, priority)
        SELECT p.id, ceil(u.used * x.share), x.reason, 'bench', 'bench ' || x.n || ' ' || p.id,
               date_trunc('day', $3::timestamptz, 'UTC') - x.days * interval '1 day',
               CASE WHEN x.n = 2 THEN
                   date_trunc('day', $3::timestamptz, 'UTC') + interval '60 days' END, 3 - x.n
        FROM project p
        CROSS JOIN LATERAL (
            SELECT sum(amount) AS used FROM booked_usage
            WHERE project_id = p.id AND length = 'month'
        ) u
        CROSS JOIN (VALUES (0, 731, 0.5, 'First budget'), (1, 300, 0.4, 'Second budget'),
                           (2, 40, 0.2, 'Until the report')) AS x (n, days, share, reason)
        WHERE p.id >= $1 AND p.id < $2
        RETURNING id, project_id, amount, reason, valid_from
    ), line AS (
        SELECT project_id, 'grant' AS kind, amount, NULL::int AS meter_id, NULL::int AS flavor_id,
               valid_from AS hour, id AS grant_id, reason, 'grant:' || id AS key
        FROM given
        UNION ALL
        SELECT project_id, 'usage', -charged, meter_id, flavor_id, hour, NULL, '', 'usage:' ||
               project_id || ':' || meter_id || ':' || flavor_id || ':' || hour
        FROM charge
        WHERE project_id >= $1 AND project_id < $2 AND charged <> 0
          AND hour >= $4::timestamptz AND hour < $3::timestamptz
        UNION ALL
        SELECT project_id, 'usage', -sum(amount), meter_id, flavor_id, at, NULL, '',
               'usage:' || project_id || ':' || meter_id || ':' || flavor_id || ':' || at
        FROM booked_usage
        CROSS JOIN LATERAL (
            SELECT CASE WHEN start >= $5::timestamptz THEN start
                        ELSE date_trunc('month', start, 'UTC') END
        ) t (at)
        WHERE project_id >= $1 AND project_id < $2 AND length = 'day' AND start < $4::timestamptz
        GROUP BY project_id, meter_id, flavor_id, at HAVING sum(amount) <> 0
    )
    INSERT INTO entry (project_id, sequence, kind, amount, balance, meter_id, flavor_id, hour,
                       grant_id, reason, author, entry_key, booked_at, previous_hash, hash)
    SELECT project_id, row_number() OVER w, kind, amount, sum(amount) OVER w, meter_id, flavor_id,
           hour, grant_id, reason, 'os_credits', key, hour + interval '75 minutes',
           sha256(key::bytea), sha256(key::bytea)
    FROM line WINDOW w AS (PARTITION BY project_id ORDER BY hour, key)
    ORDER BY hour, project_id
"""
# $1 now, $2 hours.
SAMPLES = """
    INSERT INTO sample_block (series_id, first_at, last_at, label_set_id, offsets_ms, "values")
    SELECT r.id, b.first_at, b.last_at, r.id, b.offsets_ms,
           array_fill(r.level::float8, ARRAY[cardinality(b.offsets_ms)])
    FROM (
        SELECT first_at, max(t) AS last_at,
               array_agg((extract(epoch FROM t - first_at) * 1000)::int ORDER BY t) AS offsets_ms
        FROM (
            SELECT t, min(t) OVER (PARTITION BY date_trunc('hour', t, 'UTC')) AS first_at
            FROM generate_series(
                $1::timestamptz - $2::int * interval '1 hour',
                $1::timestamptz, interval '5 minutes') t
        ) g GROUP BY first_at
    ) b
    CROSS JOIN bench.resource r WHERE r.is_always
"""
# $1 day, of the present one nothing.
DAILY_USAGE = """
    INSERT INTO daily_usage (series_id, day, flavor_id, host_id, quantity, unpriced, free,
                             undecided, credits)
    SELECT u.series_id, $1::timestamptz, u.flavor_id,
           CASE WHEN r.number < 7 THEN r.host_id ELSE 0 END,
           coalesce(sum(u.quantity) FILTER (WHERE u.credits IS NOT NULL), 0),
           coalesce(sum(u.quantity) FILTER (WHERE u.credits IS NULL AND u.kind = 0), 0), 0,
           coalesce(sum(u.quantity) FILTER (WHERE u.credits IS NULL AND u.kind <> 0), 0),
           coalesce(sum(u.credits), 0)
    FROM usage u JOIN bench.resource r ON r.id = u.series_id
    WHERE u.hour >= $1::timestamptz AND u.hour < $1::timestamptz + interval '24 hours'
    GROUP BY 1, 3, 4 ORDER BY 4, 1
"""
# $1 first day, $2 now, $3 steps of an hour.
HOSTS = (
    """
    INSERT INTO host_usage (length, start, host_id, meter_id, flavor_id, quantity, credits,
                            resource_count)
    SELECT 'day', d, h.host_id, h.meter_id, h.flavor_id, h.quantity * 24, h.credits * 24,
           h.resource_count
    FROM generate_series($1::timestamptz, $2::timestamptz, interval '24 hours') d
    CROSS JOIN (
        SELECT CASE WHEN number < 7 THEN host_id ELSE 0 END AS host_id, meter_id, flavor_id,
               sum(level) * $3::bigint AS quantity, sum(credits) AS credits,
               count(*) AS resource_count
        FROM bench.resource GROUP BY 1, 2, 3
    ) h
    """,
    """
    INSERT INTO host_usage (length, start, host_id, meter_id, flavor_id, quantity, credits,
                            resource_count)
    SELECT 'month', date_trunc('month', start, 'UTC'), host_id, meter_id, flavor_id,
           sum(quantity), sum(credits), sum(resource_count)
    FROM host_usage WHERE length = 'day' GROUP BY 2, 3, 4, 5
    """,
    """
    INSERT INTO host_usage (length, start, host_id, meter_id, flavor_id, quantity, credits,
                            resource_count)
    SELECT 'third', date_trunc('month', start, 'UTC') + interval '10 days'
               * least((extract(day FROM start)::int - 1) / 10, 2),
           host_id, meter_id, flavor_id, sum(quantity), sum(credits), sum(resource_count)
    FROM host_usage WHERE length = 'day' GROUP BY 2, 3, 4, 5
    """,
    """
    INSERT INTO summed_day (day, changed_count, summed_count, summed_at)
    SELECT d, 1, 1, least(d + interval '1 day', $2::timestamptz)
    FROM generate_series($1::timestamptz, $2::timestamptz, interval '24 hours') d
    ON CONFLICT (day) DO UPDATE SET summed_count = 1, changed_count = 1
    """,
)
# $1 now. What jobs keep at hand.
FIGURES = (
    """
    INSERT INTO project_figure (project_id, balance, granted_now, used)
    SELECT p.id, e.balance, g.granted, g.granted - e.balance
    FROM project p
    CROSS JOIN LATERAL (
        SELECT balance FROM entry WHERE project_id = p.id ORDER BY sequence DESC LIMIT 1
    ) e
    CROSS JOIN LATERAL (
        SELECT sum(amount) AS granted FROM project_grant WHERE project_id = p.id
    ) g
    """,
    """
    INSERT INTO notice (project_id, percent, balance, granted, created_at, line, value, facts)
    SELECT f.project_id, x.line, f.balance, f.granted_now,
           $1::timestamptz - x.line * interval '1 day', x.line, x.line, '{"burned": []}'
    FROM project_figure f CROSS JOIN (VALUES (50), (20)) AS x (line)
    """,
    "UPDATE rating_state SET closed_until = $1::timestamptz - interval '1 hour'",
    """
    UPDATE retention SET samples_announced_until = d.day, samples_dropped_until = d.day,
        usage_dropped_until = d.day
    FROM (SELECT date_trunc('day', min(hour), 'UTC') AS day FROM usage) d
    """,
)
