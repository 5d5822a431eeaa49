"""Table `usage` (hypertable): whole steps, and what they cost, per series, hour, flavor, kind."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits
from os_credits.domain.period import from_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.store.pool import Connection

# Series, hour (ms since the epoch), flavor, kind.
UsageKey = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class UsageRow:
    """A quantity in the meter's smallest steps, and its credits (None: without a price)."""

    key: UsageKey
    quantity: int
    credits: Credits | None


@dataclass(frozen=True, slots=True)
class PricedUsage:
    """A stored row together with whom and what it concerns, for pricing it anew."""

    row: UsageRow
    project_id: int
    meter_id: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which usage: from an hour on up to an end, of one meter, flavor, project, series."""

    start: datetime
    meter_id: int | None = None
    flavor_id: int | None = None
    project_id: int | None = None
    series_id: int | None = None
    end: datetime | None = None


async def read_usage(
    conn: Connection, keys: Sequence[UsageKey]
) -> dict[UsageKey, tuple[int, Credits | None]]:
    """Read quantity and credits of the rows with these keys, as far as they exist."""
    if not keys:
        return {}
    hours = [key[1] for key in keys]
    rows = await conn.fetch(
        """
        SELECT u.series_id, u.hour, u.flavor_id, u.kind, u.quantity, u.credits
        FROM unnest($1::bigint[], $2::timestamptz[], $3::int[], $4::smallint[])
             AS w(series_id, hour, flavor_id, kind)
        CROSS JOIN LATERAL (
            SELECT * FROM usage
            WHERE usage.series_id = w.series_id AND usage.hour = w.hour
              AND usage.flavor_id = w.flavor_id AND usage.kind = w.kind
              AND usage.hour BETWEEN $5 AND $6
            LIMIT 1
        ) u
        """,
        [key[0] for key in keys],
        _moments(hours),
        [key[2] for key in keys],
        [key[3] for key in keys],
        from_ms(min(hours)),
        from_ms(max(hours)),
    )
    return {(row[0], to_ms(row[1]), row[2], row[3]): (int(row[4]), row[5]) for row in rows}


async def copy_usage(conn: Connection, rows: Sequence[UsageRow]) -> None:
    """Append rows under whose keys nothing is stored yet."""
    await conn.copy_records_to_table(
        "usage",
        columns=["series_id", "hour", "flavor_id", "kind", "quantity", "credits"],
        records=[
            (row.key[0], hour, row.key[2], row.key[3], Decimal(row.quantity), row.credits)
            for row, hour in zip(rows, _moments([row.key[1] for row in rows]), strict=True)
        ],
    )


async def put_usage(conn: Connection, rows: Sequence[UsageRow]) -> None:
    """Store these rows as they are, instead of what stood under their keys."""
    if not rows:
        return
    await conn.execute(
        """
        INSERT INTO usage (series_id, hour, flavor_id, kind, quantity, credits)
        SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::int[], $4::smallint[],
                             $5::numeric[], $6::numeric[])
        ON CONFLICT (series_id, hour, flavor_id, kind)
        DO UPDATE SET quantity = excluded.quantity, credits = excluded.credits
        """,
        [row.key[0] for row in rows],
        _moments([row.key[1] for row in rows]),
        [row.key[2] for row in rows],
        [row.key[3] for row in rows],
        [Decimal(row.quantity) for row in rows],
        [row.credits for row in rows],
    )


async def count_usage(conn: Connection, chosen: Chosen) -> list[tuple[datetime, int]]:
    """Count the chosen rows of each hour that has any, by hour."""
    rows = await conn.fetch(
        """
        SELECT u.hour, count(*) FROM usage u JOIN series s ON s.id = u.series_id
        WHERE u.hour >= $1 AND ($6::timestamptz IS NULL OR u.hour < $6)
          AND ($2::int IS NULL OR s.meter_id = $2)
          AND ($3::int IS NULL OR u.flavor_id = $3)
          AND ($4::bigint IS NULL OR s.project_id = $4)
          AND ($5::bigint IS NULL OR s.id = $5)
        GROUP BY u.hour ORDER BY u.hour
        """,
        chosen.start,
        chosen.meter_id,
        chosen.flavor_id,
        chosen.project_id,
        chosen.series_id,
        chosen.end,
    )
    return [(row[0], row[1]) for row in rows]


async def read_chosen_usage(
    conn: Connection, chosen: Chosen, first: datetime, last: datetime
) -> list[PricedUsage]:
    """Read the chosen rows of the hours from the first to the last, both included."""
    rows = await conn.fetch(
        """
        SELECT u.series_id, u.hour, u.flavor_id, u.kind, u.quantity, u.credits,
               s.project_id, s.meter_id
        FROM usage u JOIN series s ON s.id = u.series_id
        WHERE u.hour BETWEEN $1 AND $6
          AND ($2::int IS NULL OR s.meter_id = $2)
          AND ($3::int IS NULL OR u.flavor_id = $3)
          AND ($4::bigint IS NULL OR s.project_id = $4)
          AND ($5::bigint IS NULL OR s.id = $5)
        """,
        first,
        chosen.meter_id,
        chosen.flavor_id,
        chosen.project_id,
        chosen.series_id,
        last,
    )
    return [
        PricedUsage(
            UsageRow((row[0], to_ms(row[1]), row[2], row[3]), int(row[4]), row[5]), row[6], row[7]
        )
        for row in rows
    ]


async def list_unpriced(conn: Connection) -> list[dict[str, object]]:
    """Give per meter and flavor how much billable usage has no price, and since when."""
    rows = await conn.fetch(
        """
        SELECT m.name AS meter, f.name AS flavor, count(*) AS hours, sum(u.quantity) AS quantity,
               min(u.hour) AS first_hour, max(u.hour) AS last_hour
        FROM usage u JOIN series s ON s.id = u.series_id
        JOIN meter m ON m.id = s.meter_id JOIN flavor f ON f.id = u.flavor_id
        WHERE u.credits IS NULL AND u.kind = 0 AND u.quantity > 0
        GROUP BY m.name, f.name ORDER BY m.name, f.name
        """
    )
    return [dict(row) for row in rows]


def _moments(hours_ms: Sequence[int]) -> list[datetime]:
    """Make a moment of each hour; few hours stand for many rows, so each is made once."""
    known = {ms: from_ms(ms) for ms in set(hours_ms)}
    return [known[ms] for ms in hours_ms]
