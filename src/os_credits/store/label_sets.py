"""Tables `series` and `label_set`: which label set of which meter version feeds which series.

Rows of both are never changed, so a copy of the service may remember them for ever.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.domain.sample import Labels
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class NewSeries:
    """A series to store; `key` is the digest of what identifies it within its meter."""

    meter_id: int
    project_id: int
    resource: str
    identity: dict[str, str]
    key: bytes


@dataclass(frozen=True, slots=True)
class NewLabelSet:
    """A label set to store; `key` is the digest of all its labels."""

    meter_version_id: int
    series_id: int
    flavor_id: int
    fits: bool
    project_name: str
    labels: Labels
    key: bytes


@dataclass(frozen=True, slots=True)
class StoredLabelSet:
    """What rating needs to know of a label set."""

    id: int
    series_id: int
    meter_id: int
    project_id: int
    flavor_id: int
    fits: bool
    project_name: str


async def ensure_series(
    conn: Connection, series: Sequence[NewSeries]
) -> dict[tuple[int, bytes], int]:
    """Give the id of each series by meter and key, storing the new ones in a fixed order."""
    ordered = sorted({(one.meter_id, one.key): one for one in series}.items())
    meter_ids = [meter_id for (meter_id, _), _ in ordered]
    keys = [key for (_, key), _ in ordered]
    await conn.execute(
        """
        INSERT INTO series (meter_id, project_id, resource, identity, key)
        SELECT w.meter_id, w.project_id, w.resource, w.identity::jsonb, w.key
        FROM unnest($1::int[], $2::bigint[], $3::text[], $4::text[], $5::bytea[])
             AS w(meter_id, project_id, resource, identity, key)
        WHERE NOT EXISTS (SELECT FROM series s WHERE s.meter_id = w.meter_id AND s.key = w.key)
        ORDER BY w.meter_id, w.key
        ON CONFLICT (meter_id, key) DO NOTHING
        """,
        meter_ids,
        [one.project_id for _, one in ordered],
        [one.resource for _, one in ordered],
        [json.dumps(one.identity) for _, one in ordered],
        keys,
    )
    rows = await conn.fetch(
        """
        SELECT s.id, s.meter_id, s.key FROM series s
        JOIN unnest($1::int[], $2::bytea[]) AS w(meter_id, key) USING (meter_id, key)
        """,
        meter_ids,
        keys,
    )
    return {(row["meter_id"], row["key"]): row["id"] for row in rows}


async def ensure_label_sets(
    conn: Connection, label_sets: Sequence[NewLabelSet]
) -> dict[tuple[int, bytes], int]:
    """Give the id of each label set by version and key, storing the new ones in a fixed order."""
    ordered = sorted({(one.meter_version_id, one.key): one for one in label_sets}.items())
    version_ids = [version_id for (version_id, _), _ in ordered]
    keys = [key for (_, key), _ in ordered]
    await conn.execute(
        """
        INSERT INTO label_set (meter_version_id, series_id, flavor_id, fits, project_name,
                               labels, key)
        SELECT w.version_id, w.series_id, w.flavor_id, w.fits, w.project_name,
               w.labels::jsonb, w.key
        FROM unnest($1::int[], $2::bigint[], $3::int[], $4::boolean[], $5::text[], $6::text[],
                    $7::bytea[])
             AS w(version_id, series_id, flavor_id, fits, project_name, labels, key)
        WHERE NOT EXISTS (SELECT FROM label_set l
                          WHERE l.meter_version_id = w.version_id AND l.key = w.key)
        ORDER BY w.version_id, w.key
        ON CONFLICT (meter_version_id, key) DO NOTHING
        """,
        version_ids,
        [one.series_id for _, one in ordered],
        [one.flavor_id for _, one in ordered],
        [one.fits for _, one in ordered],
        [one.project_name for _, one in ordered],
        [json.dumps(dict(one.labels)) for _, one in ordered],
        keys,
    )
    return await find_label_sets(conn, list(zip(version_ids, keys, strict=True)))


async def find_label_sets(
    conn: Connection, wanted: Sequence[tuple[int, bytes]]
) -> dict[tuple[int, bytes], int]:
    """Give the ids of those label sets, by meter version and key, that are stored."""
    rows = await conn.fetch(
        """
        SELECT l.id, l.meter_version_id, l.key FROM label_set l
        JOIN unnest($1::int[], $2::bytea[]) AS w(meter_version_id, key)
            USING (meter_version_id, key)
        """,
        [version_id for version_id, _ in wanted],
        [key for _, key in wanted],
    )
    return {(row["meter_version_id"], row["key"]): row["id"] for row in rows}


async def read_label_sets(conn: Connection, ids: Sequence[int]) -> list[StoredLabelSet]:
    """Read what rating needs of these label sets."""
    rows = await conn.fetch(
        """
        SELECT l.id, l.series_id, s.meter_id, s.project_id, l.flavor_id, l.fits, l.project_name
        FROM label_set l JOIN series s ON s.id = l.series_id
        WHERE l.id = ANY($1::bigint[])
        """,
        ids,
    )
    return [StoredLabelSet(**dict(row)) for row in rows]
