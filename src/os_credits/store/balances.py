"""Balances: sums over `entry` and the open part of `charge`, in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.balance import Balance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.store.pool import Connection


async def read_balances(conn: Connection, project_ids: Sequence[int]) -> dict[int, Balance]:
    """Read the accounts of these projects in one snapshot (one statement).

    `domain/entry.py` says which entries are used and which granted; that usage has a meter is
    said twice, so that the index of all other entries serves.
    """
    rows = await conn.fetch(
        """
        SELECT p.id AS project_id, now() AS as_of,
               coalesce(c.granted, 0) AS granted, coalesce(c.credited, 0) AS credited,
               coalesce(e.balance, 0) AS booked, coalesce(t.tally, 0) AS tally
        FROM unnest($1::bigint[]) AS p(id)
        LEFT JOIN LATERAL (
            SELECT balance FROM entry WHERE project_id = p.id ORDER BY sequence DESC LIMIT 1
        ) e ON true
        LEFT JOIN LATERAL (
            SELECT sum(amount) AS credited,
                   sum(amount) FILTER (WHERE kind IN ('grant', 'opening')) AS granted
            FROM entry
            WHERE project_id = p.id AND kind NOT IN ('usage', 'correction') AND meter_id IS NULL
        ) c ON true
        LEFT JOIN LATERAL (
            SELECT sum(charged - booked) AS tally FROM charge
            WHERE project_id = p.id AND charged <> booked
        ) t ON true
        """,
        project_ids,
    )
    return {row["project_id"]: Balance(**dict(row)) for row in rows}
