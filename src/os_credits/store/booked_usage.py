"""Table `booked_usage`: entries of usage by day and month, meter and flavor, of each project.

A trigger on `entry` keeps it. It can be made anew from the entries at any time, and `verify`
holds it against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class WrongSum:
    """A sum over a day or month (`length`) that is not what its entries add up to.

    None: there is no such sum, or no such entry. What was opened with has no flavor: 0.
    """

    project_id: int
    length: str
    start: datetime
    meter_id: int
    flavor_id: int
    stored: Credits | None
    recomputed: Credits | None


async def find_wrong_sums(conn: Connection, project_ids: Sequence[int]) -> list[WrongSum]:
    """Add up the entries of these projects, and give the sums that are stored otherwise."""
    rows = await conn.fetch(
        """
        SELECT project_id, length, start, meter_id, flavor_id, stored, recomputed
        FROM (
            SELECT project_id, length, start, meter_id, flavor_id, amount AS stored
            FROM booked_usage
            WHERE project_id = ANY($1::bigint[])
        ) b FULL JOIN (
            SELECT e.project_id, l.length, date_trunc(l.length, e.hour, 'UTC') AS start,
                   e.meter_id, coalesce(e.flavor_id, 0) AS flavor_id, -sum(e.amount) AS recomputed
            FROM entry e CROSS JOIN (VALUES ('day'), ('month')) AS l (length)
            WHERE e.project_id = ANY($1::bigint[]) AND e.meter_id IS NOT NULL
            GROUP BY 1, 2, 3, 4, 5
        ) e USING (project_id, length, start, meter_id, flavor_id)
        WHERE coalesce(stored, 0) <> coalesce(recomputed, 0)
        ORDER BY project_id, length, start, meter_id, flavor_id
        """,
        project_ids,
    )
    return [WrongSum(**dict(row)) for row in rows]
