"""Tables `meter` and `meter_version`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.meter import MeterDefinition, MeterVersion

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.store.pool import Connection


async def insert_meter(conn: Connection, definition: MeterDefinition) -> int:
    """Store a new meter without a version and give its id; a known name gives its id too.

    What of it is not dated holds at once.
    """
    meter_id = await conn.fetchval(
        """
        INSERT INTO meter (name, metric, description, host_label, region_label, provider_label,
                           state_label)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (name) DO UPDATE SET description = excluded.description,
            host_label = excluded.host_label, region_label = excluded.region_label,
            provider_label = excluded.provider_label, state_label = excluded.state_label
        RETURNING id
        """,
        definition.name,
        definition.metric,
        definition.description,
        *definition.place_labels,
    )
    return int(meter_id)


async def insert_version(
    conn: Connection,
    meter_id: int,
    definition: MeterDefinition,
    valid_from: datetime,
    *,
    author: str = "meter file",
    reason: str = "",
) -> bool:
    """Let a definition hold from a full hour on; false if one with this start is there already."""
    done = await conn.fetchval(
        """
        INSERT INTO meter_version (meter_id, definition, valid_from, author, reason)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (meter_id, valid_from) DO NOTHING RETURNING id
        """,
        meter_id,
        json.dumps(definition.dated_part()),
        valid_from,
        author,
        reason,
    )
    return done is not None


async def lock_meters(conn: Connection) -> None:
    """Keep other copies from changing meters until this transaction ends."""
    await conn.execute("SELECT pg_advisory_xact_lock('meter'::regclass::oid::bigint)")


@dataclass(frozen=True, slots=True)
class Clock:
    """The database's clock, from when on samples are kept, and a mark of what is known.

    The mark changes with the meters and with the database, as after a switch to a standby or
    to a restored copy, which may lack what this one has committed last.
    """

    now: datetime
    kept_from: datetime
    mark: str


async def read_clock(conn: Connection) -> Clock:
    """Read what samples are judged by."""
    (row,) = await conn.fetch(
        """
        SELECT clock_timestamp() AS now,
            (SELECT samples_announced_until FROM retention) AS kept_from,
            concat_ws(' ', (SELECT max(id) FROM meter_version),
            (SELECT oid FROM pg_database WHERE datname = current_database()),
            pg_postmaster_start_time()) AS mark
        """
    )
    return Clock(**dict(row))


async def list_versions(conn: Connection) -> list[MeterVersion]:
    """Give all versions of all meters, by meter and start, each with its end."""
    rows = await conn.fetch(
        """
        SELECT v.id, v.meter_id, v.definition, m.description, m.host_label, m.region_label,
               m.provider_label, m.state_label, v.valid_from,
               lead(v.valid_from) OVER (PARTITION BY v.meter_id ORDER BY v.valid_from)
                   AS valid_until
        FROM meter_version v JOIN meter m ON m.id = v.meter_id
        ORDER BY v.meter_id, v.valid_from
        """
    )
    return [
        MeterVersion(
            id=row["id"],
            meter_id=row["meter_id"],
            definition=MeterDefinition(
                **json.loads(row["definition"]),
                description=row["description"],
                host=row["host_label"],
                region=row["region_label"],
                provider=row["provider_label"],
                state=row["state_label"],
            ),
            valid_from=row["valid_from"],
            valid_until=row["valid_until"],
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Said:
    """Who let a version of a meter hold, when and why."""

    author: str
    reason: str
    created_at: datetime


async def read_said(conn: Connection) -> dict[int, Said]:
    """Give of each version, by its id, who let it hold."""
    rows = await conn.fetch("SELECT id, author, reason, created_at FROM meter_version")
    return {row["id"]: Said(row["author"], row["reason"], row["created_at"]) for row in rows}
