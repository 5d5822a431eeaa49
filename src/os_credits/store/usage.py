"""Table `usage` (hypertable): whole steps, and what they cost, per series, hour, flavor, kind."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from os_credits.domain.amount import Credits, from_micro, to_micro
from os_credits.domain.period import from_ms, to_ms
from os_credits.domain.usage import CostColumns, Owners, UsageColumns, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from asyncpg import Record
    from numpy.typing import NDArray

    from os_credits.store.pool import Connection


# From so many rows on an hour is worth a statement of its own.
HOUR_ROWS_MIN = 50


@dataclass(frozen=True, slots=True)
class StoredUsage:
    """Rows of `usage` in columns, with what they cost and whom they concern."""

    usage: UsageColumns
    costs: CostColumns
    owners: Owners

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.usage)


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
    conn: Connection, keys: UsageColumns
) -> tuple[NDArray[np.bool_], NDArray[Any], CostColumns]:
    """Tell of each key whether there is a row, with its quantity and costs (0 where there is not).

    The quantities of `keys` do not matter.
    """
    found = np.zeros(len(keys), np.bool_)
    if not len(keys):
        return found, whole([]), CostColumns.unpriced(0)
    hours = from_ms(int(keys.hours_ms.min())), from_ms(int(keys.hours_ms.max()))
    rows = await conn.fetch(
        """
        SELECT u.quantity, u.credits, w.place
        FROM unnest($1::bigint[], $2::timestamptz[], $3::int[], $4::smallint[])
             WITH ORDINALITY AS w(series_id, hour, flavor_id, kind, place)
        CROSS JOIN LATERAL (
            SELECT * FROM usage
            WHERE usage.series_id = w.series_id AND usage.hour = w.hour
              AND usage.flavor_id = w.flavor_id AND usage.kind = w.kind
              AND usage.hour BETWEEN $5 AND $6
            LIMIT 1
        ) u
        """,
        *_key_arguments(keys),
        *hours,
    )
    quantities, micro = [0] * len(keys), [0] * len(keys)
    is_priced = np.zeros(len(keys), np.bool_)
    for quantity, credits_, number in rows:
        place = number - 1
        found[place], quantities[place] = True, int(quantity)
        if credits_ is not None:
            is_priced[place], micro[place] = True, to_micro(credits_)
    return found, whole(quantities), CostColumns(whole(micro), is_priced)


async def copy_usage(conn: Connection, usage: UsageColumns, costs: CostColumns) -> None:
    """Append rows under whose keys nothing is stored yet."""
    if not len(usage):
        return
    await conn.copy_records_to_table(
        "usage",
        columns=["series_id", "hour", "flavor_id", "kind", "quantity", "credits"],
        records=zip(
            *_key_arguments(usage),
            map(Decimal, usage.quantities.tolist()),
            _credits(costs),
            strict=True,
        ),
    )


async def update_usage(conn: Connection, usage: UsageColumns, costs: CostColumns) -> None:
    """Let rows that are stored have these quantities and costs."""
    if not len(usage):
        return
    hours_ms, hour_of, counts = np.unique(usage.hours_ms, return_inverse=True, return_counts=True)
    are_many = counts >= HOUR_ROWS_MIN
    if object in (usage.quantities.dtype, costs.micro.dtype):
        are_many[:] = False
    for number in np.flatnonzero(are_many).tolist():
        rows = np.flatnonzero(hour_of == number)
        hour = from_ms(int(hours_ms[number]))
        await _update_hour(conn, hour, usage.where(rows), costs.where(rows))
    rest = np.flatnonzero(~are_many[hour_of])
    if len(rest):
        await _update_rows(conn, usage.where(rest), costs.where(rest))


async def _update_hour(
    conn: Connection, hour: datetime, usage: UsageColumns, costs: CostColumns
) -> None:
    """Do so for rows of one hour: to send it with each would cost as much as all the rest."""
    micro = costs.micro.tolist()
    if not costs.is_priced.all():
        micro = [
            one if known else None
            for one, known in zip(micro, costs.is_priced.tolist(), strict=True)
        ]
    # A millionth times a whole number: exact, and of six digits after the point.
    await conn.execute(
        """
        UPDATE usage u SET quantity = w.quantity, credits = w.micro * 0.000001
        FROM unnest($2::bigint[], $3::int[], $4::smallint[], $5::bigint[], $6::bigint[])
             AS w(series_id, flavor_id, kind, quantity, micro)
        WHERE u.hour = $1 AND u.series_id = w.series_id AND u.flavor_id = w.flavor_id
          AND u.kind = w.kind
        """,
        hour,
        usage.series_ids.tolist(),
        usage.flavor_ids.tolist(),
        usage.kinds.tolist(),
        usage.quantities.tolist(),
        micro,
    )


async def _update_rows(conn: Connection, usage: UsageColumns, costs: CostColumns) -> None:
    """Do so for rows of any hours, with numbers that a bigint need not hold."""
    await conn.execute(
        """
        UPDATE usage u SET quantity = w.quantity, credits = w.credits
        FROM unnest($1::bigint[], $2::timestamptz[], $3::int[], $4::smallint[],
                    $5::numeric[], $6::numeric[])
             AS w(series_id, hour, flavor_id, kind, quantity, credits)
        WHERE u.series_id = w.series_id AND u.hour = w.hour AND u.flavor_id = w.flavor_id
          AND u.kind = w.kind AND u.hour BETWEEN $7 AND $8
        """,
        *_key_arguments(usage),
        list(map(Decimal, usage.quantities.tolist())),
        _credits(costs),
        from_ms(int(usage.hours_ms.min())),
        from_ms(int(usage.hours_ms.max())),
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
) -> StoredUsage:
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
    return _in_columns(rows)


def _in_columns(rows: Sequence[Record]) -> StoredUsage:
    def column(name: str) -> NDArray[np.int64]:
        return np.array([row[name] for row in rows], np.int64)

    priced = np.array([row["credits"] is not None for row in rows], np.bool_)
    micro = [0 if row["credits"] is None else to_micro(row["credits"]) for row in rows]
    return StoredUsage(
        UsageColumns(
            column("series_id"),
            column("flavor_id"),
            np.array([to_ms(row["hour"]) for row in rows], np.int64),
            column("kind"),
            whole([int(row["quantity"]) for row in rows]),
        ),
        CostColumns(whole(micro), priced),
        Owners(column("project_id"), column("meter_id")),
    )


async def list_unpriced(conn: Connection) -> list[dict[str, object]]:
    """Give per meter and flavor how much billable usage has no price, and since when."""
    rows = await conn.fetch(
        """
        SELECT m.name AS meter, f.name AS flavor, count(*) AS hours, sum(u.quantity) AS quantity,
               min(u.hour) AS first_hour, max(u.hour) AS last_hour
        FROM usage u JOIN series s ON s.id = u.series_id
        JOIN meter m ON m.id = s.meter_id JOIN flavor f ON f.id = u.flavor_id
        WHERE u.open_kind = 0 AND u.quantity > 0
        GROUP BY m.name, f.name ORDER BY m.name, f.name
        """
    )
    return [dict(row) for row in rows]


def _key_arguments(usage: UsageColumns) -> tuple[list[int], list[datetime], list[int], list[int]]:
    """Give the keys as arguments; few hours stand for many rows, so each is made once."""
    hours_ms = usage.hours_ms.tolist()
    moments = {ms: from_ms(ms) for ms in set(hours_ms)}
    return (
        usage.series_ids.tolist(),
        [moments[ms] for ms in hours_ms],
        usage.flavor_ids.tolist(),
        usage.kinds.tolist(),
    )


def _credits(costs: CostColumns) -> list[Credits | None]:
    return [
        from_micro(micro) if known else None
        for micro, known in zip(costs.micro.tolist(), costs.is_priced.tolist(), strict=True)
    ]
