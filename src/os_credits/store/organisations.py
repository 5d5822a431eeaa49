"""Tables `organisation` and `membership`: where projects belong, from which hour on.

Revisions of a project's place are only ever appended; the latest of each start counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.organisation import Membership, Organisation, OrganisationSum

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.organisation import MembershipRequest
    from os_credits.store.pool import Connection


async def ensure_organisation(conn: Connection, name: str) -> int:
    """Give the id of an organisation, storing it if it is new."""
    await conn.execute(
        "INSERT INTO organisation (name) VALUES ($1) ON CONFLICT (name) DO NOTHING", name
    )
    organisation_id = await conn.fetchval("SELECT id FROM organisation WHERE name = $1", name)
    return int(organisation_id)


async def list_organisations(
    conn: Connection,
    *,
    among: Sequence[str] | None,
    after_id: int = 0,
    only_id: int | None = None,
    name: str | None = None,
    limit: int,
) -> list[Organisation]:
    """Give organisations by id; None filters nothing.

    With `among` (names, cloud ids and `#` with our ids of projects) only those to which one of
    these projects belongs, or did.
    """
    rows = await conn.fetch(
        """
        SELECT id, name FROM organisation o
        WHERE id > $2 AND ($3::bigint IS NULL OR id = $3) AND ($4::text IS NULL OR name = $4)
          AND ($1::text[] IS NULL OR EXISTS (
              SELECT FROM membership m JOIN project p ON p.id = m.project_id
              WHERE m.organisation_id = o.id
                AND ('#' || p.id = ANY($1)
                     OR (p.name = ANY($1) AND NOT starts_with(p.name, '#'))
                     OR (p.external_id = ANY($1) AND p.external_id <> ''
                         AND NOT starts_with(p.external_id, '#')))))
        ORDER BY id LIMIT $5
        """,
        among,
        after_id,
        only_id,
        name,
        limit,
    )
    return [Organisation(**dict(row)) for row in rows]


async def insert_membership(
    conn: Connection, request: MembershipRequest, organisation_id: int | None
) -> int:
    """Store a revision of a project's place and give its id."""
    membership_id = await conn.fetchval(
        """
        INSERT INTO membership (project_id, organisation_id, valid_from, reason, author)
        VALUES ($1, $2, $3, $4, $5) RETURNING id
        """,
        request.project_id,
        organisation_id,
        request.valid_from,
        request.reason,
        request.author,
    )
    return int(membership_id)


async def list_memberships(
    conn: Connection, project_id: int, *, valid_from: datetime | None = None
) -> list[Membership]:
    """Give the revisions that count, by their start; of one start only if given."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (m.valid_from) m.id, o.name AS organisation, m.valid_from, m.reason,
               m.author, m.created_at
        FROM membership m LEFT JOIN organisation o ON o.id = m.organisation_id
        WHERE m.project_id = $1 AND ($2::timestamptz IS NULL OR m.valid_from = $2)
        ORDER BY m.valid_from, m.id DESC
        """,
        project_id,
        valid_from,
    )
    return [Membership(**dict(row)) for row in rows]


async def sum_by_membership(
    conn: Connection, organisation_id: int, *, start: datetime, end: datetime
) -> list[OrganisationSum]:
    """Sum what an organisation's projects used in the hours of a period, by project and meter.

    Each hour counts for the organisation to which the project belonged then, as known now.
    What a project opened with counts in the hour of its opening.
    """
    rows = await conn.fetch(
        """
        WITH revision AS (
            SELECT DISTINCT ON (project_id, valid_from) project_id, valid_from, organisation_id
            FROM membership
            WHERE project_id IN (SELECT project_id FROM membership WHERE organisation_id = $1)
            ORDER BY project_id, valid_from, id DESC
        ), held AS (
            SELECT project_id, organisation_id, valid_from,
                   lead(valid_from, 1, 'infinity')
                       OVER (PARTITION BY project_id ORDER BY valid_from) AS valid_until
            FROM revision
        ), span AS (
            SELECT project_id, greatest(valid_from, $2) AS start, least(valid_until, $3) AS "end"
            FROM held
            WHERE organisation_id = $1 AND valid_from < $3 AND valid_until > $2
        ), used AS (
            SELECT c.project_id, c.meter_id, c.charged AS amount
            FROM span s JOIN charge c
                ON c.project_id = s.project_id AND c.hour >= s.start AND c.hour < s."end"
            UNION ALL
            SELECT e.project_id, e.meter_id, -e.amount
            FROM span s JOIN entry e
                ON e.project_id = s.project_id AND e.hour >= s.start AND e.hour < s."end"
            WHERE e.kind = 'opening' AND e.meter_id IS NOT NULL
        )
        SELECT project_id, meter_id, sum(amount) AS credits FROM used
        GROUP BY project_id, meter_id HAVING sum(amount) <> 0
        ORDER BY project_id, meter_id
        """,
        organisation_id,
        start,
        end,
    )
    return [OrganisationSum(**dict(row)) for row in rows]
