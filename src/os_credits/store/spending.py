"""Tables `charge`, `entry` and `usage`, summed as a project's page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from os_credits.domain.entry import EntryKind

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Spent:
    """What a meter and flavor cost in one hour or day, booked or not."""

    start: datetime
    meter_id: int
    flavor_id: int
    credits: Credits


@dataclass(frozen=True, slots=True)
class Given:
    """An entry that says nothing of what was used: mostly a grant."""

    hour: datetime
    kind: EntryKind
    amount: Credits
    reason: str


@dataclass(frozen=True, slots=True)
class Metered:
    """What was measured of a meter and flavor, in smallest steps, and how much has no price."""

    meter_id: int
    flavor_id: int
    quantity: int
    unpriced: int


async def sum_charges(
    conn: Connection,
    project_id: int,
    *,
    start: datetime,
    end: datetime,
    by: Literal["hour", "day"],
) -> list[Spent]:
    """Sum a project's charges per hour or UTC day, meter and flavor, oldest first.

    What an older service had charged counts in the hour of the opening, without a flavor.
    """
    rows = await conn.fetch(
        """
        SELECT date_trunc($4, hour, 'UTC') AS start, meter_id, flavor_id, sum(amount) AS credits
        FROM (
            SELECT hour, meter_id, flavor_id, charged AS amount FROM charge
            WHERE project_id = $1 AND hour >= $2 AND hour < $3
            UNION ALL
            SELECT hour, meter_id, 0, -amount FROM entry
            WHERE project_id = $1 AND hour >= $2 AND hour < $3
              AND kind = 'opening' AND meter_id IS NOT NULL
        ) used
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """,
        project_id,
        start,
        end,
        by,
    )
    return [Spent(**dict(row)) for row in rows]


async def sum_since(conn: Connection, project_id: int, hour: datetime) -> Credits:
    """Sum a project's charges of an hour and all later ones, without what was opened with."""
    total: Credits = await conn.fetchval(
        "SELECT coalesce(sum(charged), 0) FROM charge WHERE project_id = $1 AND hour >= $2",
        project_id,
        hour,
    )
    return total


async def first_hour(conn: Connection, project_id: int) -> datetime | None:
    """Give the first hour in which anything was charged or booked."""
    hour: datetime | None = await conn.fetchval(
        """
        SELECT least((SELECT min(hour) FROM charge WHERE project_id = $1),
                     (SELECT min(hour) FROM entry WHERE project_id = $1))
        """,
        project_id,
    )
    return hour


async def list_given(
    conn: Connection, project_id: int, *, start: datetime, limit: int
) -> list[Given]:
    """Give what changed the balance besides usage from an hour on, the latest first."""
    rows = await conn.fetch(
        """
        SELECT hour, kind, amount, reason FROM entry
        WHERE project_id = $1 AND kind NOT IN ('usage', 'correction') AND meter_id IS NULL
          AND hour >= $2
        ORDER BY hour DESC, sequence DESC LIMIT $3
        """,
        project_id,
        start,
        limit,
    )
    return [
        Given(row["hour"], EntryKind(row["kind"]), row["amount"], row["reason"]) for row in rows
    ]


async def first_given(
    conn: Connection, project_id: int
) -> tuple[datetime, Credits] | tuple[None, None]:
    """Give the first hour in which credits were given, and how many they were."""
    row = await conn.fetchrow(
        """
        SELECT hour, sum(amount) AS amount FROM entry
        WHERE project_id = $1 AND kind NOT IN ('usage', 'correction') AND meter_id IS NULL
        GROUP BY hour ORDER BY hour LIMIT 1
        """,
        project_id,
    )
    return (None, None) if row is None else (row["hour"], row["amount"])


async def sum_metered(
    conn: Connection, project_id: int, *, start: datetime, end: datetime
) -> list[Metered]:
    """Sum what a project was metered (billed, or settled so), as far as hours are kept."""
    rows = await conn.fetch(
        """
        SELECT s.meter_id, u.flavor_id, sum(u.quantity) AS quantity,
               coalesce(sum(u.quantity) FILTER (WHERE u.credits IS NULL), 0) AS unpriced
        FROM series s JOIN usage u ON u.series_id = s.id
        WHERE s.project_id = $1 AND u.hour >= $2 AND u.hour < $3
          AND (u.kind = 0 OR u.credits > 0)
        GROUP BY s.meter_id, u.flavor_id HAVING sum(u.quantity) > 0
        ORDER BY s.meter_id, u.flavor_id
        """,
        project_id,
        start,
        end,
    )
    return [
        Metered(row["meter_id"], row["flavor_id"], int(row["quantity"]), int(row["unpriced"]))
        for row in rows
    ]
