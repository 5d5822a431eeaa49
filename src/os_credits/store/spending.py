"""Tables `charge`, `entry`, `booked_usage`, `expiry`, `usage`: summed as pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from os_credits.domain.entry import EntryKind
from os_credits.domain.usage import UsageKind
from os_credits.store.daily_usage import cut, series_arguments, with_used
from os_credits.store.series import list_series_of_project
from os_credits.store.summed_days import read_open_days

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Spent:
    """What a meter and flavor cost in one hour, day or month, booked or not."""

    start: datetime
    meter_id: int
    flavor_id: int
    credits: Credits


@dataclass(frozen=True, slots=True)
class Moved:
    """What changed the balance besides usage in one hour or day; both are positive."""

    start: datetime
    given: Credits
    taken: Credits


@dataclass(frozen=True, slots=True)
class Change:
    """A line of an account that is no first booking of usage; `kind` None: expired, not booked.

    The meter is set of corrections of usage. `entry_id` is None of what is not booked.
    """

    hour: datetime
    kind: EntryKind | None
    amount: Credits
    reason: str
    meter_id: int | None
    flavor_id: int | None
    grant_id: int | None
    entry_id: int | None
    booked_at: datetime | None

    @property
    def is_void(self) -> bool:
        """Tell whether a grant is taken back by this."""
        takes_back = self.kind in {EntryKind.GRANT, EntryKind.TRANSFER, EntryKind.OPENING}
        return takes_back and self.grant_id is not None and self.amount < 0


@dataclass(frozen=True, slots=True)
class Metered:
    """What was measured of a meter and flavor, in smallest steps, and how much has no price."""

    meter_id: int
    flavor_id: int
    quantity: int
    unpriced: int


@dataclass(frozen=True, slots=True)
class Uncharged:
    """What was measured of a meter and flavor, in smallest steps, and is not charged (yet).

    Billed usage lacks a price, suspect and unmetered usage a verdict.
    """

    meter_id: int
    flavor_id: int
    kind: UsageKind
    quantity: int


async def sum_charges(
    conn: Connection,
    project_id: int,
    *,
    start: datetime,
    end: datetime,
    by: Literal["hour", "day", "month"],
) -> list[Spent]:
    """Sum a project's charges per hour, UTC day or month, meter and flavor, oldest first.

    The period is one of whole days unless hours are asked for. What an older service had charged
    counts in the hour of the opening, without a flavor.
    """
    if by == "hour":
        return await _sum_hours(conn, project_id, start=start, end=end)
    rows = await conn.fetch(
        """
        SELECT date_trunc($4, start, 'UTC') AS start, meter_id, flavor_id, sum(amount) AS credits
        FROM (
            SELECT start, meter_id, flavor_id, amount FROM booked_usage
            WHERE project_id = $1 AND length = 'day' AND start >= $2 AND start < $3
            UNION ALL
            SELECT hour, meter_id, flavor_id, charged - booked FROM charge
            WHERE project_id = $1 AND hour >= $2 AND hour < $3 AND charged <> booked
        ) used
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """,
        project_id,
        start,
        end,
        by,
    )
    return [Spent(**dict(row)) for row in rows]


async def _sum_hours(
    conn: Connection, project_id: int, *, start: datetime, end: datetime
) -> list[Spent]:
    rows = await conn.fetch(
        """
        SELECT hour AS start, meter_id, flavor_id, sum(amount) AS credits
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


async def sum_moved(
    conn: Connection,
    project_id: int,
    *,
    start: datetime,
    end: datetime,
    by: Literal["hour", "day"],
) -> list[Moved]:
    """Sum what changed the balance besides usage, booked or not, per hour or UTC day."""
    rows = await conn.fetch(
        """
        SELECT date_trunc($4, hour, 'UTC') AS start,
               coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS given,
               coalesce(-sum(amount) FILTER (WHERE amount < 0), 0) AS taken
        FROM (
            SELECT hour, amount FROM entry
            WHERE project_id = $1 AND meter_id IS NULL AND hour >= $2 AND hour < $3
            UNION ALL
            SELECT hour, booked - expired FROM expiry
            WHERE project_id = $1 AND expired <> booked AND hour >= $2 AND hour < $3
        ) moved
        GROUP BY 1 ORDER BY 1
        """,
        project_id,
        start,
        end,
        by,
    )
    return [Moved(**dict(row)) for row in rows]


async def list_changes(
    conn: Connection,
    project_id: int,
    *,
    start: datetime,
    end: datetime,
    limit: int,
    of_usage: bool = True,
) -> list[Change]:
    """Give what stands in the account besides usage in these hours, the latest first.

    Corrections `of_usage` are among them, if they are wanted.
    """
    rows = await conn.fetch(
        """
        SELECT hour, kind, amount, reason, meter_id, flavor_id, grant_id, entry_id, booked_at
        FROM (
            SELECT hour, kind, amount, reason, meter_id, flavor_id, grant_id, id AS entry_id,
                   booked_at, sequence
            FROM entry
            WHERE project_id = $1 AND hour >= $2 AND hour < $3
              AND kind <> 'usage' AND (kind <> 'opening' OR meter_id IS NULL)
              AND ($5 OR meter_id IS NULL)
            UNION ALL
            SELECT hour, NULL, booked - expired, '', NULL, NULL, grant_id, NULL, NULL, NULL
            FROM expiry
            WHERE project_id = $1 AND expired <> booked AND hour >= $2 AND hour < $3
        ) changes
        ORDER BY hour DESC, sequence DESC NULLS FIRST, grant_id DESC LIMIT $4
        """,
        project_id,
        start,
        end,
        limit,
        of_usage,
    )
    return [
        Change(**{**dict(row), "kind": None if row["kind"] is None else EntryKind(row["kind"])})
        for row in rows
    ]


async def first_given(
    conn: Connection, project_id: int
) -> tuple[datetime, Credits] | tuple[None, None]:
    """Give the first hour in which credits were given, and how many they were."""
    row = await conn.fetchrow(
        """
        SELECT hour, sum(amount) AS amount FROM entry
        WHERE project_id = $1 AND meter_id IS NULL
        GROUP BY hour ORDER BY hour LIMIT 1
        """,
        project_id,
    )
    return (None, None) if row is None else (row["hour"], row["amount"])


async def sum_metered(
    conn: Connection, project_id: int, *, start: datetime, end: datetime
) -> list[Metered]:
    """Sum what a project was metered (billed, or settled so), as far as hours are kept."""
    series_ids = await list_series_of_project(conn, project_id, meter_id=None, series_id=None)
    rows = await conn.fetch(
        with_used(
            """
            SELECT s.meter_id, u.flavor_id, sum(u.quantity + u.unpriced) AS quantity,
                   sum(u.unpriced) AS unpriced
            FROM used u JOIN series s ON s.id = u.series_id
            GROUP BY s.meter_id, u.flavor_id HAVING sum(u.quantity + u.unpriced) > 0
            ORDER BY s.meter_id, u.flavor_id
            """
        ),
        *series_arguments(series_ids, cut(await read_open_days(conn), start, end)),
    )
    return [
        Metered(row["meter_id"], row["flavor_id"], int(row["quantity"]), int(row["unpriced"]))
        for row in rows
    ]


async def sum_uncharged(
    conn: Connection, project_id: int, *, start: datetime, end: datetime
) -> list[Uncharged]:
    """Sum what was measured and has no charge, not even of nothing, as far as hours are kept."""
    rows = await conn.fetch(
        """
        SELECT s.meter_id, u.flavor_id, u.kind, sum(u.quantity) AS quantity
        FROM series s CROSS JOIN LATERAL (
            SELECT flavor_id, kind, quantity FROM usage
            WHERE usage.series_id = s.id AND hour >= $2 AND hour < $3
              AND open_kind IS NOT NULL AND quantity > 0
            OFFSET 0
        ) u
        WHERE s.project_id = $1
        GROUP BY s.meter_id, u.flavor_id, u.kind ORDER BY s.meter_id, u.flavor_id, u.kind
        """,
        project_id,
        start,
        end,
    )
    return [
        Uncharged(row["meter_id"], row["flavor_id"], UsageKind(row["kind"]), int(row["quantity"]))
        for row in rows
    ]


async def sum_opened(
    conn: Connection, project_id: int, *, start: datetime, end: datetime
) -> Credits:
    """Sum what an older service had charged, where the hour of the opening lies in a period."""
    total: Credits = await conn.fetchval(
        """
        SELECT coalesce(-sum(amount), 0) FROM entry
        WHERE project_id = $1 AND kind = 'opening' AND meter_id IS NOT NULL
          AND hour >= $2 AND hour < $3
        """,
        project_id,
        start,
        end,
    )
    return total


async def sum_lines_since(conn: Connection, project_id: int, day: datetime) -> Credits:
    """Give by how much everything from the start of a UTC day on changed the balance.

    Like `history.sum_lines`, but quick however much was booked since.
    """
    total: Credits = await conn.fetchval(
        """
        SELECT coalesce(sum(amount), 0) FROM (
            SELECT -amount AS amount FROM booked_usage
            WHERE project_id = $1 AND length = 'day' AND start >= $2
            UNION ALL
            SELECT booked - charged FROM charge
            WHERE project_id = $1 AND charged <> booked AND hour >= $2
            UNION ALL
            SELECT amount FROM entry
            WHERE project_id = $1 AND meter_id IS NULL AND hour >= $2
            UNION ALL
            SELECT booked - expired FROM expiry
            WHERE project_id = $1 AND expired <> booked AND hour >= $2
        ) changes
        """,
        project_id,
        day,
    )
    return total
