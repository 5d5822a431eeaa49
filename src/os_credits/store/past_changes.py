"""Tables `charge`, `entry` and `expiry`: what changed accounts hour by hour since a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class PastChange:
    """What changed one account in one hour, in credits.

    `amounts` are in the order of `notify/replay.py: HourChange`.
    """

    project_id: int
    hour: datetime
    amounts: tuple[Credits, ...]


async def list_changes(
    conn: Connection, project_ids: Sequence[int], *, start: datetime, last_hour: datetime
) -> list[PastChange]:
    """Give what changed these accounts in the hours from `start` on, as it is known now.

    What is ahead of the clock counts in the last hour.
    """
    rows = await conn.fetch(
        """
        SELECT project_id, least(hour, $3) AS hour, sum(expired) AS expired, sum(ended) AS ended,
               sum(given) AS given, sum(granted) AS granted, sum(used) AS used,
               sum(taken) AS taken, sum(ungranted) AS ungranted
        FROM (
            SELECT project_id, hour, 0 AS expired, 0 AS ended, 0 AS given, 0 AS granted,
                   charged AS used, 0 AS taken, 0 AS ungranted
            FROM charge WHERE project_id = ANY($1::bigint[]) AND hour >= $2
            UNION ALL
            SELECT project_id, hour, 0, 0, 0, 0, -amount, 0, 0
            FROM entry
            WHERE project_id = ANY($1::bigint[]) AND hour >= $2
              AND kind = 'opening' AND meter_id IS NOT NULL
            UNION ALL
            SELECT project_id, hour,
                   CASE WHEN kind IN ('expiry', 'correction') THEN -amount ELSE 0 END, 0,
                   CASE WHEN kind NOT IN ('expiry', 'correction') AND amount > 0
                        THEN amount ELSE 0 END,
                   CASE WHEN kind IN ('grant', 'opening', 'transfer') AND amount > 0
                        THEN amount ELSE 0 END,
                   0,
                   CASE WHEN kind NOT IN ('expiry', 'correction') AND amount < 0
                        THEN -amount ELSE 0 END,
                   CASE WHEN kind = 'grant' AND amount < 0 THEN -amount ELSE 0 END
            FROM entry
            WHERE project_id = ANY($1::bigint[]) AND hour >= $2 AND meter_id IS NULL
            UNION ALL
            SELECT x.project_id, x.hour, x.expired - x.booked,
                   CASE WHEN g.kind <> 'adjustment' THEN g.amount ELSE 0 END, 0, 0, 0, 0, 0
            FROM expiry x JOIN project_grant g ON g.id = x.grant_id
            WHERE x.project_id = ANY($1::bigint[]) AND x.hour >= $2 AND x.expired IS NOT NULL
              AND NOT EXISTS (SELECT FROM grant_void v WHERE v.grant_id = x.grant_id)
        ) changes
        GROUP BY project_id, least(hour, $3) ORDER BY project_id, least(hour, $3)
        """,
        project_ids,
        start,
        last_hour,
    )
    return [PastChange(project_id, hour, tuple(amounts)) for project_id, hour, *amounts in rows]
