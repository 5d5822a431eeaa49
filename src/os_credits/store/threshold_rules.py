"""Table `threshold_rule`: what projects and organisations want otherwise; the latest counts.

Rules are only ever appended; one whose definition is null takes back what was said before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.threshold import rule_of
from os_credits.domain.tree import DEPTH_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.threshold import LineRule
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule with who said so; `organisation` is None for a project's own."""

    id: int
    organisation: str | None
    rule: LineRule
    reason: str
    author: str
    created_at: datetime


async def lock_rules(conn: Connection) -> None:
    """Let whoever changes the rules of organisations wait for each other to the end."""
    await conn.execute("SELECT pg_advisory_xact_lock('threshold_rule'::regclass::oid::bigint)")


async def insert_rule(
    conn: Connection,
    *,
    project_id: int | None,
    organisation_id: int | None,
    rule: LineRule | None,
    reason: str,
    author: str,
) -> None:
    """Say what a project, or an organisation, wants from now on; None: what it would have."""
    await conn.execute(
        """
        INSERT INTO threshold_rule (project_id, organisation_id, definition, reason, author)
        VALUES ($1, $2, $3, $4, $5)
        """,
        project_id,
        organisation_id,
        None if rule is None else json.dumps(rule.definition()),
        reason,
        author,
    )


async def read_project_rules(conn: Connection, project_ids: Sequence[int]) -> dict[int, StoredRule]:
    """Give the rules of those of these projects that have one of their own."""
    rows = await conn.fetch(
        """
        SELECT p.id AS project_id, r.*
        FROM unnest($1::bigint[]) AS p(id)
        CROSS JOIN LATERAL (
            SELECT id, NULL::text AS organisation, definition, reason, author, created_at
            FROM threshold_rule WHERE project_id = p.id ORDER BY id DESC LIMIT 1
        ) r
        WHERE r.definition IS NOT NULL
        """,
        project_ids,
    )
    return {project_id: _stored(*columns) for project_id, *columns in rows}


async def has_organisation_rules(conn: Connection) -> bool:
    """Tell whether any organisation ever said anything, so that most can save the way up."""
    return bool(
        await conn.fetchval(
            "SELECT EXISTS (SELECT FROM threshold_rule WHERE organisation_id IS NOT NULL)"
        )
    )


async def read_organisation_rules(
    conn: Connection, organisation_ids: Sequence[int]
) -> dict[int, StoredRule]:
    """Give the rules of those of these organisations that have one of their own."""
    rows = await conn.fetch(
        """
        SELECT o.id AS organisation_id, r.id, o.name, r.definition, r.reason, r.author,
               r.created_at
        FROM organisation o
        CROSS JOIN LATERAL (
            SELECT id, definition, reason, author, created_at FROM threshold_rule
            WHERE organisation_id = o.id ORDER BY id DESC LIMIT 1
        ) r
        WHERE o.id = ANY($1::bigint[]) AND r.definition IS NOT NULL
        """,
        organisation_ids,
    )
    return {organisation_id: _stored(*columns) for organisation_id, *columns in rows}


async def read_way_up(conn: Connection, organisation_id: int) -> list[int]:
    """Give an organisation and those above it now, the nearest first."""
    rows = await conn.fetch(
        """
        WITH RECURSIVE way AS (
            SELECT $1::bigint AS organisation_id, 0 AS height
            UNION ALL
            SELECT o.parent_id, way.height + 1
            FROM way CROSS JOIN LATERAL (
                SELECT parent_id FROM organisation_place
                WHERE organisation_id = way.organisation_id AND valid_from <= now()
                ORDER BY valid_from DESC, id DESC LIMIT 1
            ) o
            WHERE o.parent_id IS NOT NULL AND way.height < $2
        )
        SELECT organisation_id FROM way ORDER BY height
        """,
        organisation_id,
        DEPTH_MAX,
    )
    return [row["organisation_id"] for row in rows]


def _stored(
    rule_id: int,
    organisation: str | None,
    definition: str,
    reason: str,
    author: str,
    created_at: datetime,
) -> StoredRule:
    rule = rule_of(json.loads(definition))
    return StoredRule(rule_id, organisation, rule, reason, author, created_at)
