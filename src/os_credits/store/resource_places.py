"""Tables `whereabouts` and `host`: where given series are now, for lists of resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class ResourcePlace:
    """Where a series was last, in which state, and since which full hour; '' where unknown."""

    host_id: int
    host: str
    region: str
    provider: str
    state: str
    since: datetime


async def read_resource_places(
    conn: Connection, series_ids: Sequence[int]
) -> dict[int, ResourcePlace]:
    """Give the place and state of these series by their latest sample; the unplaced are left out.

    A series whose samples stopped keeps what they said last.
    """
    rows = await conn.fetch(
        """
        SELECT s.series_id, w.host_id, h.name AS host, h.region, h.provider, w.state,
               w.hour AS since
        FROM unnest($1::bigint[]) AS s(series_id)
        CROSS JOIN LATERAL (
            SELECT host_id, state, hour FROM whereabouts
            WHERE whereabouts.series_id = s.series_id ORDER BY hour DESC LIMIT 1
        ) w JOIN host h ON h.id = w.host_id
        """,
        series_ids,
    )
    return {
        row["series_id"]: ResourcePlace(**{k: v for k, v in row.items() if k != "series_id"})
        for row in rows
    }
