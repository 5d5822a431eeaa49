"""What `os-credits doctor` asks, over several tables; each statement reads a bounded part."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.store.pool import Connection

# How much of the recent samples is looked at: series per meter, samples per series, and age.
SERIES_LOOKED_AT_MAX = 50
SHARED_SERIES_LOOKED_AT_MAX = 5000
SAMPLES_LOOKED_AT_MAX = 40
RECENT = timedelta(days=2)
# One or two changes are a resize; so many among the last samples are several sources.
SWITCHES_MIN = 4
SHARED_SERIES_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class SharedSeries:
    """A series that several label sets feed in turn, with the labels of each."""

    meter: str
    project: str
    resource: str
    label_sets: Sequence[Mapping[str, str]]


async def read_sampling_interval(conn: Connection, meter_id: int) -> timedelta | None:
    """Give the usual time between two samples of a meter's series; None if none is recent."""
    interval: timedelta | None = await conn.fetchval(
        """
        SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY gap) FROM (
            SELECT t.measured_at
                   - lag(t.measured_at) OVER (PARTITION BY t.series_id ORDER BY t.measured_at)
                   AS gap
            FROM (SELECT id FROM series WHERE meter_id = $1 ORDER BY id DESC LIMIT $2) s
            CROSS JOIN LATERAL (
                SELECT series_id, first_at + ms * interval '1 millisecond' AS measured_at
                FROM (SELECT series_id, first_at, offsets_ms FROM sample_block b
                      WHERE b.series_id = s.id AND first_at > now() - $3::interval
                      ORDER BY first_at DESC LIMIT $4) b CROSS JOIN unnest(offsets_ms) AS o(ms)
                ORDER BY measured_at DESC LIMIT $4
            ) t
        ) gaps WHERE gap IS NOT NULL
        """,
        meter_id,
        SERIES_LOOKED_AT_MAX,
        RECENT,
        SAMPLES_LOOKED_AT_MAX,
    )
    return interval


async def list_shared_series(conn: Connection) -> list[SharedSeries]:
    """Give series whose last samples came from several label sets in turn."""
    rows = await conn.fetch(
        """
        WITH shared AS (
            SELECT series_id FROM label_set GROUP BY series_id HAVING count(*) > 1
            ORDER BY max(id) DESC LIMIT $1
        ), recent AS (
            SELECT t.series_id, t.label_set_id,
                   lag(t.label_set_id) OVER (PARTITION BY t.series_id ORDER BY t.measured_at)
                   AS before
            FROM shared CROSS JOIN LATERAL (
                SELECT series_id, coalesce(o.label_set_id, b.label_set_id) AS label_set_id,
                       first_at + ms * interval '1 millisecond' AS measured_at
                FROM (SELECT * FROM sample_block s
                      WHERE s.series_id = shared.series_id AND first_at > now() - $2::interval
                      ORDER BY first_at DESC LIMIT $3) b
                CROSS JOIN unnest(offsets_ms, label_set_ids) AS o(ms, label_set_id)
                ORDER BY measured_at DESC LIMIT $3
            ) t
        ), fed AS (
            SELECT series_id, array_agg(DISTINCT label_set_id) AS label_set_ids FROM recent
            GROUP BY series_id HAVING count(*) FILTER (WHERE label_set_id <> before) >= $4
        )
        SELECT m.name AS meter, p.name AS project, s.resource,
               (SELECT jsonb_agg(l.labels) FROM label_set l WHERE l.id = ANY(fed.label_set_ids))
               AS label_sets
        FROM fed JOIN series s ON s.id = fed.series_id
        JOIN meter m ON m.id = s.meter_id JOIN project p ON p.id = s.project_id
        ORDER BY m.name, s.id LIMIT $5
        """,
        SHARED_SERIES_LOOKED_AT_MAX,
        RECENT,
        SAMPLES_LOOKED_AT_MAX,
        SWITCHES_MIN,
        SHARED_SERIES_SHOWN_MAX,
    )
    return [
        SharedSeries(row["meter"], row["project"], row["resource"], json.loads(row["label_sets"]))
        for row in rows
    ]


async def has_admin_key(conn: Connection) -> bool:
    """Tell whether somebody can administer the service."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM api_key WHERE 'admin' = ANY(scopes) AND revoked_at IS NULL)"
    )
    return found


@dataclass(frozen=True, slots=True)
class Unbooked:
    """Charges of closed hours that differ from what is booked: how many, and since when."""

    count: int
    since: datetime | None


async def read_unbooked(conn: Connection, closed_until: datetime) -> Unbooked:
    """Count what was charged for hours before this one and is not booked."""
    row = await conn.fetchrow(
        """
        SELECT count(*) AS count, min(differs_since) AS since FROM charge
        WHERE charged <> booked AND hour < $1
        """,
        closed_until,
    )
    assert row is not None  # noqa: S101 - a count always gives a row
    return Unbooked(row["count"], row["since"])


async def read_last_booking(conn: Connection) -> datetime | None:
    """Give when the last entry was booked; None before the first."""
    booked_at: datetime | None = await conn.fetchval(
        "SELECT booked_at FROM entry ORDER BY id DESC LIMIT 1"
    )
    return booked_at


async def read_forecast_age(conn: Connection) -> tuple[int, datetime | None]:
    """Count forecasts and give when the last of them was made."""
    row = await conn.fetchrow("SELECT count(*) AS count, max(computed_at) AS latest FROM forecast")
    assert row is not None  # noqa: S101 - a count always gives a row
    return row["count"], row["latest"]


async def count_invitations(conn: Connection) -> tuple[int, int]:
    """Count invitations whose mail waits, and those of a week whose mail was refused."""
    row = await conn.fetchrow(
        """
        SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
               count(*) FILTER (WHERE state = 'refused'
                                AND created_at > now() - interval '7 days') AS refused
        FROM invitation WHERE used_at IS NULL
        """
    )
    assert row is not None  # noqa: S101 - a count always gives a row
    return row["pending"], row["refused"]


async def read_size(conn: Connection) -> int:
    """Measure the database in bytes, as its files are now."""
    size: int = await conn.fetchval("SELECT pg_database_size(current_database())")
    return size
