"""Table `audit`: who changed what; triggers write it, this only reads it and forgets addresses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from os_credits.domain.audit import AuditLine

if TYPE_CHECKING:
    from os_credits.domain.audit import AuditFilter
    from os_credits.store.pool import Connection


async def list_audit(conn: Connection, wanted: AuditFilter, *, limit: int) -> list[AuditLine]:
    """Give lines of the log, the newest first; `actor` is found within the name."""
    rows = await conn.fetch(
        """
        SELECT id, made_at, actor, via, login_id, subject, action, project_id, organisation_id,
               details
        FROM audit
        WHERE ($1::bigint IS NULL OR project_id = $1)
          AND ($2::bigint IS NULL OR organisation_id = $2)
          AND ($3::text IS NULL OR subject = $3)
          AND ($4::text IS NULL OR position(lower($4) IN lower(actor)) > 0)
          AND ($5::bigint IS NULL OR login_id = $5)
          AND ($6::timestamptz IS NULL OR made_at >= $6)
          AND ($7::bigint IS NULL OR id < $7)
        ORDER BY id DESC LIMIT $8
        """,
        wanted.project_id,
        wanted.organisation_id,
        wanted.subject,
        wanted.actor,
        wanted.login_id,
        wanted.since,
        wanted.before_id,
        limit,
    )
    return [AuditLine(**{**dict(row), "details": json.loads(row["details"])}) for row in rows]


async def forget_in_audit(conn: Connection, email: str) -> int:
    """Take an address, however it is spelled, from the log; gives from how many lines."""
    return int(await conn.fetchval("SELECT forget_in_audit($1)", email))
