"""Balances: sums over `entry` and the open parts of `charge` and `expiry`, in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.balance import Balance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.store.pool import Connection


async def read_balances(conn: Connection, project_ids: Sequence[int]) -> dict[int, Balance]:
    """Read the accounts of these projects in one snapshot (one statement).

    `domain/entry.py` says which entries are used and which granted. A lot is valid from its
    entry on until somebody has said what was left of it when it ended; so a balance and the
    grants that it is held against always belong together.
    """
    rows = await conn.fetch(
        """
        SELECT p.id AS project_id, now() AS as_of,
               coalesce(c.granted, 0) AS granted, coalesce(c.granted_now, 0) AS granted_now,
               coalesce(c.credited, 0) AS credited, coalesce(e.balance, 0) AS booked,
               coalesce(t.tally, 0) AS tally, coalesce(x.expiring, 0) AS expiring
        FROM unnest($1::bigint[]) AS p(id)
        LEFT JOIN LATERAL (
            SELECT balance FROM entry WHERE project_id = p.id ORDER BY sequence DESC LIMIT 1
        ) e ON true
        LEFT JOIN LATERAL (
            SELECT sum(amount) AS credited,
                   sum(amount) FILTER (WHERE kind IN ('grant', 'opening')) AS granted,
                   sum(amount) FILTER (
                       WHERE kind IN ('grant', 'opening', 'transfer') AND grant_id IS NOT NULL
                       AND NOT EXISTS (SELECT FROM expiry x WHERE x.grant_id = entry.grant_id
                                       AND x.expired IS NOT NULL)
                   ) AS granted_now
            FROM entry WHERE project_id = p.id AND meter_id IS NULL
        ) c ON true
        LEFT JOIN LATERAL (
            SELECT sum(charged - booked) AS tally FROM charge
            WHERE project_id = p.id AND charged <> booked
        ) t ON true
        LEFT JOIN LATERAL (
            SELECT sum(expired - booked) AS expiring FROM expiry
            WHERE project_id = p.id AND expired <> booked
        ) x ON true
        """,
        project_ids,
    )
    return {row["project_id"]: Balance(**dict(row)) for row in rows}
