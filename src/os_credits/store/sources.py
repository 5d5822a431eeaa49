"""Table `source`: who sends samples, how often, and what of them was refused."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from os_credits.domain.source import Refusal, Source, SourceKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from os_credits.store.pool import Connection

_MILLISECOND = timedelta(milliseconds=1)


async def lock_sources(conn: Connection) -> None:
    """Let copies that add what they have counted wait for each other, to the end."""
    await conn.execute("SELECT pg_advisory_xact_lock('source'::regclass::oid::bigint)")


async def list_sources(conn: Connection) -> list[Source]:
    """Give every source, by key, door and site; there are not many."""
    rows = await conn.fetch(
        """
        SELECT key_id, door, is_mixed, site, first_push_at, last_push_at, last_sample_at,
               usual_ms, push_count, accepted_count, set_aside_count, unknown_count, refused,
               refused_examples, recent_slot, recent_counts
        FROM source ORDER BY key_id, door, is_mixed, site
        """
    )
    return [_source(row) for row in rows]


async def put_sources(conn: Connection, sources: Sequence[Source]) -> None:
    """Store these sources as they are now."""
    await conn.execute(
        """
        INSERT INTO source (key_id, door, is_mixed, site, first_push_at, last_push_at,
                            last_sample_at, usual_ms, push_count, accepted_count,
                            set_aside_count, unknown_count, refused, refused_examples,
                            recent_slot, recent_counts)
        SELECT key_id, door, is_mixed, site, first_push_at, last_push_at, last_sample_at,
               usual_ms, push_count, accepted_count, set_aside_count, unknown_count,
               refused::jsonb, refused_examples::jsonb, recent_slot, recent_counts::bigint[]
        FROM unnest($1::bigint[], $2::text[], $3::bool[], $4::text[], $5::timestamptz[],
                    $6::timestamptz[], $7::timestamptz[], $8::bigint[], $9::bigint[],
                    $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::text[],
                    $15::bigint[], $16::text[])
            AS w(key_id, door, is_mixed, site, first_push_at, last_push_at, last_sample_at,
                 usual_ms, push_count, accepted_count, set_aside_count, unknown_count,
                 refused, refused_examples, recent_slot, recent_counts)
        ON CONFLICT (key_id, door, is_mixed, site) DO UPDATE
        SET first_push_at = excluded.first_push_at, last_push_at = excluded.last_push_at,
            last_sample_at = excluded.last_sample_at, usual_ms = excluded.usual_ms,
            push_count = excluded.push_count, accepted_count = excluded.accepted_count,
            set_aside_count = excluded.set_aside_count, unknown_count = excluded.unknown_count,
            refused = excluded.refused, refused_examples = excluded.refused_examples,
            recent_slot = excluded.recent_slot, recent_counts = excluded.recent_counts
        """,
        [one.key.key_id for one in sources],
        [one.key.door for one in sources],
        [one.key.site is None for one in sources],
        [one.key.site or "" for one in sources],
        [one.first_push_at for one in sources],
        [one.last_push_at for one in sources],
        [one.last_sample_at for one in sources],
        [None if one.usual is None else one.usual // _MILLISECOND for one in sources],
        [one.push_count for one in sources],
        [one.accepted_count for one in sources],
        [one.set_aside_count for one in sources],
        [one.unknown_count for one in sources],
        [json.dumps(dict(one.refused)) for one in sources],
        [json.dumps([_written(example) for example in one.refused_examples]) for one in sources],
        [one.recent_slot for one in sources],
        ["{" + ",".join(map(str, one.recent_counts)) + "}" for one in sources],
    )


async def forget_sources(conn: Connection, *, before: datetime) -> int:
    """Drop what nothing was heard of since a moment; gives how many."""
    status = await conn.execute("DELETE FROM source WHERE last_push_at < $1", before)
    return int(status.rpartition(" ")[2])


def _written(example: Refusal) -> dict[str, str]:
    return {"at": example.at.isoformat(), "code": example.code, "text": example.text}


def _source(row: asyncpg.Record) -> Source:
    usual = row["usual_ms"]
    return Source(
        key=SourceKey(row["key_id"], row["door"], None if row["is_mixed"] else row["site"]),
        first_push_at=row["first_push_at"],
        last_push_at=row["last_push_at"],
        last_sample_at=row["last_sample_at"],
        usual=None if usual is None else usual * _MILLISECOND,
        push_count=row["push_count"],
        accepted_count=row["accepted_count"],
        set_aside_count=row["set_aside_count"],
        unknown_count=row["unknown_count"],
        refused=json.loads(row["refused"]),
        refused_examples=tuple(
            Refusal(datetime.fromisoformat(one["at"]), one["code"], one["text"])
            for one in json.loads(row["refused_examples"])
        ),
        recent_slot=row["recent_slot"],
        recent_counts=tuple(row["recent_counts"]),
    )
