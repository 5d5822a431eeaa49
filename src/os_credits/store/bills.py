"""What bills are made of: credits, from the tables `booked_usage`, `entry` and `charge`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.bill import By, GroupKey, Hours, Order, Place, Used
from os_credits.domain.period import EPOCH

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from asyncpg import Record

    from os_credits.domain.bill import LineKey
    from os_credits.domain.stretch import Stretch, Stretches
    from os_credits.domain.tree import Stay
    from os_credits.store.pool import Connection

# With more projects, sums of the same hours are read together.
PROJECTS_BY_LOOKUP_MAX = 1000
# Up to this distance between the numbers of projects, an array may have a place for each.
NUMBERS_MAX = 500_000
UNIT = {By.DAY: "day", By.MONTH: "month"}


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
        UNIT.get(wanted.by),
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
        used = Used(key_of(number, start), meter_id, flavor_id, amount, not_booked)
        groups.setdefault(Place(rank, number, start), []).append(used)
    return Sums({place: tuple(lines) for place, lines in groups.items()}, tuple(total))


def key_of(number: int, start: datetime) -> GroupKey:
    """Give the key of a group; the epoch stands for no start."""
    return GroupKey(number, None if start == EPOCH else start)
