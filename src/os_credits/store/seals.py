"""Tables `seal` and `seal_head`: the global chain. They are only ever read and appended to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.seal import Seal, SealedHead

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.store.pool import Connection


async def read_last_seal(conn: Connection) -> Seal | None:
    """Give the newest seal; None before the first."""
    row = await conn.fetchrow(
        """
        SELECT id, sealed_at, head_count, previous_hash, hash FROM seal
        ORDER BY id DESC LIMIT 1
        """
    )
    return None if row is None else Seal(**dict(row))


async def list_unsealed_heads(conn: Connection) -> list[SealedHead]:
    """Give, as of one moment, every project's last entry that no seal holds yet."""
    rows = await conn.fetch(
        """
        SELECT p.id, e.sequence, e.hash
        FROM project p
        CROSS JOIN LATERAL (
            SELECT sequence, hash FROM entry
            WHERE project_id = p.id ORDER BY sequence DESC LIMIT 1
        ) e
        LEFT JOIN LATERAL (
            SELECT sequence, hash FROM seal_head
            WHERE project_id = p.id ORDER BY sequence DESC LIMIT 1
        ) s ON true
        WHERE (s.sequence, s.hash) IS DISTINCT FROM (e.sequence, e.hash)
        """
    )
    return [SealedHead(row[0], row[1], row[2]) for row in rows]


async def append_seal(
    conn: Connection,
    heads: Sequence[SealedHead],
    *,
    sealed_at: datetime,
    previous_hash: bytes,
    seal_hash: bytes,
) -> Seal:
    """Append a seal over these heads and give it; another one after the same seal cannot be."""
    seal_id: int = await conn.fetchval(
        """
        WITH sealed AS (
            INSERT INTO seal (sealed_at, head_count, previous_hash, hash)
            VALUES ($1, $2, $3, $4) RETURNING id
        ), heads AS (
            INSERT INTO seal_head (seal_id, project_id, sequence, hash)
            SELECT sealed.id, h.project_id, h.sequence, h.hash
            FROM sealed, unnest($5::bigint[], $6::bigint[], $7::bytea[])
                AS h(project_id, sequence, hash)
        )
        SELECT id FROM sealed
        """,
        sealed_at,
        len(heads),
        previous_hash,
        seal_hash,
        [head.project_id for head in heads],
        [head.sequence for head in heads],
        [head.hash for head in heads],
    )
    return Seal(seal_id, sealed_at, len(heads), previous_hash, seal_hash)
