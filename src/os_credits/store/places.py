"""Table `organisation_place`: on which organisation another one hangs, from which hour on.

Revisions are only ever appended; the latest of each start counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.organisation import Organisation, Place

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.organisation import PlaceRequest
    from os_credits.domain.tree import Revision
    from os_credits.store.pool import Connection


async def lock_tree(conn: Connection) -> None:
    """Let whoever changes the tree wait for each other until the transaction ends.

    Two places that are harmless alone can make a ring together, so one lock is for all.
    """
    await conn.execute("SELECT pg_advisory_xact_lock('organisation_place'::regclass::oid::bigint)")


async def insert_place(conn: Connection, request: PlaceRequest) -> None:
    """Store a revision of an organisation's place."""
    await conn.execute(
        """
        INSERT INTO organisation_place (organisation_id, parent_id, valid_from, reason, author)
        VALUES ($1, $2, $3, $4, $5)
        """,
        request.organisation_id,
        request.parent_id,
        request.valid_from,
        request.reason,
        request.author,
    )


async def read_places(conn: Connection) -> list[Revision]:
    """Give all revisions of all places, as they were said."""
    rows = await conn.fetch(
        "SELECT organisation_id, parent_id, valid_from FROM organisation_place ORDER BY id"
    )
    return [tuple(row) for row in rows]


# How many revisions there are, and a sum of a hash of each.
Fingerprint = tuple[int, int]


async def read_fingerprint(conn: Connection) -> Fingerprint:
    """Give what differs as soon as any revision of a place was added."""
    row = await conn.fetchrow(
        """
        SELECT count(*) AS count, coalesce(sum(hash_record_extended(
            ROW(id, organisation_id, parent_id, valid_from), 0)), 0) AS hash
        FROM organisation_place
        """
    )
    assert row is not None  # noqa: S101 - a count always gives a row
    return row["count"], int(row["hash"])


async def list_places(
    conn: Connection, organisation_id: int, *, valid_from: datetime | None = None
) -> list[Place]:
    """Give the revisions that count, by their start; of one start only if given."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (p.valid_from) p.id, p.parent_id, o.name AS parent, p.valid_from,
               p.reason, p.author, p.created_at
        FROM organisation_place p LEFT JOIN organisation o ON o.id = p.parent_id
        WHERE p.organisation_id = $1 AND ($2::timestamptz IS NULL OR p.valid_from = $2)
        ORDER BY p.valid_from, p.id DESC
        """,
        organisation_id,
        valid_from,
    )
    return [Place(**dict(row)) for row in rows]


async def read_parents(
    conn: Connection, organisation_ids: Sequence[int], at: datetime
) -> dict[int, Organisation]:
    """Give what each of these organisations hangs on at a moment; missing: on none."""
    rows = await conn.fetch(
        """
        SELECT c.id AS child_id, o.id, o.name
        FROM unnest($1::bigint[]) AS c(id)
        CROSS JOIN LATERAL (
            SELECT parent_id FROM organisation_place
            WHERE organisation_id = c.id AND valid_from <= $2
            ORDER BY valid_from DESC, id DESC LIMIT 1
        ) p
        JOIN organisation o ON o.id = p.parent_id
        """,
        organisation_ids,
        at,
    )
    return {row["child_id"]: Organisation(row["id"], row["name"]) for row in rows}
