"""Tables `entry`, `project_grant` and `exclusion`: what openings have written before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class OpenedEntry:
    """What an opening entry says; its key is the import's own."""

    entry_key: str
    amount: Credits
    hour: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class OpenedMeter:
    """From when on a project's samples of a meter count, and why."""

    meter_id: int
    ends_at: datetime
    reason: str


async def find_opened_entries(
    conn: Connection, entry_keys: Sequence[str]
) -> dict[str, OpenedEntry]:
    """Find entries by their keys."""
    rows = await conn.fetch(
        "SELECT entry_key, amount, hour, reason FROM entry WHERE entry_key = ANY($1::text[])",
        entry_keys,
    )
    return {row["entry_key"]: OpenedEntry(**dict(row)) for row in rows}


async def find_used_keys(conn: Connection, idempotency_keys: Sequence[str]) -> set[str]:
    """Tell which of these idempotency keys stand for a grant already."""
    rows = await conn.fetch(
        "SELECT idempotency_key FROM project_grant WHERE idempotency_key = ANY($1::text[])",
        idempotency_keys,
    )
    return {row["idempotency_key"] for row in rows}


async def find_opened_meters(
    conn: Connection, project_id: int, *, reason_prefix: str
) -> dict[int, OpenedMeter]:
    """Give the meters whose earlier samples an opening has excluded, lifted since or not."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (meter_id) meter_id, ends_at, reason FROM exclusion
        WHERE project_id = $1 AND meter_id IS NOT NULL AND series_id IS NULL
          AND starts_at IS NULL AND ends_at IS NOT NULL AND starts_with(reason, $2)
        ORDER BY meter_id, id
        """,
        project_id,
        reason_prefix,
    )
    return {row["meter_id"]: OpenedMeter(**dict(row)) for row in rows}
