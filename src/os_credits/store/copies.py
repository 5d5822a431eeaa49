"""Table `service_copy`: the running copies of the service, as each last said of itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from os_credits.domain.copy import Copy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta
    from typing import Any
    from uuid import UUID

    from os_credits.store.pool import Connection


async def put_copy(
    conn: Connection,
    *,
    copy_id: UUID,
    host: str,
    process_id: int,
    version: str,
    up: timedelta,
    jobs: Sequence[Mapping[str, Any]],
) -> datetime:
    """Say that a copy runs, since `up`, and how its jobs fare; gives the database's clock."""
    row = await conn.fetchrow(
        """
        INSERT INTO service_copy (id, host, process_id, version, started_at, seen_at, jobs)
        VALUES ($1, $2, $3, $4, clock_timestamp() - $5::interval, clock_timestamp(), $6)
        ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, jobs = excluded.jobs
        RETURNING seen_at
        """,
        copy_id,
        host,
        process_id,
        version,
        up,
        json.dumps(jobs),
    )
    assert row is not None  # noqa: S101 - a row is written in any case
    seen_at: datetime = row["seen_at"]
    return seen_at


async def list_copies(conn: Connection) -> list[Copy]:
    """Give the copies that were heard of lately, the oldest first."""
    rows = await conn.fetch(
        """
        SELECT id, host, process_id, version, started_at, seen_at, jobs
        FROM service_copy ORDER BY started_at, id
        """
    )
    return [Copy(**{**dict(row), "jobs": json.loads(row["jobs"])}) for row in rows]


async def forget_copies(conn: Connection, *, before: datetime) -> None:
    """Drop copies that nothing was heard of since a moment."""
    await conn.execute("DELETE FROM service_copy WHERE seen_at < $1", before)
