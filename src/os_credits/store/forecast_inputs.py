"""Tables `charge` and `usage`, hour by hour, and `pending_grant`, as a forecast reads them.

Amounts are floats here: a forecast is no money, and nothing of it enters an account.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.amount import to_micro
from os_credits.domain.lot import Lot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class HourlyCredits:
    """Credits used in hours of a period, counted from its start; hours without any are absent."""

    hours: Sequence[int]
    credits: Sequence[float]


@dataclass(frozen=True, slots=True)
class CostlyResource:
    """A server, volume ... that cost much lately, with the meter and flavor that cost most."""

    project_id: int
    resource: str
    meter: str
    flavor: str


async def sum_hourly_charges(
    conn: Connection, project_ids: Sequence[int], *, start: datetime, end: datetime
) -> dict[int, HourlyCredits]:
    """Sum what projects were charged in each hour from `start` up to `end`, excluded."""
    rows = await conn.fetch(
        """
        SELECT project_id, array_agg(hour) AS hours, array_agg(credits) AS credits
        FROM (
            SELECT project_id, (extract(epoch FROM hour - $2) / 3600)::int AS hour,
                   sum(charged)::float8 AS credits
            FROM charge
            WHERE project_id = ANY($1::bigint[]) AND hour >= $2 AND hour < $3
            GROUP BY project_id, charge.hour HAVING sum(charged) > 0
        ) used
        GROUP BY project_id
        """,
        project_ids,
        start,
        end,
    )
    return {row["project_id"]: HourlyCredits(row["hours"], row["credits"]) for row in rows}


async def list_costly_resources(
    conn: Connection,
    project_ids: Sequence[int],
    *,
    start: datetime,
    end: datetime,
    used_since: datetime,
    count: int,
) -> list[CostlyResource]:
    """Give of each project the resources that cost most in a period, by project, dearest first.

    Only resources with a name, that cost anything at or after `used_since`.
    """
    rows = await conn.fetch(
        """
        WITH by_flavor AS (
            SELECT s.project_id, s.resource, s.meter_id, u.flavor_id,
                   sum(u.credits) AS credits, max(u.hour) AS last_hour
            FROM series s JOIN usage u ON u.series_id = s.id
            WHERE s.project_id = ANY($1::bigint[]) AND s.resource <> ''
              AND u.hour >= $2 AND u.hour < $3 AND u.credits > 0
            GROUP BY s.project_id, s.resource, s.meter_id, u.flavor_id
        ), parts AS (
            SELECT *, sum(credits) OVER of_resource AS in_all,
                   max(last_hour) OVER of_resource AS last_of_all,
                   row_number() OVER (PARTITION BY project_id, resource
                                      ORDER BY credits DESC, meter_id, flavor_id) AS part
            FROM by_flavor WINDOW of_resource AS (PARTITION BY project_id, resource)
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY project_id
                                         ORDER BY in_all DESC, resource) AS place
            FROM parts WHERE part = 1 AND last_of_all >= $4
        )
        SELECT r.project_id, r.resource, m.name AS meter, f.name AS flavor
        FROM ranked r JOIN meter m ON m.id = r.meter_id JOIN flavor f ON f.id = r.flavor_id
        WHERE r.place <= $5 ORDER BY r.project_id, r.place
        """,
        project_ids,
        start,
        end,
        used_since,
        count,
    )
    return [CostlyResource(**dict(row)) for row in rows]


async def sum_hourly_of_resources(
    conn: Connection, resources: Sequence[CostlyResource], *, start: datetime, end: datetime
) -> dict[tuple[int, str], HourlyCredits]:
    """Sum what resources (by project and name) cost in each hour, as far as hours are kept."""
    rows = await conn.fetch(
        """
        SELECT project_id, resource, array_agg(hour) AS hours, array_agg(credits) AS credits
        FROM (
            SELECT s.project_id, s.resource,
                   (extract(epoch FROM u.hour - $3) / 3600)::int AS hour,
                   sum(u.credits)::float8 AS credits
            FROM unnest($1::bigint[], $2::text[]) AS w(project_id, resource)
            JOIN series s ON s.project_id = w.project_id AND s.resource = w.resource
            JOIN usage u ON u.series_id = s.id
            WHERE u.hour >= $3 AND u.hour < $4 AND u.credits > 0
            GROUP BY s.project_id, s.resource, u.hour
        ) used
        GROUP BY project_id, resource
        """,
        [one.project_id for one in resources],
        [one.resource for one in resources],
        start,
        end,
    )
    return {
        (row["project_id"], row["resource"]): HourlyCredits(row["hours"], row["credits"])
        for row in rows
    }


async def read_waiting_lots(conn: Connection, project_ids: Sequence[int]) -> dict[int, list[Lot]]:
    """Give the lots of these projects that are not valid yet, by project."""
    rows = await conn.fetch(
        """
        SELECT g.project_id, g.id, g.amount, g.valid_from, g.expires_at, g.priority
        FROM project_grant g JOIN pending_grant p ON p.grant_id = g.id
        WHERE g.project_id = ANY($1::bigint[]) ORDER BY g.id
        """,
        project_ids,
    )
    lots: dict[int, list[Lot]] = defaultdict(list)
    for project_id, grant_id, amount, *terms in rows:
        lots[project_id].append(Lot(grant_id, to_micro(amount), *terms))
    return dict(lots)
