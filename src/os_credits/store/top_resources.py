"""Table `usage`, summed to what a project's resources cost lately."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class TopResource:
    """What a server, volume ... was charged of one meter and flavor ('': none) in a period."""

    resource: str
    meter: str
    flavor: str
    credits: Credits


async def list_top_resources(
    conn: Connection, project_ids: Sequence[int], *, start: datetime, end: datetime, count: int
) -> dict[int, list[TopResource]]:
    """Give of each project what cost most in the hours of a period, dearest first."""
    rows = await conn.fetch(
        """
        SELECT p.id, t.resource, m.name, f.name, t.credits
        FROM unnest($1::bigint[]) AS p(id)
        CROSS JOIN LATERAL (
            SELECT s.resource, s.meter_id, u.flavor_id, sum(u.credits) AS credits
            FROM series s JOIN usage u ON u.series_id = s.id
            WHERE s.project_id = p.id AND u.hour >= $2 AND u.hour < $3 AND u.credits > 0
            GROUP BY s.resource, s.meter_id, u.flavor_id
            ORDER BY sum(u.credits) DESC, s.resource, s.meter_id, u.flavor_id LIMIT $4
        ) t
        JOIN meter m ON m.id = t.meter_id JOIN flavor f ON f.id = t.flavor_id
        ORDER BY p.id, t.credits DESC, t.resource, m.name, f.name
        """,
        project_ids,
        start,
        end,
        count,
    )
    found: dict[int, list[TopResource]] = defaultdict(list)
    for project_id, *columns in rows:
        found[project_id].append(TopResource(*columns))
    return dict(found)
