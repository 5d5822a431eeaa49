"""Table `usage` as people read it: what was metered, by hour, meter, flavor and resource."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.usage import UsageKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from asyncpg import Record

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection

# How many hours that wait for a verdict are looked at; settling some brings the next.
OPEN_ROWS_MAX = 50_000
# Where a row of usage stands in a project's list: hour, series, flavor, kind.
UsagePlace = tuple["datetime", int, int, int]
# Hour, meter, flavor.
UsageSum = tuple["datetime", int, int]


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """What one series of a project used of one flavor in one hour.

    `quantity` is in the meter's smallest steps; `credits` is None where there is no charge
    (no price yet, or a kind that is only shown).
    """

    place: UsagePlace
    meter_id: int
    resource: str
    identity: Mapping[str, str]
    flavor_id: int
    kind: UsageKind
    hour: datetime
    quantity: int
    credits: Credits | None


async def list_resource_usage(
    conn: Connection,
    project_id: int,
    *,
    start: datetime,
    end: datetime,
    after: UsagePlace | None,
    limit: int,
) -> list[ResourceUsage]:
    """Give a project's usage in the hours of a period, from the row behind `after` on."""
    hour, series_id, flavor_id, kind = after or (start, 0, 0, 0)
    rows = await conn.fetch(
        """
        SELECT u.series_id, u.hour, u.flavor_id, u.kind, u.quantity, u.credits,
               s.meter_id, s.resource, s.identity
        FROM series s JOIN usage u ON u.series_id = s.id
        WHERE s.project_id = $1 AND u.hour >= $2 AND u.hour < $3 AND u.quantity <> 0
          AND (NOT $4 OR (u.hour, u.series_id, u.flavor_id, u.kind::int)
                         > ($2, $5::bigint, $6::int, $7::int))
        ORDER BY u.hour, u.series_id, u.flavor_id, u.kind LIMIT $8
        """,
        project_id,
        hour,
        end,
        after is not None,
        series_id,
        flavor_id,
        kind,
        limit,
    )
    return [_resource_usage(row) for row in rows]


async def list_open_usage(conn: Connection, project_id: int) -> list[ResourceUsage]:
    """Give a project's suspect and unmetered usage without a verdict, by series and hour."""
    rows = await conn.fetch(
        """
        SELECT u.series_id, u.hour, u.flavor_id, u.kind, u.quantity, u.credits,
               s.meter_id, s.resource, s.identity
        FROM series s JOIN usage u ON u.series_id = s.id
        WHERE s.project_id = $1 AND u.kind <> 0 AND u.credits IS NULL AND u.quantity > 0
        ORDER BY u.series_id, u.flavor_id, u.kind, u.hour LIMIT $2
        """,
        project_id,
        OPEN_ROWS_MAX,
    )
    return [_resource_usage(row) for row in rows]


def _resource_usage(row: Record) -> ResourceUsage:
    return ResourceUsage(
        place=(row["hour"], row["series_id"], row["flavor_id"], row["kind"]),
        meter_id=row["meter_id"],
        resource=row["resource"],
        identity=json.loads(row["identity"]),
        flavor_id=row["flavor_id"],
        kind=UsageKind(row["kind"]),
        hour=row["hour"],
        quantity=int(row["quantity"]),
        credits=row["credits"],
    )


async def sum_quantities(
    conn: Connection, project_id: int, *, first_hour: datetime, last_hour: datetime
) -> dict[UsageSum, int]:
    """Sum what a project was metered (billed, or settled so), in steps, as far as it is kept."""
    rows = await conn.fetch(
        """
        SELECT u.hour, s.meter_id, u.flavor_id, sum(u.quantity) AS quantity
        FROM series s JOIN usage u ON u.series_id = s.id
        WHERE s.project_id = $1 AND u.hour BETWEEN $2 AND $3
          AND (u.kind = 0 OR u.credits > 0)
        GROUP BY u.hour, s.meter_id, u.flavor_id
        """,
        project_id,
        first_hour,
        last_hour,
    )
    return {(row["hour"], row["meter_id"], row["flavor_id"]): int(row["quantity"]) for row in rows}
