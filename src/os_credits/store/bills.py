"""What bills are made of: tables `booked_usage`, `entry`, `charge`, `usage`, `daily_charge`.

Quantities come by days from `daily_usage`, as far as whole days are wanted and summed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.bill import By, GroupKey, Hours, Metered, Order, Place, Used
from os_credits.domain.period import EPOCH
from os_credits.store.daily_usage import cut, series_arguments, whole_days, with_used
from os_credits.store.series import list_series_of_resource
from os_credits.store.summed_days import read_open_days

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from asyncpg import Record

    from os_credits.domain.bill import LineKey
    from os_credits.domain.period import Period
    from os_credits.domain.stretch import Stretch, Stretches
    from os_credits.domain.tree import Stay
    from os_credits.store.pool import Connection

# Rows of usage without a price that are looked at; beyond, they are told without quantities.
UNPRICED_ROWS_MAX = 50_000
# With more projects, sums of the same hours are read together.
PROJECTS_BY_LOOKUP_MAX = 1000
# Up to this distance between the numbers of projects, an array may have a place for each.
NUMBERS_MAX = 500_000
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


async def read_hours(
    conn: Connection, stays: Iterable[Stay], among: Collection[int] | None
) -> list[Hours]:
    """Give the hours of projects while they hung on these organisations, by part and time.

    As `domain/tree.py: spans_beneath` does for fewer; `among` leaves out all other projects.
    """
    found = list(stays)
    rows = await conn.fetch(
        """
        WITH said AS (
            SELECT DISTINCT ON (project_id, valid_from) project_id, organisation_id, valid_from
            FROM membership
            WHERE project_id IN (SELECT project_id FROM membership
                                 WHERE organisation_id = ANY($1::bigint[]))
              AND ($5::bigint[] IS NULL OR project_id = ANY($5))
            ORDER BY project_id, valid_from, id DESC
        ), hold AS (
            SELECT project_id, organisation_id, valid_from AS start,
                   lead(valid_from, 1, 'infinity')
                       OVER (PARTITION BY project_id ORDER BY valid_from) AS "end"
            FROM said
        )
        SELECT s.part, greatest(h.start, s.start) AS start, least(h."end", s."end") AS "end",
               array_agg(h.project_id) AS project_ids
        FROM hold h
        JOIN unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[])
             AS s(organisation_id, part, start, "end")
            ON s.organisation_id = h.organisation_id AND h.start < s."end" AND h."end" > s.start
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """,
        [stay.organisation_id for stay in found],
        [stay.part or 0 for stay in found],
        [stay.start for stay in found],
        [stay.end for stay in found],
        None if among is None else list(among),
    )
    return [Hours(part, start, end, tuple(ids)) for part, start, end, ids in rows]


# Hours of few projects are looked up by project. Those that many projects have in common are read
# one after the other, each with its sum from an array by project: `$12` has one for each range.
_SUM_USED = """
WITH stretch AS (
    SELECT p.*, m.project_id
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                $6::bool[]) AS p(sum_id, group_id, length, start, "end", is_wide)
    JOIN unnest($7::bigint[], $8::bigint[]) AS m(group_id, project_id) USING (group_id)
), wide AS (
    SELECT * FROM unnest($9::text[], $10::timestamptz[], $11::timestamptz[])
                  WITH ORDINALITY AS r(length, start, "end", number)
), found AS (
    SELECT ($12::int[])[r.number][b.project_id - $13::bigint] AS sum_id, b.project_id,
           b.start AS at, b.meter_id, b.flavor_id, b.amount, false AS is_open
    FROM wide r CROSS JOIN LATERAL (
        SELECT * FROM booked_usage u
        WHERE u.length = r.length AND u.start >= r.start AND u.start < r."end" OFFSET 0
    ) b
    UNION ALL
    SELECT ($12::int[])[r.number][c.project_id - $13::bigint], c.project_id, c.hour, c.meter_id,
           c.flavor_id, c.charged - c.booked, true
    FROM wide r CROSS JOIN LATERAL (
        SELECT * FROM charge o
        WHERE o.charged <> o.booked AND o.hour >= r.start AND o.hour < r."end" OFFSET 0
    ) c
    UNION ALL
    SELECT s.sum_id, s.project_id, b.start, b.meter_id, b.flavor_id, b.amount, false
    FROM stretch s JOIN booked_usage b
        ON b.project_id = s.project_id AND b.length = s.length
        AND b.start >= s.start AND b.start < s."end"
    WHERE NOT s.is_wide
    UNION ALL
    SELECT s.sum_id, s.project_id, e.hour, e.meter_id, coalesce(e.flavor_id, 0), -e.amount, false
    FROM stretch s JOIN entry e
        ON e.project_id = s.project_id AND e.hour >= s.start AND e.hour < s."end"
    WHERE s.length = 'hour' AND e.meter_id IS NOT NULL
    UNION ALL
    SELECT s.sum_id, s.project_id, c.hour, c.meter_id, c.flavor_id, c.charged - c.booked, true
    FROM stretch s JOIN charge c
        ON c.project_id = s.project_id AND c.hour >= s.start AND c.hour < s."end"
    WHERE NOT s.is_wide AND c.charged <> c.booked
), used AS MATERIALIZED (
    SELECT number, start, meter_id, flavor_id, sum(amount) AS credits,
           coalesce(sum(amount) FILTER (WHERE is_open), 0) AS open
    FROM (
        SELECT CASE $15 WHEN 'part' THEN ($14::bigint[])[sum_id + 1]
                        WHEN 'project' THEN project_id
                        WHEN 'meter' THEN meter_id ELSE 0 END AS number,
               CASE WHEN $16::text IS NULL THEN 'epoch'
                    ELSE date_trunc($16, at, 'UTC') END AS start,
               meter_id, flavor_id, is_open, amount
        FROM found WHERE sum_id IS NOT NULL
        UNION ALL
        SELECT *, false, 0
        FROM unnest($17::bigint[], $18::timestamptz[], $19::int[], $20::int[])
    ) placed
    GROUP BY 1, 2, 3, 4
), page AS (
    SELECT * FROM (
        SELECT number, start, CASE WHEN $21 = 'credits' THEN -sum(credits) ELSE 0 END AS rank
        FROM used GROUP BY number, start
    ) ranked
    WHERE $22::numeric IS NULL OR (rank, number, start) > ($22, $23::bigint, $24)
    ORDER BY rank, number, start LIMIT $25
)
SELECT p.rank, p.number, p.start, u.meter_id, u.flavor_id, u.credits, u.open
FROM page p JOIN used u USING (number, start)
UNION ALL
SELECT NULL, NULL, NULL, meter_id, flavor_id, sum(credits), sum(open)
FROM used GROUP BY meter_id, flavor_id
ORDER BY 1, 2, 3, 4, 5
"""


async def sum_used(conn: Connection, wanted: Wanted, also: Collection[LineKey]) -> Sums:
    """Sum what was used, booked or not, by group, meter and flavor.

    Booked usage comes by months, by days, and where these do not fit by entries; what was
    opened with counts in the hour of the opening. The lines `also` are there in any case.
    """
    rows = await conn.fetch(
        _SUM_USED,
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


# Length, start and end of what some projects have in common.
_Range = tuple[str, "datetime", "datetime"]


def _columns(wanted: Stretches) -> tuple[object, ...]:
    """Give the arguments that say which hours: pieces, their projects, and what is wide."""
    members: dict[int, list[int]] = {}
    for group, project_id in wanted.members:
        members.setdefault(group, []).append(project_id)
    wide, base = _wide(wanted.pieces, members)
    looked_up = [one for one in wanted.pieces if one.length == "hour" or _range(one) not in wide]
    groups = {one.group for one in looked_up}
    named = [(group, one) for group in groups for one in members[group]]
    return (
        [one.sum_id for one in looked_up],
        [one.group for one in looked_up],
        [one.length for one in looked_up],
        [one.start for one in looked_up],
        [one.end for one in looked_up],
        [_range(one) in wide for one in looked_up],
        [group for group, _ in named],
        [project_id for _, project_id in named],
        *([key[column] for key in wide] for column in range(3)),
        list(wide.values()),
        base,
    )


def _range(piece: Stretch) -> _Range:
    return piece.length, piece.start, piece.end


def _wide(
    pieces: Sequence[Stretch], members: Mapping[int, Sequence[int]]
) -> tuple[dict[_Range, list[int | None]], int]:
    """Give the sum of each project, by its number less a base, for what many have in common."""
    ids = [one for of_group in members.values() for one in of_group]
    first, last = min(ids, default=0), max(ids, default=0)
    if len(ids) <= PROJECTS_BY_LOOKUP_MAX or last - first > NUMBERS_MAX:
        return {}, 0
    counts: Counter[_Range] = Counter()
    for one in pieces:
        counts[_range(one)] += len(members[one.group])
    # Fields of arrays are counted from 1.
    base = first - 1
    wide: dict[_Range, list[int | None]] = {
        key: [None] * (last - base)
        for key, count in counts.items()
        if count > PROJECTS_BY_LOOKUP_MAX
    }
    for one in pieces:
        sums = wide.get(_range(one))
        if sums is not None:
            for project_id in members[one.group]:
                sums[project_id - base - 1] = one.sum_id
    return wide, base


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
        _UNIT.get(by),
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
        (_key(number, start), meter_id, flavor_id): Metered(
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
        *_flat(hours),
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


async def is_unpriced(conn: Connection, period: Period) -> bool:
    """Tell whether any usage in these hours has no price."""
    found: bool = await conn.fetchval(
        """
        SELECT EXISTS (SELECT FROM usage
                       WHERE credits IS NULL AND kind = 0 AND quantity > 0
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
