"""Table `entry`: the ledger. It is only ever read and appended to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from os_credits.domain.entry import ChainHead, Entry, EntryDraft, EntryKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.store.pool import Connection


async def read_heads(conn: Connection, project_ids: Sequence[int]) -> dict[int, ChainHead]:
    """Give the last entry's number, balance and hash of each project that has one."""
    rows = await conn.fetch(
        """
        SELECT p.id AS project_id, e.sequence, e.balance, e.hash
        FROM unnest($1::bigint[]) AS p(id)
        CROSS JOIN LATERAL (
            SELECT sequence, balance, hash FROM entry
            WHERE project_id = p.id ORDER BY sequence DESC LIMIT 1
        ) e
        """,
        project_ids,
    )
    return {
        row["project_id"]: ChainHead(row["sequence"], row["balance"], row["hash"]) for row in rows
    }


async def append_entries(conn: Connection, entries: Sequence[Entry]) -> list[int]:
    """Append entries and give their ids in the same order."""
    drafts = [entry.draft for entry in entries]
    rows = await conn.fetch(
        """
        INSERT INTO entry (project_id, sequence, kind, amount, balance, meter_id, flavor_id, hour,
                           corrects, grant_id, reason, author, entry_key, booked_at,
                           previous_hash, hash)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::numeric[], $5::numeric[],
                             $6::int[], $7::int[], $8::timestamptz[], $9::bigint[], $10::bigint[],
                             $11::text[], $12::text[], $13::text[], $14::timestamptz[],
                             $15::bytea[], $16::bytea[])
        RETURNING id, project_id, sequence
        """,
        [draft.project_id for draft in drafts],
        [entry.sequence for entry in entries],
        [draft.kind.value for draft in drafts],
        [draft.amount for draft in drafts],
        [entry.balance for entry in entries],
        [draft.meter_id for draft in drafts],
        [draft.flavor_id for draft in drafts],
        [draft.hour for draft in drafts],
        [draft.corrects for draft in drafts],
        [draft.grant_id for draft in drafts],
        [draft.reason for draft in drafts],
        [draft.author for draft in drafts],
        [draft.entry_key for draft in drafts],
        [entry.booked_at for entry in entries],
        [entry.previous_hash for entry in entries],
        [entry.hash for entry in entries],
    )
    ids = {(row["project_id"], row["sequence"]): row["id"] for row in rows}
    return [ids[entry.draft.project_id, entry.sequence] for entry in entries]


async def list_entries(
    conn: Connection, project_id: int, *, after_sequence: int, limit: int
) -> list[tuple[int, Entry]]:
    """Give a project's entries with their ids, in the order of booking."""
    rows = await conn.fetch(
        """
        SELECT id, project_id, sequence, kind, amount, balance, meter_id, flavor_id, hour,
               corrects, grant_id, reason, author, entry_key, booked_at, previous_hash, hash
        FROM entry WHERE project_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3
        """,
        project_id,
        after_sequence,
        limit,
    )
    return [(row["id"], entry_of(dict(row))) for row in rows]


def entry_of(row: dict[str, Any]) -> Entry:
    """Make an entry of its columns, `id` among them."""
    place = {
        name: row.pop(name)
        for name in ("sequence", "balance", "booked_at", "previous_hash", "hash")
    }
    del row["id"]
    row["kind"] = EntryKind(row["kind"])
    return Entry(draft=EntryDraft(**row), **place)
