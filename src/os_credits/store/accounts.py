"""Charges, entries, grants and seals as `verify` reads them: whole accounts, some at a time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.charge import StoredCharge
from os_credits.domain.expiry import StoredExpiry
from os_credits.domain.period import to_ms
from os_credits.domain.seal import Seal, SealedHead
from os_credits.store.entries import entry_of
from os_credits.store.grants import find_grants
from os_credits.store.verification import STATEMENT_SECONDS_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.entry import Entry
    from os_credits.domain.grant import Grant
    from os_credits.store.pool import Connection

# How many rows are fetched at once from what is read row by row.
PREFETCH = 2000


@dataclass(frozen=True, slots=True)
class SizedProject:
    """A project, and how many rows of charges and series it has."""

    id: int
    row_count: int


async def list_sized_projects(
    conn: Connection, *, project_id: int | None, after_id: int, limit: int
) -> list[SizedProject]:
    """Give projects by id, from the one after `after_id` on, or only the one that is named."""
    rows = await conn.fetch(
        """
        SELECT p.id, (SELECT count(*) FROM charge c WHERE c.project_id = p.id)
                     + (SELECT count(*) FROM series s WHERE s.project_id = p.id)
        FROM project p
        WHERE p.id > $1 AND ($2::bigint IS NULL OR p.id = $2) ORDER BY p.id LIMIT $3
        """,
        after_id,
        project_id,
        limit,
        timeout=STATEMENT_SECONDS_MAX,
    )
    return [SizedProject(*row) for row in rows]


async def count_projects(conn: Connection, project_id: int | None) -> int:
    """Count all projects, or the one that is named."""
    count: int = await conn.fetchval(
        "SELECT count(*) FROM project WHERE $1::bigint IS NULL OR id = $1", project_id
    )
    return count


async def read_charges(
    conn: Connection, project_ids: Sequence[int]
) -> dict[int, list[StoredCharge]]:
    """Read all charges of these projects."""
    rows = await conn.fetch(
        """
        SELECT project_id, hour, meter_id, flavor_id, charged, booked, entry_id, correction_count
        FROM charge WHERE project_id = ANY($1::bigint[])
        """,
        project_ids,
        timeout=STATEMENT_SECONDS_MAX,
    )
    charges: dict[int, list[StoredCharge]] = defaultdict(list)
    hours_ms: dict[datetime, int] = {}
    for project_id, hour, *rest in rows:
        hour_ms = hours_ms.get(hour)
        if hour_ms is None:
            hour_ms = hours_ms[hour] = to_ms(hour)
        charges[project_id].append(StoredCharge(hour_ms, *rest))
    return charges


async def sum_daily_charges(
    conn: Connection, project_ids: Sequence[int], until: datetime
) -> list[tuple[int, datetime, int, int, Credits, Credits]]:
    """Give project, day, meter, flavor and both sums where they differ, for days before `until`.

    The sums are of the charges, and of the daily charges that were made of their usage.
    """
    rows = await conn.fetch(
        """
        SELECT project_id, day, meter_id, flavor_id,
               coalesce(c.credits, 0) AS charged, coalesce(d.credits, 0) AS daily
        FROM (SELECT project_id, date_trunc('day', hour, 'UTC') AS day, meter_id, flavor_id,
                     sum(charged) AS credits
              FROM charge WHERE project_id = ANY($1::bigint[]) AND hour < $2
              GROUP BY 1, 2, 3, 4) c
        FULL JOIN (SELECT project_id, day, meter_id, flavor_id, sum(credits) AS credits
                   FROM daily_charge WHERE project_id = ANY($1::bigint[]) AND day < $2
                   GROUP BY 1, 2, 3, 4) d USING (project_id, day, meter_id, flavor_id)
        WHERE coalesce(c.credits, 0) <> coalesce(d.credits, 0)
        ORDER BY 1, 2, 3, 4
        """,
        project_ids,
        until,
        timeout=STATEMENT_SECONDS_MAX,
    )
    return [(row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows]


async def stream_entries(
    conn: Connection, project_ids: Sequence[int]
) -> AsyncIterator[tuple[int, Entry]]:
    """Give ids and entries of these projects, by project and number, a part at a time."""
    cursor = conn.cursor(
        """
        SELECT id, project_id, sequence, kind, amount, balance, meter_id, flavor_id, hour,
               corrects, grant_id, reason, author, entry_key, booked_at, previous_hash, hash
        FROM entry WHERE project_id = ANY($1::bigint[]) ORDER BY project_id, sequence
        """,
        project_ids,
        prefetch=PREFETCH,
        timeout=STATEMENT_SECONDS_MAX,
    )
    async for row in cursor:
        yield row["id"], entry_of(dict(row))


async def read_expiries(
    conn: Connection, project_ids: Sequence[int]
) -> dict[int, list[StoredExpiry]]:
    """Read all expiries of these projects, those that are to come too."""
    rows = await conn.fetch(
        """
        SELECT project_id, grant_id, hour, expired, booked, entry_id, correction_count
        FROM expiry WHERE project_id = ANY($1::bigint[]) ORDER BY grant_id
        """,
        project_ids,
        timeout=STATEMENT_SECONDS_MAX,
    )
    expiries: dict[int, list[StoredExpiry]] = defaultdict(list)
    for project_id, *rest in rows:
        expiries[project_id].append(StoredExpiry(*rest))
    return expiries


async def list_grants_of(conn: Connection, project_ids: Sequence[int]) -> list[Grant]:
    """Read all lots of these projects."""
    rows = await conn.fetch(
        "SELECT id FROM project_grant WHERE project_id = ANY($1::bigint[])",
        project_ids,
        timeout=STATEMENT_SECONDS_MAX,
    )
    return await find_grants(conn, [row["id"] for row in rows])


async def list_pending(conn: Connection, project_ids: Sequence[int]) -> set[int]:
    """Read which lots of these projects wait for the hour from which they are valid."""
    rows = await conn.fetch(
        """
        SELECT grant_id FROM pending_grant JOIN project_grant g ON g.id = grant_id
        WHERE g.project_id = ANY($1::bigint[])
        """,
        project_ids,
        timeout=STATEMENT_SECONDS_MAX,
    )
    return {row["grant_id"] for row in rows}


async def find_heads_without_entry(
    conn: Connection, project_ids: Sequence[int]
) -> list[tuple[int, int, int, bytes, bytes | None]]:
    """Give seal, project, number and hash of sealed heads whose entry is gone or another.

    With the hash that the entry has now, None where there is no such entry.
    """
    rows = await conn.fetch(
        """
        SELECT h.seal_id, h.project_id, h.sequence, h.hash, e.hash AS entry_hash
        FROM seal_head h LEFT JOIN entry e USING (project_id, sequence)
        WHERE h.project_id = ANY($1::bigint[]) AND e.hash IS DISTINCT FROM h.hash
        ORDER BY h.seal_id, h.project_id LIMIT 1000
        """,
        project_ids,
        timeout=STATEMENT_SECONDS_MAX,
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


async def stream_seals(conn: Connection) -> AsyncIterator[tuple[Seal, SealedHead | None]]:
    """Give each seal with each of its heads, oldest first; one without heads, with None."""
    cursor = conn.cursor(
        """
        SELECT s.id, s.sealed_at, s.head_count, s.previous_hash, s.hash,
               h.project_id, h.sequence, h.hash AS head_hash
        FROM seal s LEFT JOIN seal_head h ON h.seal_id = s.id
        ORDER BY s.id
        """,
        prefetch=PREFETCH,
        timeout=STATEMENT_SECONDS_MAX,
    )
    async for row in cursor:
        head = None if row[5] is None else SealedHead(row[5], row[6], row[7])
        yield Seal(row[0], row[1], row[2], row[3], row[4]), head


async def read_missing_guards(conn: Connection) -> list[str]:
    """Name what keeps the ledger together and is not in force: constraints and triggers."""
    rows = await conn.fetch(
        """
        SELECT wanted.name
        FROM unnest($1::text[]) AS wanted(name)
        WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = to_regclass(wanted.name)
                          AND i.indisunique AND i.indisvalid AND i.indisready)
        UNION ALL
        SELECT wanted.name
        FROM unnest($2::text[], $3::text[]) AS wanted(tablename, name)
        WHERE NOT EXISTS (SELECT FROM pg_trigger t
                          WHERE t.tgrelid = to_regclass(wanted.tablename)
                            AND t.tgname = wanted.name AND t.tgenabled IN ('O', 'A'))
        """,
        ["entry_pkey", "entry_entry_key_key", "entry_project_id_sequence_key", "charge_pkey",
         "seal_pkey", "seal_previous_hash_key", "seal_head_pkey"],
        ["entry", "seal", "seal_head"],
        ["entry_is_append_only", "seal_is_append_only", "seal_head_is_append_only"],
    )  # fmt: skip
    return [row[0] for row in rows]


async def read_names(
    conn: Connection,
    *,
    projects: Sequence[int],
    meters: Sequence[int],
    flavors: Sequence[int],
) -> dict[tuple[str, int], str]:
    """Give the names of what these numbers of ours stand for, by noun and number."""
    rows = await conn.fetch(
        """
        SELECT 'project', id, name FROM project WHERE id = ANY($1::bigint[])
        UNION ALL SELECT 'meter', id, name FROM meter WHERE id = ANY($2::bigint[])
        UNION ALL SELECT 'flavor', id, name FROM flavor WHERE id = ANY($3::bigint[])
        """,
        projects,
        meters,
        flavors,
    )
    return {(row[0], row[1]): row[2] for row in rows}
