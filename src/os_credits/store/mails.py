"""Table `mail`: one row per notice and recipient, with its attempts and its outcome.

Times default to the database's clock where the caller passes None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.notice import DueMail, MailState, Notice
from os_credits.domain.project import Project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    import asyncpg

    from os_credits.domain.notice import MailId, NoticeId
    from os_credits.store.pool import Connection


async def insert_mails(
    conn: Connection,
    *,
    notice_id: NoticeId,
    project_id: int,
    due_at: datetime,
    message_id_domain: str,
) -> None:
    """Address a notice to each owner the project has now, with its Message-ID for ever.

    Addresses that differ in case only get one mail.
    """
    await conn.execute(
        """
        INSERT INTO mail (notice_id, recipient, recipient_name, message_id, next_attempt_at)
        SELECT $1, email, name, '<' || gen_random_uuid() || '@' || $4::text || '>', $3
        FROM (
            SELECT DISTINCT ON (lower(email COLLATE "C")) email, name FROM project_owner
            WHERE project_id = $2 ORDER BY lower(email COLLATE "C"), created_at DESC, email
        ) AS owner
        """,
        notice_id,
        project_id,
        due_at,
        message_id_domain,
    )


async def claim_mails(
    conn: Connection, *, now: datetime | None, claim: timedelta, limit: int
) -> list[DueMail]:
    """Take mails that are due, and let nobody else take them before the claim has run out.

    The attempt is counted here, so that an attempt which kills its process counts too.
    """
    rows = await conn.fetch(
        """
        WITH due AS (
            SELECT id FROM mail
            WHERE state = 'pending' AND next_attempt_at <= coalesce($1::timestamptz, now())
            ORDER BY next_attempt_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
        )
        UPDATE mail m
        SET attempt_count = m.attempt_count + 1,
            next_attempt_at = coalesce($1::timestamptz, now()) + $2::interval
        FROM due, notice n, project p
        WHERE m.id = due.id AND n.id = m.notice_id AND p.id = n.project_id
        RETURNING m.id, m.recipient, m.recipient_name, m.message_id, m.attempt_count,
                  n.id AS notice_id, n.project_id, n.percent, n.balance, n.granted, n.created_at,
                  p.site, p.external_id, p.domain, p.name
        """,
        now,
        claim,
        limit,
    )
    return [_due_mail(row) for row in rows]


def _due_mail(row: asyncpg.Record) -> DueMail:
    return DueMail(
        id=row["id"],
        recipient=row["recipient"],
        recipient_name=row["recipient_name"],
        message_id=row["message_id"],
        attempt_count=row["attempt_count"],
        notice=Notice(
            id=row["notice_id"],
            project_id=row["project_id"],
            percent=row["percent"],
            balance=row["balance"],
            granted=row["granted"],
            created_at=row["created_at"],
        ),
        project=Project(
            id=row["project_id"],
            site=row["site"],
            external_id=row["external_id"],
            domain=row["domain"],
            name=row["name"],
        ),
    )


async def mark_sent(conn: Connection, mail_id: MailId, *, now: datetime | None) -> None:
    """Remember that a server took the mail, whichever attempt it was."""
    await conn.execute(
        """
        UPDATE mail SET state = 'sent', last_error = '', sent_at = coalesce($2::timestamptz, now())
        WHERE id = $1 AND state = 'pending'
        """,
        mail_id,
        now,
    )


async def postpone_mail(
    conn: Connection,
    mail_id: MailId,
    *,
    attempt_count: int,
    now: datetime | None,
    wait: timedelta,
    error: str,
) -> None:
    """Let the mail wait for its next attempt, unless a later attempt has begun already."""
    await conn.execute(
        """
        UPDATE mail SET last_error = $5,
                        next_attempt_at = coalesce($3::timestamptz, now()) + $4::interval
        WHERE id = $1 AND attempt_count = $2 AND state = 'pending'
        """,
        mail_id,
        attempt_count,
        now,
        wait,
        error,
    )


async def refuse_mail(conn: Connection, mail_id: MailId, *, attempt_count: int, error: str) -> None:
    """Give the mail up, unless a later attempt has begun already."""
    await conn.execute(
        """
        UPDATE mail SET state = 'refused', last_error = $3
        WHERE id = $1 AND attempt_count = $2 AND state = 'pending'
        """,
        mail_id,
        attempt_count,
        error,
    )


async def count_mails(conn: Connection) -> dict[MailState, int]:
    """Count the mails of all time in each state."""
    rows = await conn.fetch("SELECT state, count(*) AS mails FROM mail GROUP BY state")
    return dict.fromkeys(MailState, 0) | {MailState(row["state"]): row["mails"] for row in rows}


async def count_by_notice(
    conn: Connection, notice_ids: Sequence[int]
) -> dict[tuple[int, MailState], int]:
    """Count the mails of these notices in each state."""
    rows = await conn.fetch(
        """
        SELECT notice_id, state, count(*) AS mails FROM mail
        WHERE notice_id = ANY($1::bigint[]) GROUP BY notice_id, state
        """,
        notice_ids,
    )
    return {(row["notice_id"], MailState(row["state"])): row["mails"] for row in rows}
