"""Tables `mail` and `mail_notice`: who is told of what, with its attempts and its outcome.

A row is one message on one channel. A digest tells of several notices, which `mail_notice`
lists; every other row tells of its `notice_id`. Times default to the database's clock where
the caller passes None.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from os_credits.domain.mail import Channel, DueMail, MailState, Tiding
from os_credits.domain.notice import Notice, NoticeKind
from os_credits.domain.project import Project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    import asyncpg

    from os_credits.domain.mail import Addressing, MailId
    from os_credits.domain.notice import NoticeId
    from os_credits.store.pool import Connection


async def insert_mails(
    conn: Connection, *, notice_ids: Sequence[NoticeId], due_at: datetime, addressing: Addressing
) -> None:
    """Address notices to whoever wants them, each row with its Message-ID for ever.

    Owners hear of everything unless they named what they want, members of what they named.
    Addresses that differ in case only get one mail. Who wants digests has one at a time that
    takes notices: it is due at the next digest hour, and its first attempt ends the taking.
    The portal knows lines at 50 per cent and at nothing left only.
    """
    await conn.execute(
        """
        WITH told AS (
            SELECT id, project_id, kind, coalesce(line, percent) AS line
            FROM notice WHERE id = ANY($1::bigint[])
        ), heard AS (
            SELECT DISTINCT ON (told.id, lower(o.email COLLATE "C"))
                   told.id AS notice_id, lower(o.email COLLATE "C") AS address,
                   o.email, o.name, o.language, o.digest
            FROM project_owner o JOIN told USING (project_id)
            WHERE coalesce(told.kind = ANY(o.wants), o.role = 'owner')
            ORDER BY told.id, lower(o.email COLLATE "C"), o.created_at DESC, o.email
        ), digest AS (
            INSERT INTO mail (notice_id, channel, recipient, recipient_name, language, message_id,
                              is_digest, created_at, next_attempt_at)
            SELECT notice_id, 'mail', email, name, language,
                   '<' || gen_random_uuid() || '@' || $3::text || '>', true, $2,
                   date_trunc('day', $2::timestamptz - $4::int * interval '1 hour', 'UTC')
                   + interval '24 hours' + $4::int * interval '1 hour'
            FROM (SELECT DISTINCT ON (address) * FROM heard WHERE digest
                  ORDER BY address, notice_id) AS first
            ORDER BY address
            ON CONFLICT (lower(recipient COLLATE "C"))
                WHERE is_digest AND state = 'pending' AND attempt_count = 0
                DO UPDATE SET state = mail.state
            RETURNING id, lower(recipient COLLATE "C") AS address
        ), joined AS (
            INSERT INTO mail_notice (mail_id, notice_id)
            SELECT digest.id, heard.notice_id FROM digest JOIN heard USING (address)
            WHERE heard.digest
        )
        INSERT INTO mail (notice_id, channel, recipient, recipient_name, language, message_id,
                          created_at, next_attempt_at)
        SELECT notice_id, channel, recipient, name, language,
               '<' || gen_random_uuid() || '@' || $3::text || '>', $2, $2
        FROM (
            SELECT notice_id, 'mail' AS channel, email AS recipient, name, language
            FROM heard WHERE NOT digest
            UNION ALL SELECT id, 'webhook', 'webhook', '', '' FROM told WHERE $5::bool
            UNION ALL SELECT id, 'portal', 'portal', '', '' FROM told
                      WHERE $6::bool AND kind = 'percent' AND (line = 50 OR line <= 0)
        ) AS post
        ORDER BY notice_id, channel, recipient
        """,
        notice_ids,
        due_at,
        addressing.message_id_domain,
        addressing.digest_hour,
        addressing.webhook,
        addressing.portal,
    )


async def claim_mails(
    conn: Connection,
    channel: Channel,
    *,
    now: datetime | None,
    claim: timedelta,
    age_max: timedelta,
    limit: int,
) -> list[DueMail]:
    """Take what is due on a channel, and let nobody else take it before the claim has run out.

    The attempt is counted here, so that an attempt which kills its process counts too. What is
    older than `age_max` is left to `give_up_mails`.
    """
    rows = await conn.fetch(
        """
        WITH due AS (
            SELECT id FROM mail
            WHERE state = 'pending' AND next_attempt_at <= coalesce($1::timestamptz, now())
              AND channel = $4 AND created_at > coalesce($1::timestamptz, now()) - $5::interval
            ORDER BY next_attempt_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
        )
        UPDATE mail m
        SET attempt_count = m.attempt_count + 1,
            next_attempt_at = coalesce($1::timestamptz, now()) + $2::interval
        FROM due WHERE m.id = due.id
        RETURNING m.id, m.notice_id, m.channel, m.recipient, m.recipient_name, m.language,
                  m.message_id, m.attempt_count, m.is_digest
        """,
        now,
        claim,
        limit,
        channel,
        age_max,
    )
    tidings = await list_tidings(conn, [row["id"] for row in rows])
    return [_due_mail(row, tidings[row["id"]]) for row in rows]


async def list_tidings(conn: Connection, mail_ids: Sequence[int]) -> dict[int, tuple[Tiding, ...]]:
    """Give what each of these mails tells, in the order of the notices."""
    rows = await conn.fetch(
        """
        SELECT m.id AS mail_id, n.id, n.project_id, n.kind, coalesce(n.line, n.percent) AS line,
               n.from_line, n.value, n.balance, n.granted, n.created_at, n.facts,
               p.site, p.external_id, p.domain, p.name
        FROM mail m
        CROSS JOIN LATERAL (
            SELECT m.notice_id UNION SELECT l.notice_id FROM mail_notice l WHERE l.mail_id = m.id
        ) AS told
        JOIN notice n ON n.id = told.notice_id JOIN project p ON p.id = n.project_id
        WHERE m.id = ANY($1::bigint[]) ORDER BY m.id, n.id
        """,
        mail_ids,
    )
    found: dict[int, tuple[Tiding, ...]] = {}
    for row in rows:
        found[row["mail_id"]] = (*found.get(row["mail_id"], ()), _tiding(row))
    return found


async def read_tiding(conn: Connection, notice_id: int) -> Tiding | None:
    """Give one notice with its project, if there is one of this number."""
    row = await conn.fetchrow(
        """
        SELECT n.id, n.project_id, n.kind, coalesce(n.line, n.percent) AS line, n.from_line,
               n.value, n.balance, n.granted, n.created_at, n.facts,
               p.site, p.external_id, p.domain, p.name
        FROM notice n JOIN project p ON p.id = n.project_id WHERE n.id = $1
        """,
        notice_id,
    )
    return None if row is None else _tiding(row)


def _tiding(row: asyncpg.Record) -> Tiding:
    return Tiding(
        Notice(
            id=row["id"],
            project_id=row["project_id"],
            kind=NoticeKind(row["kind"]),
            line=row["line"],
            from_line=row["from_line"],
            value=row["value"],
            balance=row["balance"],
            granted=row["granted"],
            created_at=row["created_at"],
            facts=json.loads(row["facts"]),
        ),
        Project(
            id=row["project_id"],
            site=row["site"],
            external_id=row["external_id"],
            domain=row["domain"],
            name=row["name"],
        ),
    )


def _due_mail(row: asyncpg.Record, tidings: tuple[Tiding, ...]) -> DueMail:
    return DueMail(
        id=row["id"],
        channel=Channel(row["channel"]),
        recipient=row["recipient"],
        recipient_name=row["recipient_name"],
        language=row["language"],
        message_id=row["message_id"],
        attempt_count=row["attempt_count"],
        is_digest=row["is_digest"],
        tidings=tidings,
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


async def give_up_mails(
    conn: Connection, *, now: datetime | None, age_max: timedelta, limit: int
) -> int:
    """Refuse what has waited longer than `age_max` on any channel, but what is in hand; count.

    That nobody ever tried is told apart: its channel is not set up.
    """
    status = await conn.execute(
        """
        UPDATE mail SET state = 'refused',
                        last_error = CASE WHEN attempt_count = 0
                                          THEN 'given up: nothing is set up that would send it'
                                          ELSE 'given up: too old. ' || last_error END
        WHERE id IN (
            SELECT id FROM mail
            WHERE state = 'pending' AND next_attempt_at <= coalesce($1::timestamptz, now())
              AND created_at <= coalesce($1::timestamptz, now()) - $2::interval
            ORDER BY next_attempt_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
        )
        """,
        now,
        age_max,
        limit,
    )
    return int(status.rpartition(" ")[2])


async def count_mails(conn: Connection) -> dict[Channel, dict[MailState, int]]:
    """Count what there is of all time on each channel, in each state."""
    rows = await conn.fetch("SELECT channel, state, count(*) FROM mail GROUP BY channel, state")
    counts = {channel: dict.fromkeys(MailState, 0) for channel in Channel}
    for row in rows:
        counts[Channel(row["channel"])][MailState(row["state"])] = row["count"]
    return counts


async def count_by_notice(
    conn: Connection, notice_ids: Sequence[int]
) -> dict[tuple[int, MailState], int]:
    """Count the mails to people that tell of these notices, in each state."""
    rows = await conn.fetch(
        """
        SELECT told.notice_id, m.state, count(*) AS mails
        FROM (
            SELECT notice_id, id AS mail_id FROM mail WHERE notice_id = ANY($1::bigint[])
            UNION
            SELECT notice_id, mail_id FROM mail_notice WHERE notice_id = ANY($1::bigint[])
        ) AS told JOIN mail m ON m.id = told.mail_id
        WHERE m.channel = 'mail' GROUP BY told.notice_id, m.state
        """,
        notice_ids,
    )
    return {(row["notice_id"], MailState(row["state"])): row["mails"] for row in rows}
