"""Table `whereabouts`: from which full hour on a series was where; a row only on change.

The place in an hour is that of the latest sample in it, and holds until the next hour that has
one. So what is stored is a function of the samples, whatever came first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.period import from_ms, to_ms
from os_credits.domain.whereabouts import Whereabouts
from os_credits.store.hosts import ensure_hosts
from os_credits.store.slices import slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Move:
    """From an hour (ms since the epoch) on, a series is somewhere else."""

    series_id: int
    hour_ms: int
    where: Whereabouts


async def read_of_label_sets(conn: Connection, ids: Sequence[int]) -> dict[int, Whereabouts]:
    """Give what the labels of these label sets say, by the names that their meters give."""
    rows = await conn.fetch(
        """
        SELECT l.id, coalesce(l.labels ->> m.host_label, ''),
               coalesce(l.labels ->> m.region_label, ''),
               coalesce(l.labels ->> m.provider_label, ''),
               coalesce(l.labels ->> m.state_label, '')
        FROM label_set l JOIN series s ON s.id = l.series_id JOIN meter m ON m.id = s.meter_id
        WHERE l.id = ANY($1::bigint[])
        """,
        ids,
    )
    return {row[0]: Whereabouts(*row[1:]) for row in rows}


async def read_latest(conn: Connection, series_ids: Sequence[int]) -> dict[int, Whereabouts]:
    """Give where these series were last, as far as it is known."""
    rows = await conn.fetch(
        """
        SELECT s.series_id, h.name, h.region, h.provider, w.state
        FROM unnest($1::bigint[]) AS s(series_id)
        CROSS JOIN LATERAL (
            SELECT host_id, state FROM whereabouts
            WHERE whereabouts.series_id = s.series_id ORDER BY hour DESC LIMIT 1
        ) w JOIN host h ON h.id = w.host_id
        """,
        series_ids,
    )
    return {row[0]: Whereabouts(*row[1:]) for row in rows}


async def read_moves(conn: Connection, spans: Sequence[tuple[int, int, int]]) -> list[Move]:
    """Give the moves of each series from a first to a last hour (ms), and the one before those.

    By series and hour.
    """
    rows = await conn.fetch(
        """
        SELECT s.series_id, w.hour, h.name, h.region, h.provider, w.state
        FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[])
             AS s(series_id, first, last)
        CROSS JOIN LATERAL (
            (SELECT hour, host_id, state FROM whereabouts w
             WHERE w.series_id = s.series_id AND w.hour < s.first ORDER BY hour DESC LIMIT 1)
            UNION ALL
            SELECT hour, host_id, state FROM whereabouts w
            WHERE w.series_id = s.series_id AND w.hour BETWEEN s.first AND s.last
        ) w JOIN host h ON h.id = w.host_id
        ORDER BY s.series_id, w.hour
        """,
        [series_id for series_id, _, _ in spans],
        [from_ms(first_ms) for _, first_ms, _ in spans],
        [from_ms(last_ms) for _, _, last_ms in spans],
    )
    return [Move(row[0], to_ms(row[1]), Whereabouts(*row[2:])) for row in rows]


async def put_moves(conn: Connection, moves: Sequence[Move]) -> None:
    """Store these moves instead of what stood for their series and hours."""
    for part in slices(len(moves)):
        chosen = moves[part]
        host_ids = await ensure_hosts(conn, (one.where[:3] for one in chosen))
        await conn.execute(
            """
            INSERT INTO whereabouts AS w (series_id, hour, host_id, state)
            SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::int[], $4::text[])
            ON CONFLICT (series_id, hour)
            DO UPDATE SET host_id = excluded.host_id, state = excluded.state
            """,
            [one.series_id for one in chosen],
            [from_ms(one.hour_ms) for one in chosen],
            [host_ids[one.where[:3]] for one in chosen],
            [one.where.state for one in chosen],
        )


async def delete_moves(conn: Connection, keys: Sequence[tuple[int, int]]) -> None:
    """Remove the moves of these series and hours (ms)."""
    await conn.execute(
        """
        DELETE FROM whereabouts w
        USING unnest($1::bigint[], $2::timestamptz[]) AS k(series_id, hour)
        WHERE w.series_id = k.series_id AND w.hour = k.hour
        """,
        [series_id for series_id, _ in keys],
        [from_ms(hour_ms) for _, hour_ms in keys],
    )
