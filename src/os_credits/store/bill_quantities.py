"""What bills tell of quantities, and of single resources: `usage`, `daily_usage`, `daily_charge`.

Quantities come by days, as far as whole days are wanted and their sums hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.bill import By, GroupKey, Hours, Metered, Used
from os_credits.store.bills import UNIT, key_of
from os_credits.store.daily_usage import cut, series_arguments, whole_days, with_used
from os_credits.store.series import list_series_of_resource
from os_credits.store.summed_days import read_open_days

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from asyncpg import Record

    from os_credits.domain.bill import LineKey
    from os_credits.domain.period import Period
    from os_credits.store.pool import Connection

# Rows of usage without a price that are looked at; beyond, they are told without quantities.
UNPRICED_ROWS_MAX = 50_000

_SUM_METERED = """
WITH span AS MATERIALIZED (
    SELECT s.*, t.id AS series_id, t.meter_id
    FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[],
                $9::timestamptz[], $10::timestamptz[])
         AS s(part, project_id, start, "end", first_day, end_day)
    JOIN series t ON t.project_id = s.project_id
), open AS MATERIALIZED (
    SELECT * FROM unnest($11::timestamptz[], $12::timestamptz[]) AS o(start, "end")
), single AS (
    SELECT part, project_id, series_id, meter_id, start, first_day AS "end" FROM span
    UNION ALL
    SELECT part, project_id, series_id, meter_id, end_day, "end" FROM span
    UNION ALL
    SELECT s.part, s.project_id, s.series_id, s.meter_id, greatest(o.start, s.first_day),
           least(o."end", s.end_day)
    FROM open o CROSS JOIN span s
), found AS (
    SELECT w.part, w.project_id, d.day AS at, w.meter_id, d.flavor_id, d.quantity,
           d.unpriced, false AS is_cut
    FROM span w CROSS JOIN LATERAL (
        SELECT * FROM daily_usage u
        WHERE u.series_id = w.series_id AND u.day >= w.first_day AND u.day < w.end_day
        OFFSET 0
    ) d
    WHERE NOT EXISTS (SELECT FROM open o WHERE d.day >= o.start AND d.day < o."end")
    UNION ALL
    SELECT w.part, w.project_id, u.hour, w.meter_id, u.flavor_id,
           CASE WHEN u.credits IS NULL THEN 0 ELSE u.quantity END,
           CASE WHEN u.credits IS NULL THEN u.quantity ELSE 0 END, false
    FROM single w CROSS JOIN LATERAL (
        SELECT * FROM usage
        WHERE series_id = w.series_id AND hour >= w.start AND hour < w."end"
          AND (kind = 0 OR credits > 0) AND hour >= $5 AND hour < $6
        OFFSET 0
    ) u
    WHERE w.start < w."end"
    UNION ALL
    SELECT w.part, w.project_id, d.day, d.meter_id, d.flavor_id, d.quantity, 0,
           d.day < w.start OR d.day + interval '1 day' > w."end"
    FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[])
         AS w(part, project_id, start, "end")
    JOIN daily_charge d ON d.project_id = w.project_id
        AND d.day > w.start - interval '1 day' AND d.day < w."end"
)
SELECT CASE $7 WHEN 'part' THEN part WHEN 'project' THEN project_id
               WHEN 'meter' THEN meter_id ELSE 0 END AS number,
       CASE WHEN $8::text IS NULL THEN 'epoch'
            ELSE date_trunc($8, at, 'UTC') END AS start,
       meter_id, flavor_id, sum(quantity) AS quantity, sum(unpriced) AS unpriced,
       bool_or(is_cut) AS is_cut
FROM found GROUP BY 1, 2, 3, 4
"""


async def sum_metered(conn: Connection, hours: Sequence[Hours], by: By) -> dict[LineKey, Metered]:
    """Sum what was measured in these hours, by group, meter and flavor.

    Hours whose usage was dropped count by days; where only some hours of such a day are wanted,
    the quantity is None.
    """
    if not hours:
        return {}
    open_days = await read_open_days(conn)
    rows = await conn.fetch(
        _SUM_METERED,
        *_flat(hours),
        min(one.start for one in hours),
        max(one.end for one in hours),
        by,
        UNIT.get(by),
        *_flat_days(hours),
        open_days.starts,
        open_days.ends,
    )
    return _metered(rows)


def _flat(hours: Sequence[Hours]) -> tuple[Sequence[object], ...]:
    """Give part, project, start and end of each project's hours."""
    flat = [(one.part, number, one.start, one.end) for one in hours for number in one.project_ids]
    return tuple([row[column] for row in flat] for column in range(4))


def _flat_days(hours: Sequence[Hours]) -> tuple[list[datetime], list[datetime]]:
    """Give the first and the end of the whole days of each project's hours."""
    flat = [whole_days(one.start, one.end) for one in hours for _ in one.project_ids]
    return [first for first, _ in flat], [end for _, end in flat]


def _metered(rows: Sequence[Record]) -> dict[LineKey, Metered]:
    return {
        (key_of(number, start), meter_id, flavor_id): Metered(
            None if is_cut else int(quantity), int(unpriced)
        )
        for number, start, meter_id, flavor_id, quantity, unpriced, is_cut in rows
    }


async def sum_unpriced(
    conn: Connection, hours: Sequence[Hours], by: By, period: Period
) -> dict[LineKey, Metered]:
    """Sum the usage without a price in these hours, by group, meter and flavor.

    Beyond `UNPRICED_ROWS_MAX` rows it is only named: its quantity is None, as all others here.
    """
    rows = await conn.fetch(
        """
        WITH unpriced AS MATERIALIZED (
            SELECT series_id, hour, flavor_id, quantity FROM usage
            WHERE open_kind = 0 AND quantity > 0 AND hour >= $5 AND hour < $6
            LIMIT $9
        )
        SELECT CASE $7 WHEN 'part' THEN w.part WHEN 'project' THEN w.project_id
                       WHEN 'meter' THEN s.meter_id ELSE 0 END AS number,
               CASE WHEN $8::text IS NULL THEN 'epoch'
                    ELSE date_trunc($8, u.hour, 'UTC') END AS start,
               s.meter_id, u.flavor_id, 0 AS quantity, sum(u.quantity) AS unpriced, true AS is_cut
        FROM unpriced u JOIN series s ON s.id = u.series_id
        JOIN unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[])
             AS w(part, project_id, start, "end")
            ON w.project_id = s.project_id AND u.hour >= w.start AND u.hour < w."end"
        GROUP BY 1, 2, 3, 4
        """,
        *_flat(hours),
        period.start,
        period.end,
        by,
        UNIT.get(by),
        UNPRICED_ROWS_MAX,
    )
    return _metered(rows)


@dataclass(frozen=True, slots=True)
class ResourceSum:
    """What a resource of a project was charged of a meter and flavor, and what was measured."""

    used: Used
    metered: Metered


async def sum_resources(
    conn: Connection, project_id: int, period: Period, *, by: By, resource: str | None
) -> list[ResourceSum]:
    """Sum a project's usage by resource, or that of one resource by meter, day or month.

    Of days whose hours were dropped only whole ones are in it.
    """
    series_ids = await list_series_of_resource(conn, project_id, resource)
    rows = await conn.fetch(
        with_used(
            """
            , found AS (
                SELECT series_id, at, flavor_id, credits, quantity, unpriced FROM used
                UNION ALL
                SELECT series_id, day, flavor_id, credits, quantity, 0 FROM daily_charge
                WHERE project_id = $6 AND series_id = ANY($1::bigint[]) AND day >= $7
                  AND day <= $8::timestamptz - interval '1 day'
            )
            SELECT CASE $9 WHEN 'resource' THEN s.resource END AS resource,
                   CASE $9 WHEN 'meter' THEN s.meter_id ELSE 0 END AS number,
                   CASE WHEN $10::text IS NULL THEN 'epoch'
                        ELSE date_trunc($10, at, 'UTC') END AS start,
                   s.meter_id, f.flavor_id, sum(credits) AS credits, sum(quantity) AS quantity,
                   sum(unpriced) AS unpriced
            FROM found f JOIN series s ON s.id = f.series_id
            GROUP BY 1, 2, 3, 4, 5 HAVING sum(quantity) + sum(unpriced) <> 0
            ORDER BY 1, 2, 3, 4, 5
            """
        ),
        *series_arguments(series_ids, cut(await read_open_days(conn), period.start, period.end)),
        project_id,
        period.start,
        period.end,
        by,
        UNIT.get(by),
    )
    return [
        ResourceSum(
            Used(
                GroupKey(row["number"], key_of(0, row["start"]).start, row["resource"]),
                row["meter_id"],
                row["flavor_id"],
                row["credits"],
                row["credits"],
            ),
            Metered(int(row["quantity"]), int(row["unpriced"])),
        )
        for row in rows
    ]


async def is_unpriced(conn: Connection, period: Period) -> bool:
    """Tell whether any usage in these hours has no price."""
    found: bool = await conn.fetchval(
        """
        SELECT EXISTS (SELECT FROM usage
                       WHERE open_kind = 0 AND quantity > 0
                         AND hour >= $1 AND hour < $2)
        """,
        period.start,
        period.end,
    )
    return found


async def has_resource(conn: Connection, project_id: int, resource: str) -> bool:
    """Tell whether a project's samples ever named this resource."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM series WHERE project_id = $1 AND resource = $2)",
        project_id,
        resource,
    )
    return found


async def count_series(conn: Connection, project_ids: Collection[int]) -> int:
    """Count the series of these projects."""
    count: int = await conn.fetchval(
        "SELECT count(*) FROM series WHERE project_id = ANY($1::bigint[])", list(project_ids)
    )
    return count


async def first_hour_of_usage(conn: Connection) -> datetime | None:
    """Give the first hour whose usage is kept one by one; None if there is none."""
    hour: datetime | None = await conn.fetchval("SELECT min(hour) FROM usage")
    return hour
