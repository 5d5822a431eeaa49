"""Tables `threshold_state`, `told_line` and `notice`: what was told of which line, and when.

A project's row of `threshold_state` is what copies of the service lock before they look at its
lines and change them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from os_credits.domain.notice import Notice, NoticeId, NoticeKind
from os_credits.domain.threshold import Line, LineKind, Told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    import asyncpg

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class NewNotice:
    """A notice before it has its id; the fields mean what those of `Notice` mean."""

    project_id: int
    kind: NoticeKind
    value: Decimal | None
    balance: Credits
    granted: Credits
    created_at: datetime
    facts: Mapping[str, Any]
    line: Decimal | None = None
    from_line: Decimal | None = None
    closing_id: int | None = None


async def list_watched(conn: Connection, *, after_id: int, limit: int) -> list[int]:
    """Give the ids of open projects with anything in their account, from the one after."""
    rows = await conn.fetch(
        """
        SELECT p.id FROM project p
        WHERE p.id > $1
          AND (EXISTS (SELECT FROM entry WHERE project_id = p.id)
               OR EXISTS (SELECT FROM charge WHERE project_id = p.id AND charged <> booked))
          AND NOT coalesce((SELECT is_closed AND hour <= now() FROM closing
                            WHERE project_id = p.id ORDER BY id DESC LIMIT 1), false)
        ORDER BY p.id LIMIT $2
        """,
        after_id,
        limit,
    )
    return [row["id"] for row in rows]


async def ensure_states(conn: Connection, project_ids: Sequence[int]) -> None:
    """Let these projects have a row that can be locked, in the order of their ids."""
    await conn.execute(
        """
        INSERT INTO threshold_state (project_id)
        SELECT id FROM unnest($1::bigint[]) AS w(id) ORDER BY id
        ON CONFLICT (project_id) DO NOTHING
        """,
        project_ids,
    )


async def try_lock_states(conn: Connection, project_ids: Sequence[int]) -> list[int]:
    """Lock the lines of these projects to the end of the transaction, without those held.

    Gives the ids of those that are locked now.
    """
    rows = await conn.fetch(
        """
        SELECT project_id FROM threshold_state WHERE project_id = ANY($1::bigint[])
        ORDER BY project_id FOR UPDATE SKIP LOCKED
        """,
        project_ids,
    )
    return [row["project_id"] for row in rows]


async def lock_states(conn: Connection, project_ids: Sequence[int]) -> None:
    """Lock the lines of these projects, in the order of their ids; waits for whoever holds one."""
    await conn.execute(
        """
        INSERT INTO threshold_state (project_id)
        SELECT DISTINCT id FROM unnest($1::bigint[]) AS w(id) ORDER BY id
        ON CONFLICT (project_id) DO UPDATE SET lowest_percent = threshold_state.lowest_percent
        """,
        project_ids,
    )


async def read_told(conn: Connection, project_ids: Sequence[int]) -> dict[int, dict[Line, Told]]:
    """Give what was ever told of these projects' lines; a project of which nothing was, too."""
    rows = await conn.fetch(
        """
        SELECT project_id, kind, line, told_at, rearmed_at FROM told_line
        WHERE project_id = ANY($1::bigint[])
        """,
        project_ids,
    )
    told: dict[int, dict[Line, Told]] = defaultdict(dict)
    for project_id, kind, line, told_at, rearmed_at in rows:
        told[project_id][Line(LineKind(kind), line)] = Told(told_at, rearmed_at)
    return {project_id: told.get(project_id, {}) for project_id in project_ids}


async def put_told(conn: Connection, changes: Mapping[int, Mapping[Line, Told]]) -> None:
    """Remember of each project what was told or armed of which line; locked rows only."""
    rows = [
        (project_id, line.kind.value, line.value, state.told_at, state.rearmed_at)
        for project_id, lines in changes.items()
        for line, state in lines.items()
    ]
    columns = list(zip(*rows, strict=True)) or [()] * 5
    await conn.execute(
        """
        INSERT INTO told_line (project_id, kind, line, told_at, rearmed_at)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::numeric[], $4::timestamptz[],
                             $5::timestamptz[])
        ON CONFLICT (project_id, kind, line)
        DO UPDATE SET told_at = excluded.told_at, rearmed_at = excluded.rearmed_at
        """,
        *columns,
    )


async def insert_notices(conn: Connection, drafts: Sequence[NewNotice]) -> list[NoticeId]:
    """Write down what happened, one notice of a project at most; gives their ids in order."""
    rows = await conn.fetch(
        """
        INSERT INTO notice (project_id, kind, percent, line, from_line, value, balance, granted,
                            created_at, facts, closing_id)
        SELECT project_id, kind, CASE kind WHEN 'percent' THEN line END, line, from_line, value,
               balance, granted, created_at, facts::jsonb, closing_id
        FROM unnest($1::bigint[], $2::text[], $3::numeric[], $4::numeric[], $5::numeric[],
                    $6::numeric[], $7::numeric[], $8::timestamptz[], $9::text[], $10::bigint[])
            AS n(project_id, kind, line, from_line, value, balance, granted, created_at, facts,
                 closing_id)
        RETURNING id, project_id
        """,
        [draft.project_id for draft in drafts],
        [draft.kind.value for draft in drafts],
        [draft.line for draft in drafts],
        [draft.from_line for draft in drafts],
        [draft.value for draft in drafts],
        [draft.balance for draft in drafts],
        [draft.granted for draft in drafts],
        [draft.created_at for draft in drafts],
        [json.dumps(draft.facts) for draft in drafts],
        [draft.closing_id for draft in drafts],
    )
    ids = {row["project_id"]: NoticeId(row["id"]) for row in rows}
    return [ids[draft.project_id] for draft in drafts]


async def list_notices(conn: Connection, project_id: int, *, limit: int) -> list[Notice]:
    """Give a project's notices, the latest first."""
    rows = await conn.fetch(
        """
        SELECT id, project_id, kind, line, from_line, value, balance, granted, created_at, facts
        FROM notice WHERE project_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2
        """,
        project_id,
        limit,
    )
    return [notice_of(row) for row in rows]


def notice_of(row: asyncpg.Record) -> Notice:
    """Make a notice of a row that holds its columns, whatever else it holds."""
    return Notice(
        id=NoticeId(row["id"]),
        project_id=row["project_id"],
        kind=NoticeKind(row["kind"]),
        line=row["line"],
        from_line=row["from_line"],
        value=row["value"],
        balance=row["balance"],
        granted=row["granted"],
        created_at=row["created_at"],
        facts=json.loads(row["facts"]),
    )
