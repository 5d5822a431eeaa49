"""Tables `budget` and `budget_void`: credits of organisations."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from os_credits.domain.amount import to_micro
from os_credits.domain.budget import Budget
from os_credits.domain.lot import Lot

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from os_credits.domain.budget import BudgetRequest
    from os_credits.store.pool import Connection


async def insert_budget(
    conn: Connection, request: BudgetRequest, *, valid_from: datetime, digest: bytes
) -> int | None:
    """Store a budget and give its id; None if its key stands for one already."""
    budget_id: int | None = await conn.fetchval(
        """
        INSERT INTO budget (organisation_id, amount, valid_from, expires_at, priority, reason,
                            author, idempotency_key, digest)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (idempotency_key) DO NOTHING RETURNING id
        """,
        request.organisation_id,
        request.amount,
        valid_from,
        request.terms.expires_at,
        request.terms.priority,
        request.reason,
        request.author,
        request.idempotency_key,
        digest,
    )
    return budget_id


async def find_by_key(conn: Connection, idempotency_key: str) -> tuple[int, bytes]:
    """Give the budget that a key stands for, and the digest of its content."""
    row = await conn.fetchrow(
        "SELECT id, digest FROM budget WHERE idempotency_key = $1", idempotency_key
    )
    assert row is not None  # noqa: S101 - only asked for after it was found to be taken
    return row["id"], row["digest"]


async def list_budgets(
    conn: Connection, organisation_id: int, *, after_id: int = 0, limit: int
) -> list[Budget]:
    """Give an organisation's budgets, those that were taken back too, by id."""
    rows = await conn.fetch(
        """
        SELECT b.id, b.organisation_id, b.amount, b.valid_from, b.expires_at, b.priority,
               b.reason, b.author, b.created_at, v.budget_id IS NOT NULL AS is_void
        FROM budget b LEFT JOIN budget_void v ON v.budget_id = b.id
        WHERE b.organisation_id = $1 AND b.id > $2 ORDER BY b.id LIMIT $3
        """,
        organisation_id,
        after_id,
        limit,
    )
    return [Budget(**dict(row)) for row in rows]


async def insert_void(conn: Connection, budget_id: int, *, reason: str, author: str) -> bool:
    """Store that a budget is taken back; tells whether it was not before."""
    status = await conn.execute(
        """
        INSERT INTO budget_void (budget_id, reason, author) VALUES ($1, $2, $3)
        ON CONFLICT (budget_id) DO NOTHING
        """,
        budget_id,
        reason,
        author,
    )
    return status != "INSERT 0 0"


async def read_lots(
    conn: Connection, organisation_ids: Collection[int]
) -> dict[int, tuple[Lot, ...]]:
    """Give the budgets of each organisation that has any, but for those taken back."""
    rows = await conn.fetch(
        """
        SELECT b.organisation_id, b.id, b.amount, b.valid_from, b.expires_at, b.priority
        FROM budget b
        WHERE b.organisation_id = ANY($1::bigint[])
          AND NOT EXISTS (SELECT FROM budget_void v WHERE v.budget_id = b.id)
        ORDER BY b.id
        """,
        list(organisation_ids),
    )
    lots: dict[int, list[Lot]] = defaultdict(list)
    for organisation_id, budget_id, amount, *terms in rows:
        lots[organisation_id].append(Lot(budget_id, to_micro(amount), *terms))
    return {organisation_id: tuple(found) for organisation_id, found in lots.items()}
