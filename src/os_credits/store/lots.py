"""Tables `project_grant`, `charge` and `entry` as the burn-down reads them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from os_credits.domain.amount import to_micro
from os_credits.domain.lot import Lot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.store.pool import Connection


async def read_lots(conn: Connection, project_ids: Sequence[int]) -> dict[int, tuple[Lot, ...]]:
    """Give the lots that have an entry, of each project that was ever given any.

    Those taken back are left out.
    """
    rows = await conn.fetch(
        """
        SELECT g.project_id, g.id, g.amount, g.valid_from, g.expires_at, g.priority
        FROM project_grant g
        WHERE g.project_id = ANY($1::bigint[])
          AND NOT EXISTS (SELECT FROM grant_void v WHERE v.grant_id = g.id)
          AND NOT EXISTS (SELECT FROM pending_grant w WHERE w.grant_id = g.id)
        ORDER BY g.id
        """,
        project_ids,
    )
    lots: dict[int, list[Lot]] = defaultdict(list)
    for project_id, grant_id, amount, *terms in rows:
        lots[project_id].append(Lot(grant_id, to_micro(amount), *terms))
    return {project_id: tuple(of_project) for project_id, of_project in lots.items()}


async def sum_debits(
    conn: Connection, moments: Mapping[int, Sequence[datetime]]
) -> dict[int, list[int]]:
    """Sum what each project used between each of its moments and the next, in millionths.

    Moments rise, and the first one lies before everything. Used is what is charged, booked or
    not, what an older service had charged, and what adjustments and transfers took away.
    """
    sums = {project_id: [0] * len(rising) for project_id, rising in moments.items()}
    pairs = [(project_id, one) for project_id, rising in moments.items() for one in rising]
    rows = await conn.fetch(
        """
        SELECT p.project_id, width_bucket(d.hour, p.moments) - 1 AS place, sum(d.amount) AS used
        FROM (SELECT project_id, array_agg(moment ORDER BY moment) AS moments
              FROM unnest($1::bigint[], $2::timestamptz[]) AS w(project_id, moment)
              GROUP BY project_id) p
        CROSS JOIN LATERAL (
            SELECT hour, charged AS amount FROM charge WHERE project_id = p.project_id
            UNION ALL
            SELECT hour, -amount FROM entry
            WHERE project_id = p.project_id AND kind = 'opening' AND meter_id IS NOT NULL
            UNION ALL
            SELECT hour, -amount FROM entry
            WHERE project_id = p.project_id AND meter_id IS NULL
              AND kind IN ('adjustment', 'transfer') AND amount < 0
        ) d
        GROUP BY 1, 2
        """,
        [project_id for project_id, _ in pairs],
        [moment for _, moment in pairs],
    )
    for project_id, place, used in rows:
        sums[project_id][place] = to_micro(used)
    return sums


async def sum_taken(conn: Connection, project_id: int, moments: Sequence[datetime]) -> list[int]:
    """Sum what adjustments and transfers took between each moment and the next, in millionths.

    Moments rise, and the first one lies before everything: the part of `sum_debits` that is no
    usage.
    """
    sums = [0] * len(moments)
    rows = await conn.fetch(
        """
        SELECT width_bucket(hour, $2::timestamptz[]) - 1 AS place, -sum(amount) AS taken FROM entry
        WHERE project_id = $1 AND meter_id IS NULL
          AND kind IN ('adjustment', 'transfer') AND amount < 0
        GROUP BY 1
        """,
        project_id,
        moments,
    )
    for place, taken in rows:
        sums[place] = to_micro(taken)
    return sums
