"""Table `host_usage` as people ask for it: by host, region or provider, and one host's days."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection

# Length, start, end: whole months or days (`domain/stretch.py`).
Piece = tuple[str, "datetime", "datetime"]
# The value by which it is sorted, then host, region and provider, of the last line before.
After = tuple["Decimal", str, str, str]


# Of which database, when its days were summed last and how often, and the latest flavor described.
Fingerprint = tuple["str | datetime | Decimal | int | None", ...]


@dataclass(frozen=True, slots=True)
class HostQuery:
    """Which pieces of time to sum, in which lines.

    `steps_of` says of the meters that count servers how many steps make an hour of one: some
    power of ten of each other.
    """

    pieces: tuple[Piece, ...]
    by: str
    sort: str
    meter_id: int | None
    steps_of: tuple[tuple[int, int], ...]
    after: After | None
    limit: int


@dataclass(frozen=True, slots=True)
class HostSum:
    """What was used on a host, or on all of a region or provider (`host_id` None then).

    Hours are made of what flavors consist of, None where none of them is described;
    `resource_days` counts each metered thing once for each day, meter and flavor. `quantity` is
    in the smallest steps, and means something for a single meter only.
    """

    host_id: int | None
    host: str
    region: str
    provider: str
    quantity: int
    credits: Credits
    vcpu_hours: Decimal | None
    ram_gib_hours: Decimal | None
    disk_gib_hours: Decimal | None
    resource_days: int
    rank: Decimal


@dataclass(frozen=True, slots=True)
class HostTotals:
    """All lines together, and how many there are."""

    line_count: int
    credits: Credits
    quantity: int
    vcpu_hours: Decimal
    ram_gib_hours: Decimal
    disk_gib_hours: Decimal
    resource_days: int


@dataclass(frozen=True, slots=True)
class HostDay:
    """What was used on a host on a UTC day."""

    day: datetime
    credits: Credits
    vcpu_hours: Decimal | None
    ram_gib_hours: Decimal | None
    resource_count: int


@dataclass(frozen=True, slots=True)
class HostResource:
    """What a metered thing has used while it was on a host."""

    series_id: int
    project_id: int
    meter_id: int
    flavor_id: int
    resource: str
    quantity: int
    credits: Credits
    first_day: datetime
    last_day: datetime


_SUMS = """
WITH piece AS (
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[])
                  AS p(length, start, "end")
), summed AS MATERIALIZED (
    SELECT u.host_id, u.meter_id, u.flavor_id, sum(u.quantity) AS quantity,
           sum(u.credits) AS credits, sum(u.resource_count) AS resource_days
    FROM piece p CROSS JOIN LATERAL (
        SELECT * FROM host_usage
        WHERE length = p.length AND start >= p.start AND start < p."end"
          AND ($4::int IS NULL OR meter_id = $4)
        OFFSET 0  -- so that each piece is found by the index
    ) u
    GROUP BY u.host_id, u.meter_id, u.flavor_id
), weight AS MATERIALIZED (
    SELECT c.meter_id, f.flavor_id, f.vcpus * c.factor AS vcpus,
           f.ram_gib * c.factor AS ram_gib, f.disk_gib * c.factor AS disk_gib
    FROM unnest($5::int[], $6::numeric[]) AS c(meter_id, factor)
    CROSS JOIN (
        SELECT DISTINCT ON (flavor_id) flavor_id, vcpus, ram_gib, disk_gib
        FROM flavor_spec ORDER BY flavor_id, id DESC
    ) f
), on_host AS MATERIALIZED (
    SELECT s.host_id, sum(s.quantity) AS quantity, sum(s.credits) AS credits,
           sum(s.quantity * w.vcpus) AS vcpus, sum(s.quantity * w.ram_gib) AS ram_gib,
           sum(s.quantity * w.disk_gib) AS disk_gib, sum(s.resource_days) AS resource_days
    FROM summed s
    LEFT JOIN weight w ON w.meter_id = s.meter_id AND w.flavor_id = s.flavor_id
    GROUP BY s.host_id
), grouped AS (
    SELECT CASE WHEN $7 = 'host' THEN h.id END AS host_id,
           CASE WHEN $7 = 'host' THEN h.name ELSE '' END AS host,
           CASE WHEN $7 = 'provider' THEN '' ELSE h.region END AS region, h.provider,
           sum(s.quantity) AS quantity, sum(s.credits) AS credits,
           round(sum(s.vcpus) / $14, 6) AS vcpu_hours,
           round(sum(s.ram_gib) / $14, 6) AS ram_gib_hours,
           round(sum(s.disk_gib) / $14, 6) AS disk_gib_hours,
           sum(s.resource_days)::bigint AS resource_days
    FROM on_host s JOIN host h ON h.id = s.host_id
    GROUP BY 1, 2, 3, 4
), ranked AS (
    SELECT *, CASE $8 WHEN 'credits' THEN credits WHEN 'vcpus' THEN coalesce(vcpu_hours, 0)
                      WHEN 'ram' THEN coalesce(ram_gib_hours, 0)
                      WHEN 'resources' THEN resource_days ELSE 0 END AS rank,
           count(*) OVER () AS line_count, sum(credits) OVER () AS all_credits,
           sum(quantity) OVER () AS all_quantity,
           coalesce(sum(vcpu_hours) OVER (), 0) AS all_vcpu_hours,
           coalesce(sum(ram_gib_hours) OVER (), 0) AS all_ram_gib_hours,
           coalesce(sum(disk_gib_hours) OVER (), 0) AS all_disk_gib_hours,
           (sum(resource_days) OVER ())::bigint AS all_resource_days
    FROM grouped
)
SELECT * FROM ranked
WHERE $9::numeric IS NULL OR rank < $9
   OR (rank = $9 AND (host, region, provider) > ($10, $11, $12))
ORDER BY rank DESC, host, region, provider LIMIT $13
"""


async def read_fingerprint(conn: Connection) -> Fingerprint:
    """Tell apart states of everything that `sum_hosts` adds up."""
    row = await conn.fetchrow(
        """
        SELECT current_database()::text, max(summed_at), sum(summed_count),
               (SELECT max(id) FROM flavor_spec)
        FROM summed_day
        """
    )
    return tuple(row or ())


async def sum_hosts(
    conn: Connection, query: HostQuery
) -> tuple[Sequence[HostSum], HostTotals | None]:
    """Sum pieces of time, sorted; also the sum of all lines (None if there is no line here)."""
    steps = dict(query.steps_of)
    steps_max = max(steps.values(), default=1)
    rows = await conn.fetch(
        _SUMS,
        [piece[0] for piece in query.pieces],
        [piece[1] for piece in query.pieces],
        [piece[2] for piece in query.pieces],
        query.meter_id,
        list(steps),
        [Decimal(steps_max // one) for one in steps.values()],
        query.by,
        query.sort,
        *(query.after or (None, "", "", "")),
        query.limit,
        Decimal(steps_max),
    )
    lines = [
        HostSum(
            host_id=row["host_id"],
            host=row["host"],
            region=row["region"],
            provider=row["provider"],
            quantity=int(row["quantity"]),
            credits=row["credits"],
            vcpu_hours=row["vcpu_hours"],
            ram_gib_hours=row["ram_gib_hours"],
            disk_gib_hours=row["disk_gib_hours"],
            resource_days=row["resource_days"],
            rank=row["rank"],
        )
        for row in rows
    ]
    if not rows:
        return [], None
    first = rows[0]
    return lines, HostTotals(
        first["line_count"],
        first["all_credits"],
        int(first["all_quantity"]),
        first["all_vcpu_hours"],
        first["all_ram_gib_hours"],
        first["all_disk_gib_hours"],
        first["all_resource_days"],
    )


async def list_days(
    conn: Connection,
    host_id: int,
    start: datetime,
    end: datetime,
    steps_of: Mapping[int, int],
) -> list[HostDay]:
    """Give the days from `start` up to before `end` on which a host was used."""
    rows = await conn.fetch(
        """
        WITH spec AS (
            SELECT DISTINCT ON (flavor_id) flavor_id, vcpus, ram_gib
            FROM flavor_spec ORDER BY flavor_id, id DESC
        )
        SELECT u.start, sum(u.credits),
               round(sum(u.quantity * f.vcpus / c.steps), 6),
               round(sum(u.quantity * f.ram_gib / c.steps), 6),
               sum(u.resource_count)::bigint
        FROM host_usage u
        LEFT JOIN unnest($4::int[], $5::numeric[]) AS c(meter_id, steps) USING (meter_id)
        LEFT JOIN spec f ON f.flavor_id = u.flavor_id AND c.meter_id IS NOT NULL
        WHERE u.host_id = $1 AND u.length = 'day' AND u.start >= $2 AND u.start < $3
        GROUP BY u.start ORDER BY u.start
        """,
        host_id,
        start,
        end,
        list(steps_of),
        list(steps_of.values()),
    )
    return [HostDay(*row) for row in rows]


async def count_series(conn: Connection, host_id: int, *, at_most: int) -> int:
    """Count the series that were ever on a host, as far as `at_most`."""
    count: int = await conn.fetchval(
        """
        SELECT count(*) FROM (
            SELECT DISTINCT series_id FROM whereabouts WHERE host_id = $1 LIMIT $2
        ) s
        """,
        host_id,
        at_most,
    )
    return count


async def list_resources(
    conn: Connection, host_id: int, start: datetime, today: datetime, end: datetime
) -> list[HostResource]:
    """Give what each series used on a host in these days, the present one hour by hour.

    As far as it is kept. `today` lies from `start` to `end`, these included.
    """
    rows = await conn.fetch(
        """
        WITH series_here AS MATERIALIZED (
            SELECT DISTINCT series_id FROM whereabouts
            WHERE host_id = $1 AND $3::timestamptz < $4::timestamptz
        ), move AS (
            SELECT h.series_id, m.host_id, m.hour,
                   lead(m.hour) OVER (PARTITION BY h.series_id ORDER BY m.hour) AS until
            FROM series_here h CROSS JOIN LATERAL (
                (SELECT w.host_id, w.hour FROM whereabouts w
                 WHERE w.series_id = h.series_id AND w.hour <= $3 ORDER BY w.hour DESC LIMIT 1)
                UNION ALL
                SELECT w.host_id, w.hour FROM whereabouts w
                WHERE w.series_id = h.series_id AND w.hour > $3 AND w.hour < $4
            ) m
        ), stay AS MATERIALIZED (
            SELECT series_id, greatest(hour, $3::timestamptz) AS since,
                   least(coalesce(until, 'infinity'), $4::timestamptz) AS until
            FROM move WHERE host_id = $1
        ), used AS (
            SELECT series_id, flavor_id, day, quantity + unpriced + free AS quantity, credits
            FROM daily_usage
            WHERE host_id = $1 AND host_id <> 0 AND day >= $2::timestamptz
              AND day < $3::timestamptz AND quantity + unpriced + free > 0
            UNION ALL
            SELECT u.series_id, u.flavor_id, date_trunc('day', u.hour, 'UTC'), u.quantity,
                   u.credits
            FROM stay t JOIN usage u
                ON u.series_id = t.series_id AND u.hour >= t.since AND u.hour < t.until
            WHERE u.hour >= $3::timestamptz AND u.hour < $4::timestamptz AND u.quantity > 0
              AND (u.kind = 0 OR u.credits IS NOT NULL)
        ), summed AS (
            SELECT series_id, flavor_id, sum(quantity) AS quantity,
                   coalesce(sum(credits), 0) AS credits, min(day) AS first_day,
                   max(day) AS last_day
            FROM used GROUP BY series_id, flavor_id
        )
        SELECT s.id, s.project_id, s.meter_id, u.flavor_id, s.resource, u.quantity, u.credits,
               u.first_day, u.last_day
        FROM summed u JOIN series s ON s.id = u.series_id
        ORDER BY u.credits DESC, s.id, u.flavor_id
        """,
        host_id,
        start,
        today,
        end,
    )
    return [
        HostResource(row[0], row[1], row[2], row[3], row[4], int(row[5]), row[6], row[7], row[8])
        for row in rows
    ]
