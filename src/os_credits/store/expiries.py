"""Table `expiry`: what was left of each lot at its end, and what of that is booked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.expiry import OpenExpiry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


async def list_due_projects(conn: Connection, *, now: datetime, limit: int) -> list[int]:
    """Give projects with a lot that has ended, and of which nobody has said what was left."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT project_id FROM (
            SELECT project_id FROM expiry WHERE expired IS NULL AND hour <= $1
            ORDER BY hour LIMIT $2
        ) due ORDER BY project_id
        """,
        now,
        limit,
    )
    return [row["project_id"] for row in rows]


async def list_touched(conn: Connection, first_hours: Mapping[int, datetime]) -> list[int]:
    """Give those of these projects with a computed expiry after the hour that changed in each."""
    rows = await conn.fetch(
        """
        SELECT w.project_id FROM unnest($1::bigint[], $2::timestamptz[]) AS w(project_id, hour)
        WHERE EXISTS (SELECT FROM expiry e WHERE e.project_id = w.project_id
                      AND e.hour > w.hour AND e.expired IS NOT NULL)
        ORDER BY w.project_id
        """,
        list(first_hours),
        list(first_hours.values()),
    )
    return [row["project_id"] for row in rows]


async def put_expired(
    conn: Connection, expired: Mapping[int, Credits], *, changed_at: datetime
) -> None:
    """Store what was left of lots (by id) when they ended; what is so already stays untouched."""
    await conn.execute(
        """
        UPDATE expiry e SET
            expired = w.expired,
            changed_at = $3,
            differs_since = CASE WHEN e.expired = e.booked OR e.expired IS NULL
                                 THEN $3 ELSE e.differs_since END
        FROM unnest($1::bigint[], $2::numeric[]) AS w(grant_id, expired)
        WHERE e.grant_id = w.grant_id AND e.expired IS DISTINCT FROM w.expired
        """,
        list(expired),
        list(expired.values()),
        changed_at,
    )


async def list_due_expiries(
    conn: Connection,
    *,
    closed_until: datetime,
    grace: timedelta,
    quiet_since: datetime,
    differing_since: datetime,
    limit: int,
) -> list[OpenExpiry]:
    """Give expiries to be booked, by project and hour, as `ledger/posting.py: Due` says.

    An expiry waits until the hours before it are closed.
    """
    rows = await conn.fetch(
        """
        SELECT grant_id, project_id, hour, expired, booked, entry_id, correction_count
        FROM expiry
        WHERE expired <> booked AND hour <= $1
          AND (changed_at <= hour + $2::interval OR changed_at <= $3 OR differs_since <= $4)
        ORDER BY project_id, hour, grant_id LIMIT $5
        """,
        closed_until,
        grace,
        quiet_since,
        differing_since,
        limit,
    )
    return [OpenExpiry(**dict(row)) for row in rows]


async def mark_booked(
    conn: Connection, expiries: Sequence[OpenExpiry], entry_ids: Sequence[int]
) -> None:
    """Note that these expiries are booked as they stand, the i-th by the i-th entry."""
    await conn.execute(
        """
        UPDATE expiry e SET
            booked = w.booked,
            correction_count = e.correction_count + (e.entry_id IS NOT NULL)::int,
            entry_id = coalesce(e.entry_id, w.entry_id)
        FROM unnest($1::bigint[], $2::numeric[], $3::bigint[]) AS w(grant_id, booked, entry_id)
        WHERE e.grant_id = w.grant_id
        """,
        [one.grant_id for one in expiries],
        [one.expired for one in expiries],
        entry_ids,
    )
