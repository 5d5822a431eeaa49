"""What stands behind an entry or an hour of a project: read across tables, for one snapshot."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.charge import OpenCharge
from os_credits.domain.explanation import DayLine, Event, LabelSet, LinePlace, ShownExclusion
from os_credits.domain.seal import Seal
from os_credits.domain.usage import UsageKind
from os_credits.store.entries import entry_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.entry import Entry
    from os_credits.store.pool import Connection

# Meter and flavor: which charge of an hour.
ChargeName = tuple[int, int]


@dataclass(frozen=True, slots=True)
class HourScope:
    """Which hour of which project, and of it which meter and flavor (None: all)."""

    project_id: int
    hour: datetime
    meter_id: int | None = None
    flavor_id: int | None = None


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A row of usage with whom it concerns; the quantity is in the meter's smallest steps."""

    place: LinePlace
    resource: str
    identity: Mapping[str, str]
    quantity: int
    credits: Credits | None


@dataclass(frozen=True, slots=True)
class LineSum:
    """How many lines a charge is made of, of which kinds, and what they cost (None: nothing)."""

    line_count: int
    credits: Credits | None
    kinds: frozenset[int]


@dataclass(frozen=True, slots=True)
class StoredDayLine:
    """A daily charge; the quantity is in the meter's smallest steps."""

    place: LinePlace
    quantity: int
    line: DayLine


@dataclass(frozen=True, slots=True)
class DaySum:
    """What a meter and flavor cost in a day: by its daily charges, and by its hours' charges."""

    line_count: int
    daily: Credits
    charged: Credits


async def find_entry(conn: Connection, entry_id: int) -> Entry | None:
    """Find an entry of any project."""
    row = await conn.fetchrow(
        """
        SELECT id, project_id, sequence, kind, amount, balance, meter_id, flavor_id, hour,
               corrects, grant_id, reason, author, entry_key, booked_at, previous_hash, hash
        FROM entry WHERE id = $1
        """,
        entry_id,
    )
    return None if row is None else entry_of(dict(row))


async def list_entries_of_hour(conn: Connection, scope: HourScope) -> list[tuple[int, Entry]]:
    """Give the entries that concern the hour with their ids, in the order of booking."""
    rows = await conn.fetch(
        """
        SELECT id, project_id, sequence, kind, amount, balance, meter_id, flavor_id, hour,
               corrects, grant_id, reason, author, entry_key, booked_at, previous_hash, hash
        FROM entry
        WHERE project_id = $1 AND hour = $2
          AND ($3::int IS NULL OR meter_id = $3) AND ($4::int IS NULL OR flavor_id = $4)
        ORDER BY sequence
        """,
        scope.project_id,
        scope.hour,
        scope.meter_id,
        scope.flavor_id,
    )
    return [(row["id"], entry_of(dict(row))) for row in rows]


async def find_seal(conn: Connection, project_id: int, sequence: int) -> Seal | None:
    """Give the first seal whose head of this project is the entry with this number or later."""
    row = await conn.fetchrow(
        """
        SELECT s.id, s.sealed_at, s.head_count, s.previous_hash, s.hash
        FROM seal_head h JOIN seal s ON s.id = h.seal_id
        WHERE h.project_id = $1 AND h.sequence >= $2 ORDER BY h.sequence, h.seal_id LIMIT 1
        """,
        project_id,
        sequence,
    )
    return None if row is None else Seal(**dict(row))


async def read_grant_key(conn: Connection, grant_id: int) -> str | None:
    """Give the idempotency key under which a grant was made."""
    key: str | None = await conn.fetchval(
        "SELECT idempotency_key FROM project_grant WHERE id = $1", grant_id
    )
    return key


async def list_charges_of_hour(conn: Connection, scope: HourScope) -> list[OpenCharge]:
    """Give the charges of the hour, booked or not, by meter and flavor."""
    rows = await conn.fetch(
        """
        SELECT project_id, hour, meter_id, flavor_id, charged, booked, entry_id,
               correction_count, differs_since, changed_at
        FROM charge
        WHERE project_id = $1 AND hour = $2
          AND ($3::int IS NULL OR meter_id = $3) AND ($4::int IS NULL OR flavor_id = $4)
        ORDER BY meter_id, flavor_id
        """,
        scope.project_id,
        scope.hour,
        scope.meter_id,
        scope.flavor_id,
    )
    return [OpenCharge(**dict(row)) for row in rows]


async def sum_lines_of_hour(conn: Connection, scope: HourScope) -> dict[ChargeName, LineSum]:
    """Count and sum the usage of the hour by meter and flavor."""
    rows = await conn.fetch(
        """
        SELECT s.meter_id, u.flavor_id, count(*) AS line_count, sum(u.credits) AS credits,
               array_agg(DISTINCT u.kind) AS kinds
        FROM series s JOIN usage u ON u.series_id = s.id
        WHERE s.project_id = $1 AND u.hour = $2
          AND ($3::int IS NULL OR s.meter_id = $3) AND ($4::int IS NULL OR u.flavor_id = $4)
        GROUP BY s.meter_id, u.flavor_id
        """,
        scope.project_id,
        scope.hour,
        scope.meter_id,
        scope.flavor_id,
    )
    return {
        (row["meter_id"], row["flavor_id"]): LineSum(
            row["line_count"], row["credits"], frozenset(row["kinds"])
        )
        for row in rows
    }


async def list_lines_of_hour(
    conn: Connection, scope: HourScope, *, after: LinePlace, limit: int
) -> list[StoredLine]:
    """Give rows of usage of the hour by meter, flavor, series and kind, those behind a place."""
    rows = await conn.fetch(
        """
        SELECT s.meter_id, u.flavor_id, u.series_id, u.kind, u.quantity, u.credits,
               s.resource, s.identity
        FROM series s JOIN usage u ON u.series_id = s.id
        WHERE s.project_id = $1 AND u.hour = $2
          AND ($3::int IS NULL OR s.meter_id = $3) AND ($4::int IS NULL OR u.flavor_id = $4)
          AND (s.meter_id, u.flavor_id, u.series_id, u.kind::int)
              > ($5::int, $6::int, $7::bigint, $8::int)
        ORDER BY s.meter_id, u.flavor_id, u.series_id, u.kind LIMIT $9
        """,
        scope.project_id,
        scope.hour,
        scope.meter_id,
        scope.flavor_id,
        *after,
        limit,
    )
    return [
        StoredLine(
            place=(row["meter_id"], row["flavor_id"], row["series_id"], row["kind"]),
            resource=row["resource"],
            identity=json.loads(row["identity"]),
            quantity=int(row["quantity"]),
            credits=row["credits"],
        )
        for row in rows
    ]


async def sum_day(conn: Connection, scope: HourScope, day: datetime) -> dict[ChargeName, DaySum]:
    """Sum the daily charges of the hour's day by meter and flavor, and the charges of its hours."""
    rows = await conn.fetch(
        """
        SELECT d.meter_id, d.flavor_id, count(*) AS line_count, sum(d.credits) AS daily,
               coalesce((SELECT sum(c.charged) FROM charge c
                         WHERE c.project_id = $1 AND c.meter_id = d.meter_id
                           AND c.flavor_id = d.flavor_id AND c.hour >= $2
                           AND c.hour < $2 + INTERVAL '1 day'), 0) AS charged
        FROM daily_charge d
        WHERE d.project_id = $1 AND d.day = $2
          AND ($3::int IS NULL OR d.meter_id = $3) AND ($4::int IS NULL OR d.flavor_id = $4)
        GROUP BY d.meter_id, d.flavor_id
        """,
        scope.project_id,
        day,
        scope.meter_id,
        scope.flavor_id,
    )
    return {
        (row["meter_id"], row["flavor_id"]): DaySum(row["line_count"], row["daily"], row["charged"])
        for row in rows
    }


async def list_day_lines(
    conn: Connection, scope: HourScope, day: datetime, *, after: LinePlace, limit: int
) -> list[StoredDayLine]:
    """Give daily charges by meter, flavor and series, those behind a place; units are left out."""
    rows = await conn.fetch(
        """
        SELECT d.meter_id, d.flavor_id, d.series_id, d.quantity, d.credits, s.resource, s.identity
        FROM daily_charge d JOIN series s ON s.id = d.series_id
        WHERE d.project_id = $1 AND d.day = $2
          AND ($3::int IS NULL OR d.meter_id = $3) AND ($4::int IS NULL OR d.flavor_id = $4)
          AND (d.meter_id, d.flavor_id, d.series_id) > ($5::int, $6::int, $7::bigint)
        ORDER BY d.meter_id, d.flavor_id, d.series_id LIMIT $8
        """,
        scope.project_id,
        day,
        scope.meter_id,
        scope.flavor_id,
        *after[:3],
        limit,
    )
    return [
        StoredDayLine(
            place=(row["meter_id"], row["flavor_id"], row["series_id"], int(UsageKind.BILLED)),
            quantity=int(row["quantity"]),
            line=DayLine(
                series_id=row["series_id"],
                resource=row["resource"],
                identity=json.loads(row["identity"]),
                units="",
                credits=row["credits"],
            ),
        )
        for row in rows
    ]


async def read_labels(conn: Connection, label_set_ids: Sequence[int]) -> dict[int, LabelSet]:
    """Give the labels of these label sets, as they were sent."""
    rows = await conn.fetch(
        """
        SELECT l.id, l.labels, f.name AS flavor
        FROM label_set l JOIN flavor f ON f.id = l.flavor_id WHERE l.id = ANY($1::bigint[])
        """,
        label_set_ids,
    )
    return {
        row["id"]: LabelSet(row["id"], json.loads(row["labels"]), row["flavor"]) for row in rows
    }


async def count_excluded(
    conn: Connection,
    series_ids: Sequence[int],
    firsts: Sequence[datetime],
    lasts: Sequence[datetime],
) -> dict[int, int]:
    """Count the excluded samples of each series between two moments, both included."""
    rows = await conn.fetch(
        """
        SELECT x.series_id, count(*) AS samples
        FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) AS w(id, first, last)
        JOIN excluded_sample x ON x.series_id = w.id AND x.measured_at BETWEEN w.first AND w.last
        GROUP BY x.series_id
        """,
        series_ids,
        firsts,
        lasts,
    )
    return {row["series_id"]: row["samples"] for row in rows}


async def list_exclusions_of_hour(
    conn: Connection, scope: HourScope, *, limit: int
) -> list[ShownExclusion]:
    """Give the exclusions that touch the hour, with the samples of it that each covers now."""
    rows = await conn.fetch(
        """
        SELECT e.id, m.name AS meter, e.series_id, e.starts_at, e.ends_at, e.reason, e.author,
               e.created_at, l.created_at AS lifted_at, l.author AS lift_author,
               l.reason AS lift_reason,
               (SELECT count(*) FROM series s
                JOIN excluded_sample x ON x.series_id = s.id
                WHERE s.project_id = $1 AND l.exclusion_id IS NULL
                  AND s.meter_id = coalesce($3::int, e.meter_id, s.meter_id)
                  AND s.id = coalesce(e.series_id, s.id)
                  AND x.measured_at >= $2 AND x.measured_at < $2 + INTERVAL '1 hour'
                  AND x.measured_at >= coalesce(e.starts_at, '-infinity')
                  AND x.measured_at < coalesce(e.ends_at, 'infinity')) AS sample_count
        FROM exclusion e
        LEFT JOIN exclusion_lift l ON l.exclusion_id = e.id
        LEFT JOIN meter m ON m.id = e.meter_id
        WHERE e.project_id = $1
          AND (e.starts_at IS NULL OR e.starts_at < $2 + INTERVAL '1 hour')
          AND (e.ends_at IS NULL OR e.ends_at > $2)
          AND ($3::int IS NULL OR e.meter_id IS NULL OR e.meter_id = $3)
        ORDER BY e.id DESC LIMIT $4
        """,
        scope.project_id,
        scope.hour,
        scope.meter_id,
        limit,
    )
    return [ShownExclusion(**dict(row)) for row in reversed(rows)]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event, and which meter, flavor, price and kind it concerns (None: any, or none)."""

    event: Event
    meter_id: int | None
    flavor_id: int | None
    price_id: int | None
    kind: int | None


async def list_events(conn: Connection, scope: HourScope, *, limit: int) -> list[StoredEvent]:
    """Give what people changed for this hour after it had begun, oldest first.

    Prices, meters and the whitelist concern every project, the others this one.
    """
    rows = await conn.fetch(
        """
        SELECT * FROM (
            SELECT p.created_at AS at, p.author, '' AS reason, p.meter_id, p.flavor_id,
                   p.id AS price_id,
                   'price ' || coalesce(trim_scale(p.credits_per_unit)::text, 'none') AS what,
                   p.valid_from AS since, NULL::timestamptz AS until, NULL::int AS kind
            FROM price p WHERE p.valid_from <= $2 AND p.created_at > $2
            UNION ALL
            SELECT v.created_at, v.author, v.reason, v.meter_id, NULL, NULL,
                   'meter changed', v.valid_from, NULL, NULL
            FROM meter_version v WHERE v.valid_from <= $2 AND v.created_at > $2
              AND EXISTS (SELECT FROM meter_version b
                          WHERE b.meter_id = v.meter_id AND b.valid_from < v.valid_from)
            UNION ALL
            SELECT w.created_at, '', '', NULL, NULL, NULL, 'whitelist changed', w.valid_from,
                   NULL, NULL
            FROM whitelist w WHERE w.valid_from <= $2 AND w.created_at > $2
            UNION ALL
            SELECT e.created_at, e.author, e.reason, e.meter_id, NULL, NULL,
                   'exclusion ' || e.id, e.starts_at, e.ends_at, NULL
            FROM exclusion e
            WHERE e.project_id = $1 AND (e.starts_at IS NULL OR e.starts_at <= $2 + INTERVAL '1h')
              AND (e.ends_at IS NULL OR e.ends_at >= $2) AND e.created_at > $2
            UNION ALL
            SELECT l.created_at, l.author, l.reason, e.meter_id, NULL, NULL,
                   'exclusion ' || e.id || ' lifted', NULL, NULL, NULL
            FROM exclusion_lift l JOIN exclusion e ON e.id = l.exclusion_id
            WHERE e.project_id = $1 AND (e.starts_at IS NULL OR e.starts_at <= $2 + INTERVAL '1h')
              AND (e.ends_at IS NULL OR e.ends_at >= $2)
            UNION ALL
            SELECT t.created_at, t.author, t.reason, t.meter_id, NULL, NULL,
                   CASE t.kind WHEN 1 THEN 'suspect' ELSE 'unmetered' END
                   || ' usage: ' || t.verdict, t.first_hour, t.end_hour, t.kind
            FROM settlement t
            WHERE t.project_id = $1 AND t.first_hour <= $2 AND t.end_hour > $2
        ) events
        WHERE ($3::int IS NULL OR meter_id IS NULL OR meter_id = $3)
        ORDER BY at DESC, what LIMIT $4
        """,
        scope.project_id,
        scope.hour,
        scope.meter_id,
        limit,
    )
    return [
        StoredEvent(
            Event(
                at=row["at"],
                what=row["what"],
                since=row["since"],
                until=row["until"],
                author=row["author"],
                reason=row["reason"],
            ),
            row["meter_id"],
            row["flavor_id"],
            row["price_id"],
            row["kind"],
        )
        for row in reversed(rows)
    ]
