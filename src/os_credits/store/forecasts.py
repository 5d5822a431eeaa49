"""Table `forecast`: a cache of when credits run out; the clock's job `forecast` fills it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from os_credits.domain.forecast import StoredForecast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from os_credits.store.pool import Connection


async def read_forecasts(conn: Connection, project_ids: Sequence[int]) -> dict[int, StoredForecast]:
    """Give the forecasts of those of these projects that have one."""
    rows = await conn.fetch(
        """
        SELECT project_id, computed_at, state, needs_days, p10, p50, p90, burn_per_day, facts
        FROM forecast WHERE project_id = ANY($1::bigint[])
        """,
        project_ids,
    )
    return {
        row["project_id"]: StoredForecast(**{**dict(row), "facts": json.loads(row["facts"])})
        for row in rows
    }


async def try_claim(conn: Connection) -> bool:
    """Take the right to make forecasts, to the end of the transaction; False: another has it."""
    claimed: bool = await conn.fetchval(
        "SELECT pg_try_advisory_xact_lock('forecast'::regclass::oid::bigint)"
    )
    return claimed


async def list_due(
    conn: Connection,
    *,
    among: Sequence[int] | None = None,
    changed_after: timedelta,
    renewed_after: timedelta,
    limit: int,
) -> list[int]:
    """Give projects (all, or some) with an account whose forecast is missing or old.

    Old is one of an account that has other credits or terms by now, one that is older than
    `changed_after` if anything was booked since, and any that is older than `renewed_after`.
    The oldest come first.
    """
    rows = await conn.fetch(
        """
        SELECT p.id FROM project p LEFT JOIN forecast f ON f.project_id = p.id
        WHERE ($4::bigint[] IS NULL OR p.id = ANY($4)) AND CASE
            WHEN f.computed_at IS NULL THEN
                EXISTS (SELECT FROM entry WHERE project_id = p.id)
                OR EXISTS (SELECT FROM charge WHERE project_id = p.id)
            WHEN f.computed_at <= now() - $2::interval THEN true
            WHEN f.computed_at <= now() - $1::interval AND f.computed_at < (
                SELECT booked_at FROM entry WHERE project_id = p.id
                ORDER BY sequence DESC LIMIT 1
            ) THEN true
            ELSE EXISTS (SELECT FROM entry WHERE project_id = p.id AND meter_id IS NULL
                         AND booked_at > f.computed_at)
                OR EXISTS (SELECT FROM project_grant g LEFT JOIN grant_void v ON v.grant_id = g.id
                           WHERE g.project_id = p.id
                             AND greatest(g.created_at, v.created_at) > f.computed_at)
                OR EXISTS (SELECT FROM allowance a
                           LEFT JOIN allowance_end e ON e.allowance_id = a.id
                           WHERE a.project_id = p.id
                             AND greatest(a.created_at, e.created_at) > f.computed_at)
        END
        ORDER BY f.computed_at NULLS FIRST, p.id LIMIT $3
        """,
        changed_after,
        renewed_after,
        limit,
        among,
    )
    return [row["id"] for row in rows]


async def put_forecasts(conn: Connection, forecasts: Sequence[StoredForecast]) -> int:
    """Store forecasts; one that somebody has computed later stays. Gives how many are stored."""
    rows = await conn.fetch(
        """
        INSERT INTO forecast (project_id, computed_at, state, needs_days, p10, p50, p90,
                              burn_per_day, facts)
        SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::int[],
                             $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
                             $8::numeric[], $9::jsonb[])
        ORDER BY 1
        ON CONFLICT (project_id) DO UPDATE SET
            computed_at = excluded.computed_at, state = excluded.state,
            needs_days = excluded.needs_days, p10 = excluded.p10, p50 = excluded.p50,
            p90 = excluded.p90, burn_per_day = excluded.burn_per_day, facts = excluded.facts
        WHERE forecast.computed_at < excluded.computed_at
        RETURNING 1
        """,
        [one.project_id for one in forecasts],
        [one.computed_at for one in forecasts],
        [one.state for one in forecasts],
        [one.needs_days for one in forecasts],
        [one.p10 for one in forecasts],
        [one.p50 for one in forecasts],
        [one.p90 for one in forecasts],
        [one.burn_per_day for one in forecasts],
        [json.dumps(dict(one.facts)) for one in forecasts],
    )
    return len(rows)
