"""Table `transfer`, as people read it: with the entry in the ledger of either project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class StoredTransfer:
    """A transfer and what it made; `expires_at` None: the receiver's grant never expires."""

    id: int
    from_project_id: int
    to_project_id: int
    amount: Credits
    reason: str
    author: str
    created_at: datetime
    grant_id: int
    expires_at: datetime | None
    sender_entry_id: int
    receiver_entry_id: int


async def find_transfers(conn: Connection, transfer_ids: Sequence[int]) -> list[StoredTransfer]:
    """Give the transfers with these ids, as far as they exist, by id."""
    rows = await conn.fetch(
        """
        SELECT t.id, t.from_project_id, t.to_project_id, t.amount, t.reason, t.author,
               t.created_at, t.grant_id, g.expires_at, s.id AS sender_entry_id,
               r.id AS receiver_entry_id
        FROM transfer t
        JOIN project_grant g ON g.id = t.grant_id
        JOIN entry s ON s.entry_key = 'transfer:' || t.id
        JOIN entry r ON r.entry_key = 'grant:' || t.grant_id
        WHERE t.id = ANY($1::bigint[]) ORDER BY t.id
        """,
        transfer_ids,
    )
    return [StoredTransfer(**dict(row)) for row in rows]


async def list_transfers(
    conn: Connection, project_id: int, *, after_id: int, limit: int
) -> list[StoredTransfer]:
    """Give what a project sent and received, oldest first, from after `after_id` on."""
    rows = await conn.fetch(
        """
        SELECT id FROM transfer
        WHERE (from_project_id = $1 OR to_project_id = $1) AND id > $2 ORDER BY id LIMIT $3
        """,
        project_id,
        after_id,
        limit,
    )
    return await find_transfers(conn, [row["id"] for row in rows])


async def list_partners(conn: Connection, entry_ids: Sequence[int]) -> dict[int, int]:
    """Give the other project of each of these entries that is one side of a transfer."""
    rows = await conn.fetch(
        """
        SELECT e.id, CASE WHEN t.from_project_id = e.project_id
                          THEN t.to_project_id ELSE t.from_project_id END AS partner_id
        FROM entry e JOIN transfer t
            ON t.grant_id = e.grant_id
            OR (e.grant_id IS NULL AND t.from_project_id = e.project_id
                AND e.entry_key = 'transfer:' || t.id)
        WHERE e.id = ANY($1::bigint[]) AND e.kind = 'transfer'
        """,
        entry_ids,
    )
    return {row["id"]: row["partner_id"] for row in rows}
