"""Table `settlement`: verdicts on suspect and unmetered usage, never edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.settlement import Settlement, Verdict
from os_credits.domain.usage import UsageKind

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.store.pool import Connection


async def insert_settlement(
    conn: Connection,
    *,
    project_id: int,
    meter_id: int | None,
    series_id: int | None,
    kind: UsageKind,
    first_hour: datetime,
    end_hour: datetime,
    verdict: Verdict,
    reason: str,
    author: str,
) -> int:
    """Store a verdict and give its id."""
    settlement_id = await conn.fetchval(
        """
        INSERT INTO settlement (project_id, meter_id, series_id, kind, first_hour, end_hour,
                                verdict, reason, author)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id
        """,
        project_id,
        meter_id,
        series_id,
        int(kind),
        first_hour,
        end_hour,
        verdict.value,
        reason,
        author,
    )
    return int(settlement_id)


async def list_settlements(conn: Connection, project_id: int | None = None) -> list[Settlement]:
    """Give the verdicts on one project's usage, or all, oldest first."""
    rows = await conn.fetch(
        """
        SELECT id, project_id, meter_id, series_id, kind, first_hour, end_hour, verdict,
               reason, author
        FROM settlement WHERE $1::bigint IS NULL OR project_id = $1 ORDER BY id
        """,
        project_id,
    )
    return [
        Settlement(
            **{
                **dict(row),
                "kind": UsageKind(row["kind"]),
                "verdict": Verdict(row["verdict"]),
            }
        )
        for row in rows
    ]
