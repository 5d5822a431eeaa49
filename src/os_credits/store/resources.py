"""What resources were, and what they cost: `series`, `usage`, `daily_charge`, `sample_block`.

What a resource cost in all is its usage and, of days whose hours were dropped, its daily charges:
so the resources of a project add up to its charges, to the last digit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.period import floor_day
from os_credits.store.daily_usage import cut, cut_all, series_arguments, with_used
from os_credits.store.series import list_series_of_project
from os_credits.store.summed_days import read_open_days

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Literal

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class StoredResource:
    """A series of a project, and its first and last hour (or day) of usage.

    `sampled_at`, `level` and `fits` are those of its last sample, if that is recent; None where
    it is not.
    """

    series_id: int
    meter_id: int
    resource: str
    identity: Mapping[str, str]
    stored_at: datetime
    first_hour: datetime | None
    last_hour: datetime | None
    sampled_at: datetime | None
    level: float | None
    fits: bool | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a resource cost to date; `recent` is the part of it from a day on."""

    credits: Credits
    recent: Credits


@dataclass(frozen=True, slots=True)
class LastSample:
    """The last sample of a series, and the flavor and labels that it carried."""

    series_id: int
    measured_at: datetime
    flavor_id: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ResourceStep:
    """What a series used of one flavor in one hour or day, in smallest steps.

    `waiting` is the part that is not charged: without a price, or without a verdict.
    """

    start: datetime
    flavor_id: int
    quantity: int
    waiting: int
    credits: Credits


@dataclass(frozen=True, slots=True)
class FlavorTime:
    """From when to when (the first and the last hour or day) a series had a flavor."""

    flavor_id: int
    first: datetime
    last: datetime
    quantity: int
    credits: Credits


@dataclass(frozen=True, slots=True)
class StoredLabels:
    """One form of the labels that feed a series; `fits` tells whether its samples count."""

    label_set_id: int
    flavor_id: int
    fits: bool
    labels: Mapping[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ResourceSpent:
    """What a series cost in a period."""

    series_id: int
    meter_id: int
    resource: str
    identity: Mapping[str, str]
    credits: Credits


async def list_resources(
    conn: Connection, project_id: int, *, series_id: int | None = None, sampled_since: datetime
) -> list[StoredResource]:
    """Give all series of a project (or one of them), by number.

    Samples before `sampled_since` are not looked at.
    """
    rows = await conn.fetch(
        """
        WITH daily AS MATERIALIZED (
            SELECT series_id, min(day) AS first_hour, max(day) AS last_hour
            FROM daily_charge WHERE project_id = $1 AND ($3::bigint IS NULL OR series_id = $3)
            GROUP BY series_id
        )
        SELECT s.id, s.meter_id, s.resource, s.identity, s.created_at,
               least(h.hour, d.first_hour) AS first_hour,
               greatest(t.hour, d.last_hour) AS last_hour, l.measured_at, l.value, f.fits
        FROM series s LEFT JOIN daily d ON d.series_id = s.id
        LEFT JOIN LATERAL (
            SELECT hour FROM usage WHERE usage.series_id = s.id ORDER BY hour LIMIT 1
        ) h ON true
        LEFT JOIN LATERAL (
            SELECT hour FROM usage WHERE usage.series_id = s.id ORDER BY hour DESC LIMIT 1
        ) t ON true
        LEFT JOIN LATERAL (
            SELECT last_at AS measured_at, b.values[cardinality(b.values)] AS value, label_set_id
            FROM sample_block b
            WHERE b.series_id = s.id AND first_at >= $4 AND last_at >= $2
            ORDER BY first_at DESC LIMIT 1
        ) l ON true
        LEFT JOIN label_set f ON f.id = l.label_set_id
        WHERE s.project_id = $1 AND ($3::bigint IS NULL OR s.id = $3)
        ORDER BY s.id
        """,
        project_id,
        sampled_since,
        series_id,
        floor_day(sampled_since),
    )
    return [
        StoredResource(
            series_id=row["id"],
            meter_id=row["meter_id"],
            resource=row["resource"],
            identity=json.loads(row["identity"]),
            stored_at=row["created_at"],
            first_hour=row["first_hour"],
            last_hour=row["last_hour"],
            sampled_at=row["measured_at"],
            level=row["value"],
            fits=row["fits"],
        )
        for row in rows
    ]


async def sum_costs(
    conn: Connection, project_id: int, series_ids: Sequence[int], *, recent_since: datetime
) -> dict[int, Cost]:
    """Sum what series of a project cost to date; `recent_since` is the start of a UTC day."""
    rows = await conn.fetch(
        with_used(
            """
            , dropped AS MATERIALIZED (
                SELECT series_id, sum(credits) AS credits,
                       coalesce(sum(credits) FILTER (WHERE day >= $7), 0) AS recent
                FROM daily_charge WHERE project_id = $6 AND series_id = ANY($1::bigint[])
                GROUP BY series_id
            ), kept AS (
                SELECT series_id, sum(credits) AS credits,
                       coalesce(sum(credits) FILTER (WHERE at >= $7), 0) AS recent
                FROM used GROUP BY series_id
            )
            SELECT w.id, coalesce(k.credits, 0) + coalesce(d.credits, 0) AS credits,
                   coalesce(k.recent, 0) + coalesce(d.recent, 0) AS recent
            FROM unnest($1::bigint[]) AS w(id)
            LEFT JOIN kept k ON k.series_id = w.id LEFT JOIN dropped d ON d.series_id = w.id
            """
        ),
        *series_arguments(series_ids, cut_all(await read_open_days(conn))),
        project_id,
        recent_since,
    )
    return {row["id"]: Cost(row["credits"], row["recent"]) for row in rows}


async def sum_all_costs(
    conn: Connection, project_id: int, meter_id: int | None, *, recent_since: datetime
) -> Cost:
    """Sum what all resources of a project (or those of a meter) cost, by its charges.

    What an older service had charged is left out, since it is of no resource.
    """
    row = await conn.fetchrow(
        """
        SELECT coalesce(sum(amount), 0) AS credits,
               coalesce(sum(amount) FILTER (WHERE start >= $3), 0) AS recent
        FROM (
            SELECT start, amount FROM booked_usage
            WHERE project_id = $1 AND length = 'day' AND ($2::int IS NULL OR meter_id = $2)
            UNION ALL
            SELECT hour, charged - booked FROM charge
            WHERE project_id = $1 AND charged <> booked AND ($2::int IS NULL OR meter_id = $2)
            UNION ALL
            SELECT hour, amount FROM entry
            WHERE project_id = $1 AND kind = 'opening' AND meter_id IS NOT NULL
              AND ($2::int IS NULL OR meter_id = $2)
        ) used
        """,
        project_id,
        meter_id,
        recent_since,
    )
    assert row is not None  # noqa: S101 - an aggregate always returns its row
    return Cost(row["credits"], row["recent"])


async def list_last_samples(
    conn: Connection, bounds: Mapping[int, datetime]
) -> dict[int, LastSample]:
    """Give the last sample of each series that is not older than its bound, if it is kept."""
    rows = await conn.fetch(
        """
        SELECT w.series_id, l.measured_at, f.flavor_id, f.labels
        FROM unnest($1::bigint[], $2::timestamptz[]) AS w(series_id, bound)
        CROSS JOIN LATERAL (
            SELECT last_at AS measured_at, label_set_id FROM sample_block b
            WHERE b.series_id = w.series_id AND last_at >= w.bound AND first_at >= $3
            ORDER BY first_at DESC LIMIT 1
        ) l
        JOIN label_set f ON f.id = l.label_set_id
        """,
        list(bounds),
        list(bounds.values()),
        min(map(floor_day, bounds.values()), default=None),
    )
    return {
        row["series_id"]: LastSample(
            row["series_id"], row["measured_at"], row["flavor_id"], json.loads(row["labels"])
        )
        for row in rows
    }


async def list_last_flavors(conn: Connection, hours: Mapping[int, datetime]) -> dict[int, int]:
    """Give a flavor that each series had in its last hour or day of usage, by series."""
    rows = await conn.fetch(
        """
        SELECT w.series_id, coalesce(
            (SELECT max(flavor_id) FROM usage
             WHERE usage.series_id = w.series_id AND usage.hour = w.hour AND usage.hour >= $4),
            (SELECT max(flavor_id) FROM daily_charge d
             WHERE d.project_id = s.project_id AND d.series_id = w.series_id AND d.day = w.hour)
        ) AS flavor_id
        FROM unnest($1::bigint[], $2::timestamptz[]) AS w(series_id, hour)
        JOIN series s ON s.id = w.series_id AND s.id = ANY($3::bigint[])
        """,
        list(hours),
        list(hours.values()),
        list(hours),
        min(hours.values(), default=None),
    )
    return {row["series_id"]: row["flavor_id"] for row in rows if row["flavor_id"] is not None}


async def sum_steps_of_resource(
    conn: Connection,
    project_id: int,
    series_id: int,
    *,
    start: datetime,
    end: datetime,
    by: Literal["hour", "day"],
) -> list[ResourceStep]:
    """Sum what a series used and cost per hour or UTC day and flavor, oldest first.

    Where hours are no longer kept, their days are given.
    """
    rows = await conn.fetch(
        """
        SELECT start, flavor_id, sum(quantity) AS quantity, sum(waiting) AS waiting,
               sum(credits) AS credits
        FROM (
            SELECT date_trunc($5, hour, 'UTC') AS start, flavor_id,
                   CASE WHEN kind = 0 OR credits > 0 THEN quantity ELSE 0 END AS quantity,
                   CASE WHEN credits IS NULL THEN quantity ELSE 0 END AS waiting,
                   coalesce(credits, 0) AS credits
            FROM usage WHERE series_id = $2 AND hour >= $3 AND hour < $4
            UNION ALL
            SELECT day, flavor_id, quantity, 0, credits FROM daily_charge
            WHERE project_id = $1 AND series_id = $2 AND day >= $3 AND day < $4
        ) used
        GROUP BY start, flavor_id ORDER BY start, flavor_id
        """,
        project_id,
        series_id,
        start,
        end,
        by,
    )
    return [
        ResourceStep(
            row["start"],
            row["flavor_id"],
            int(row["quantity"]),
            int(row["waiting"]),
            row["credits"],
        )
        for row in rows
    ]


async def list_flavor_times(conn: Connection, project_id: int, series_id: int) -> list[FlavorTime]:
    """Give the flavors that a series has had, the latest first, with what each used and cost."""
    rows = await conn.fetch(
        """
        SELECT flavor_id, min(start) AS first, max(start) AS last, sum(quantity) AS quantity,
               sum(credits) AS credits
        FROM (
            SELECT hour AS start, flavor_id,
                   CASE WHEN kind = 0 OR credits > 0 THEN quantity ELSE 0 END AS quantity,
                   coalesce(credits, 0) AS credits
            FROM usage WHERE series_id = $2
            UNION ALL
            SELECT day, flavor_id, quantity, credits FROM daily_charge
            WHERE project_id = $1 AND series_id = $2
        ) used
        GROUP BY flavor_id ORDER BY max(start) DESC, flavor_id
        """,
        project_id,
        series_id,
    )
    return [
        FlavorTime(
            row["flavor_id"], row["first"], row["last"], int(row["quantity"]), row["credits"]
        )
        for row in rows
    ]


async def list_labels_of(conn: Connection, series_id: int, *, limit: int) -> list[StoredLabels]:
    """Give the label sets that feed a series, the one that was seen first last."""
    rows = await conn.fetch(
        """
        SELECT id, flavor_id, fits, labels, created_at FROM label_set
        WHERE series_id = $1 ORDER BY id DESC LIMIT $2
        """,
        series_id,
        limit,
    )
    return [
        StoredLabels(
            row["id"], row["flavor_id"], row["fits"], json.loads(row["labels"]), row["created_at"]
        )
        for row in rows
    ]


async def sum_by_resource(
    conn: Connection, project_id: int, *, start: datetime, end: datetime
) -> list[ResourceSpent]:
    """Sum what each series of a project cost in a period of whole days, dearest first.

    The period may be of hours where these are kept.
    """
    series_ids = await list_series_of_project(conn, project_id, meter_id=None, series_id=None)
    rows = await conn.fetch(
        with_used(
            """
            SELECT s.id, s.meter_id, s.resource, s.identity, sum(p.credits) AS credits
            FROM (
                SELECT series_id, credits FROM used
                UNION ALL
                SELECT series_id, credits FROM daily_charge
                WHERE project_id = $6 AND day >= $7 AND day < $8
            ) p JOIN series s ON s.id = p.series_id
            GROUP BY s.id HAVING sum(p.credits) <> 0 ORDER BY sum(p.credits) DESC, s.id
            """
        ),
        *series_arguments(series_ids, cut(await read_open_days(conn), start, end)),
        project_id,
        start,
        end,
    )
    return [
        ResourceSpent(
            row["id"], row["meter_id"], row["resource"], json.loads(row["identity"]), row["credits"]
        )
        for row in rows
    ]
