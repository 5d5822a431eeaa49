"""Table `instruction`: what was told to accounts, once for each idempotency key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Effect:
    """What an instruction made: any of these may be None."""

    grant_id: int | None = None
    transfer_id: int | None = None
    allowance_id: int | None = None
    entry_id: int | None = None


@dataclass(frozen=True, slots=True)
class StoredInstruction:
    """What a key stands for, and what came of it."""

    id: int
    digest: bytes
    effect: Effect


async def find_instruction(conn: Connection, idempotency_key: str) -> StoredInstruction | None:
    """Find what this key stands for."""
    row = await conn.fetchrow(
        """
        SELECT id, digest, grant_id, transfer_id, allowance_id, entry_id FROM instruction
        WHERE idempotency_key = $1
        """,
        idempotency_key,
    )
    if row is None:
        return None
    number, digest, *effect = row
    return StoredInstruction(number, digest, Effect(*effect))


async def insert_instruction(
    conn: Connection,
    *,
    idempotency_key: str,
    action: str,
    digest: bytes,
    project_id: int,
    effect: Effect,
) -> None:
    """Store what a key stands for from now on."""
    await conn.execute(
        """
        INSERT INTO instruction (idempotency_key, action, digest, project_id, grant_id,
                                 transfer_id, allowance_id, entry_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        idempotency_key,
        action,
        digest,
        project_id,
        effect.grant_id,
        effect.transfer_id,
        effect.allowance_id,
        effect.entry_id,
    )
