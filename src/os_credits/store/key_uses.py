"""Table `key_use`: when each key was last used, to the accuracy of some seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from os_credits.store.pool import Connection


async def put_uses(conn: Connection, used_at: Mapping[int, datetime]) -> None:
    """Remember when keys (by id) were last used; an older moment changes nothing."""
    await conn.execute(
        """
        INSERT INTO key_use (key_id, used_at)
        SELECT w.key_id, w.used_at FROM unnest($1::bigint[], $2::timestamptz[])
            AS w(key_id, used_at)
        WHERE EXISTS (SELECT FROM api_key WHERE id = w.key_id)
        ORDER BY w.key_id
        ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at
        WHERE key_use.used_at < excluded.used_at
        """,
        list(used_at),
        list(used_at.values()),
    )


async def read_uses(conn: Connection) -> dict[int, datetime]:
    """Give when each key was last used, by its id; those never used are missing."""
    rows = await conn.fetch("SELECT key_id, used_at FROM key_use")
    return {row["key_id"]: row["used_at"] for row in rows}
