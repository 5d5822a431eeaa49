"""Table `usage` as people read it: what was metered, by hour, meter, flavor and resource."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.usage import UsageKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
        WHERE s.project_id = $1 AND u.open_kind > 0 AND u.quantity > 0
        ORDER BY u.series_id, u.flavor_id, u.kind, u.hour LIMIT $2
        """,
        project_id,
        OPEN_ROWS_MAX,
    )
    return [_resource_usage(row) for row in rows]


async def list_unsettled_series(conn: Connection, *, after_id: int, limit: int) -> list[int]:
    """Give the series, of all projects, whose usage waits for a verdict, by their ids."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT series_id FROM usage
        WHERE series_id > $1 AND open_kind > 0 AND quantity > 0
        ORDER BY series_id LIMIT $2
        """,
        after_id,
        limit,
    )
    return [row["series_id"] for row in rows]


async def list_open_usage_of(
    conn: Connection, series_ids: Sequence[int]
) -> list[tuple[int, ResourceUsage]]:
    """Give suspect and unmetered usage without a verdict of these series, with its project."""
    rows = await conn.fetch(
        """
        SELECT u.series_id, u.hour, u.flavor_id, u.kind, u.quantity, u.credits,
               s.project_id, s.meter_id, s.resource, s.identity
        FROM unnest($1::bigint[]) AS w(id) JOIN series s ON s.id = w.id CROSS JOIN LATERAL (
            SELECT * FROM usage
            WHERE series_id = w.id AND open_kind > 0 AND quantity > 0
            OFFSET 0  -- so that each series is found by the index
        ) u
        ORDER BY u.series_id, u.flavor_id, u.kind, u.hour LIMIT $2
        """,
        series_ids,
        OPEN_ROWS_MAX,
    )
    return [(row["project_id"], _resource_usage(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Billable usage of a meter and flavor without a price; `quantity` is in smallest steps.

    `row_count` are hours of resources.
    """

    meter_id: int
    flavor_id: int
    row_count: int
    series_count: int
    project_count: int
    quantity: int
    first_hour: datetime
    last_hour: datetime


async def sum_unpriced(conn: Connection, *, rows_max: int) -> list[Unpriced]:
    """Sum billable usage without a price by meter and flavor; looks at so many rows at most.

    If the rows of all that is given are as many, there may be more.
    """
    rows = await conn.fetch(
        """
        WITH unpriced AS MATERIALIZED (
            SELECT series_id, hour, flavor_id, quantity FROM usage
            WHERE open_kind = 0 AND quantity > 0 LIMIT $1
        ), summed AS MATERIALIZED (
            SELECT series_id, flavor_id, count(*) AS row_count, sum(quantity) AS quantity,
                   min(hour) AS first_hour, max(hour) AS last_hour
            FROM unpriced GROUP BY series_id, flavor_id
        )
        SELECT s.meter_id, u.flavor_id, sum(u.row_count)::bigint AS row_count,
               count(*) AS series_count, count(DISTINCT s.project_id) AS project_count,
               sum(u.quantity) AS quantity, min(u.first_hour) AS first_hour,
               max(u.last_hour) AS last_hour
        FROM summed u JOIN series s ON s.id = u.series_id
        GROUP BY s.meter_id, u.flavor_id ORDER BY s.meter_id, u.flavor_id
        """,
        rows_max,
    )
    return [Unpriced(**{**dict(row), "quantity": int(row["quantity"])}) for row in rows]


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
