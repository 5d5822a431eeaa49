"""What bills are made of: tables `booked_usage`, `entry`, `charge`, `usage`, `daily_charge`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.bill import By, GroupKey, Metered, Order, Place, Used
from os_credits.domain.period import EPOCH

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from asyncpg import Record

    from os_credits.domain.bill import LineKey
    from os_credits.domain.period import Period
    from os_credits.domain.stretch import Stretches
    from os_credits.domain.tree import Span
    from os_credits.store.pool import Connection

# Rows of usage without a price that are looked at; beyond, they are told without quantities.
UNPRICED_ROWS_MAX = 50_000
_UNIT = {By.DAY: "day", By.MONTH: "month"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to sum, and in which groups; `parts` are the organisations of the sums' ids (0: none).

    `after` and `limit` choose a page of groups in an order.
    """

    stretches: Stretches
    parts: Sequence[int]
    by: By
    order: Order
    after: Place | None
    limit: int | None


@dataclass(frozen=True, slots=True)
class Sums:
    """What was used by line, by the groups of a page in their order, and by meter in all."""

    groups: Mapping[Place, tuple[Used, ...]]
    total: tuple[Used, ...]


async def sum_used(conn: Connection, wanted: Wanted, also: Collection[LineKey]) -> Sums:
    """Sum what was used, booked or not, by group, meter and flavor.

    Booked usage comes by months, by days, and where these do not fit by entries; what was
    opened with counts in the hour of the opening. The lines `also` are there in any case.
    """
    rows = await conn.fetch(
        """
        WITH stretch AS (
            SELECT p.sum_id, m.project_id, p.length, p.start, p."end"
            FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[],
                        $5::timestamptz[]) AS p(sum_id, group_id, length, start, "end")
            JOIN unnest($6::bigint[], $7::bigint[]) AS m(group_id, project_id) USING (group_id)
        ), found AS (
            SELECT s.sum_id, s.project_id, b.start AS at, b.meter_id, b.flavor_id,
                   b.amount, 0 AS open
            FROM stretch s JOIN booked_usage b
                ON b.project_id = s.project_id AND b.length = s.length
                AND b.start >= s.start AND b.start < s."end"
            UNION ALL
            SELECT s.sum_id, s.project_id, e.hour, e.meter_id, coalesce(e.flavor_id, 0),
                   -e.amount, 0
            FROM stretch s JOIN entry e
                ON e.project_id = s.project_id AND e.hour >= s.start AND e.hour < s."end"
            WHERE s.length = 'hour' AND e.meter_id IS NOT NULL
            UNION ALL
            SELECT s.sum_id, s.project_id, c.hour, c.meter_id, c.flavor_id,
                   c.charged - c.booked, c.charged - c.booked
            FROM stretch s JOIN charge c
                ON c.project_id = s.project_id AND c.hour >= s.start AND c.hour < s."end"
            WHERE c.charged <> c.booked
        ), used AS MATERIALIZED (
            SELECT number, start, meter_id, flavor_id, sum(amount) AS credits, sum(open) AS open
            FROM (
                SELECT CASE $9 WHEN 'part' THEN ($8::bigint[])[sum_id + 1]
                               WHEN 'project' THEN project_id
                               WHEN 'meter' THEN meter_id ELSE 0 END AS number,
                       CASE WHEN $10::text IS NULL THEN 'epoch'
                            ELSE date_trunc($10, at, 'UTC') END AS start,
                       meter_id, flavor_id, amount, open
                FROM found
                UNION ALL
                SELECT *, 0, 0
                FROM unnest($11::bigint[], $12::timestamptz[], $13::int[], $14::int[])
            ) placed
            GROUP BY 1, 2, 3, 4
        ), page AS (
            SELECT * FROM (
                SELECT number, start,
                       CASE WHEN $15 = 'credits' THEN -sum(credits) ELSE 0 END AS rank
                FROM used GROUP BY number, start
            ) ranked
            WHERE $16::numeric IS NULL OR (rank, number, start) > ($16, $17::bigint, $18)
            ORDER BY rank, number, start LIMIT $19
        )
        SELECT p.rank, p.number, p.start, u.meter_id, u.flavor_id, u.credits, u.open
        FROM page p JOIN used u USING (number, start)
        UNION ALL
        SELECT NULL, NULL, NULL, meter_id, flavor_id, sum(credits), sum(open)
        FROM used GROUP BY meter_id, flavor_id
        ORDER BY 1, 2, 3, 4, 5
        """,
        *_columns(wanted.stretches),
        wanted.parts,
        wanted.by,
        _UNIT.get(wanted.by),
        [key.number for key, _, _ in also],
        [key.start or EPOCH for key, _, _ in also],
        [meter_id for _, meter_id, _ in also],
        [flavor_id for _, _, flavor_id in also],
        wanted.order,
        *(wanted.after.rank, wanted.after.number) if wanted.after else (None, None),
        wanted.after.start if wanted.after else EPOCH,
        wanted.limit,
    )
    return _sums(rows)


def _columns(wanted: Stretches) -> tuple[Sequence[object], ...]:
    pieces, members = wanted.pieces, wanted.members
    return (
        [one.sum_id for one in pieces],
        [one.group for one in pieces],
        [one.length for one in pieces],
        [one.start for one in pieces],
        [one.end for one in pieces],
        [group for group, _ in members],
        [project_id for _, project_id in members],
    )


def _sums(rows: Sequence[Record]) -> Sums:
    groups: dict[Place, list[Used]] = {}
    total: list[Used] = []
    for rank, number, start, meter_id, flavor_id, amount, not_booked in rows:
        if rank is None:
            total.append(Used(GroupKey(), meter_id, flavor_id, amount, not_booked))
            continue
        used = Used(_key(number, start), meter_id, flavor_id, amount, not_booked)
        groups.setdefault(Place(rank, number, start), []).append(used)
    return Sums({place: tuple(lines) for place, lines in groups.items()}, tuple(total))


def _key(number: int, start: datetime) -> GroupKey:
    return GroupKey(number, None if start == EPOCH else start)


async def sum_metered(conn: Connection, spans: Sequence[Span], by: By) -> dict[LineKey, Metered]:
    """Sum what was measured in the hours of these spans, by group, meter and flavor.

    Hours whose usage was dropped count by days; where only some hours of such a day are wanted,
    the quantity is None.
    """
    if not spans:
        return {}
    rows = await conn.fetch(
        """
        WITH span AS (
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[])
                          AS s(part, project_id, start, "end")
        ), found AS (
            SELECT w.part, w.project_id, u.hour AS at, s.meter_id, u.flavor_id,
                   CASE WHEN u.credits IS NULL THEN 0 ELSE u.quantity END AS quantity,
                   CASE WHEN u.credits IS NULL THEN u.quantity ELSE 0 END AS unpriced,
                   false AS is_cut
            FROM span w JOIN series s ON s.project_id = w.project_id
            JOIN usage u ON u.series_id = s.id AND u.hour >= w.start AND u.hour < w."end"
            WHERE u.hour >= $5 AND u.hour < $6 AND (u.kind = 0 OR u.credits > 0)
            UNION ALL
            SELECT w.part, w.project_id, d.day, d.meter_id, d.flavor_id, d.quantity, 0,
                   d.day < w.start OR d.day + interval '1 day' > w."end"
            FROM span w JOIN daily_charge d ON d.project_id = w.project_id
                AND d.day > w.start - interval '1 day' AND d.day < w."end"
        )
        SELECT CASE $7 WHEN 'part' THEN part WHEN 'project' THEN project_id
                       WHEN 'meter' THEN meter_id ELSE 0 END AS number,
               CASE WHEN $8::text IS NULL THEN 'epoch'
                    ELSE date_trunc($8, at, 'UTC') END AS start,
               meter_id, flavor_id, sum(quantity) AS quantity, sum(unpriced) AS unpriced,
               bool_or(is_cut) AS is_cut
        FROM found GROUP BY 1, 2, 3, 4
        """,
        [span.part or 0 for span in spans],
        [span.project_id for span in spans],
        [span.start for span in spans],
        [span.end for span in spans],
        min(span.start for span in spans),
        max(span.end for span in spans),
        by,
        _UNIT.get(by),
    )
    return _metered(rows)


def _metered(rows: Sequence[Record]) -> dict[LineKey, Metered]:
    return {
        (_key(number, start), meter_id, flavor_id): Metered(
            None if is_cut else int(quantity), int(unpriced)
        )
        for number, start, meter_id, flavor_id, quantity, unpriced, is_cut in rows
    }


async def sum_unpriced(
    conn: Connection, spans: Sequence[Span], by: By, period: Period
) -> dict[LineKey, Metered]:
    """Sum the usage without a price in the hours of these spans, by group, meter and flavor.

    Beyond `UNPRICED_ROWS_MAX` rows it is only named: its quantity is None, as all others here.
    """
    rows = await conn.fetch(
        """
        WITH unpriced AS MATERIALIZED (
            SELECT series_id, hour, flavor_id, quantity FROM usage
            WHERE credits IS NULL AND kind = 0 AND quantity > 0 AND hour >= $5 AND hour < $6
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
        [span.part or 0 for span in spans],
        [span.project_id for span in spans],
        [span.start for span in spans],
        [span.end for span in spans],
        period.start,
        period.end,
        by,
        _UNIT.get(by),
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
    rows = await conn.fetch(
        """
        WITH found AS (
            SELECT s.resource, u.hour AS at, s.meter_id, u.flavor_id, u.credits,
                   CASE WHEN u.credits IS NULL THEN 0 ELSE u.quantity END AS quantity,
                   CASE WHEN u.credits IS NULL THEN u.quantity ELSE 0 END AS unpriced
            FROM series s JOIN usage u ON u.series_id = s.id
            WHERE s.project_id = $1 AND u.hour >= $2 AND u.hour < $3
              AND (u.kind = 0 OR u.credits > 0) AND ($4::text IS NULL OR s.resource = $4)
            UNION ALL
            SELECT s.resource, d.day, d.meter_id, d.flavor_id, d.credits, d.quantity, 0
            FROM daily_charge d JOIN series s ON s.id = d.series_id
            WHERE d.project_id = $1 AND d.day >= $2 AND d.day <= $3::timestamptz - interval '1 day'
              AND ($4::text IS NULL OR s.resource = $4)
        )
        SELECT CASE $5 WHEN 'resource' THEN resource END AS resource,
               CASE $5 WHEN 'meter' THEN meter_id ELSE 0 END AS number,
               CASE WHEN $6::text IS NULL THEN 'epoch'
                    ELSE date_trunc($6, at, 'UTC') END AS start,
               meter_id, flavor_id, coalesce(sum(credits), 0) AS credits,
               sum(quantity) AS quantity, sum(unpriced) AS unpriced
        FROM found GROUP BY 1, 2, 3, 4, 5 HAVING sum(quantity) + sum(unpriced) <> 0
        ORDER BY 1, 2, 3, 4, 5
        """,
        project_id,
        period.start,
        period.end,
        resource,
        by,
        _UNIT.get(by),
    )
    return [
        ResourceSum(
            Used(
                GroupKey(row["number"], _key(0, row["start"]).start, row["resource"]),
                row["meter_id"],
                row["flavor_id"],
                row["credits"],
                row["credits"],
            ),
            Metered(int(row["quantity"]), int(row["unpriced"])),
        )
        for row in rows
    ]


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
