"""Table `project_owner`: who hears of which project; and what is stored of an address."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.mail import Channel, MailState
from os_credits.domain.notice import NoticeKind
from os_credits.domain.person import Person, Role, StoredPerson

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import asyncpg

    from os_credits.store.pool import Connection

# What stands for a server's answer that may have named an address.
ERASED = "erased"


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A mail to an address, with the kinds of notices that it tells of, as an export shows it."""

    id: int
    project_id: int
    recipient: str
    recipient_name: str
    language: str
    channel: Channel
    is_digest: bool
    kinds: tuple[NoticeKind, ...]
    state: MailState
    attempt_count: int
    last_error: str
    message_id: str
    created_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class LastMail:
    """A mail to an address, as a list shows it; `kind` is that of its first notice."""

    id: int
    project_id: int
    kind: NoticeKind
    state: MailState
    is_digest: bool
    created_at: datetime
    sent_at: datetime | None
    last_error: str


@dataclass(frozen=True, slots=True)
class ErasedMails:
    """How many mails an address was taken from, and how many of them were yet to be sent."""

    mail_count: int
    pending_count: int


async def put_people(conn: Connection, people: Sequence[tuple[int, Person]]) -> None:
    """Let each person hear of a project (by id); one who did so before is changed.

    Addresses that differ in case only are one: the latest spelling stays. None may come twice.
    """
    project_ids = [project_id for project_id, _ in people]
    emails = [person.email for _, person in people]
    await conn.execute(
        """
        DELETE FROM project_owner o USING unnest($1::bigint[], $2::text[]) AS w(project_id, email)
        WHERE o.project_id = w.project_id AND o.email <> w.email
          AND lower(o.email COLLATE "C") = lower(w.email COLLATE "C")
        """,
        project_ids,
        emails,
    )
    await conn.execute(
        """
        INSERT INTO project_owner (project_id, email, name, role, language, wants, digest)
        SELECT w.project_id, w.email, w.name, w.role, w.language, string_to_array(w.wants, ' '),
               w.digest
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                    $7::bool[]) AS w(project_id, email, name, role, language, wants, digest)
        ON CONFLICT (project_id, email) DO UPDATE
        SET name = excluded.name, role = excluded.role, language = excluded.language,
            wants = excluded.wants, digest = excluded.digest
        """,
        project_ids,
        emails,
        [person.name for _, person in people],
        [person.role.value for _, person in people],
        [person.language for _, person in people],
        [None if person.wants is None else " ".join(person.wants) for _, person in people],
        [person.digest for _, person in people],
    )


async def delete_people(conn: Connection, people: Sequence[tuple[int, str]]) -> int:
    """Forget addresses of projects (by id), however they are spelled; gives how many rows went.

    Whoever calls holds `lock_against_notices`.
    """
    rows = await conn.fetch(
        """
        DELETE FROM project_owner o USING unnest($1::bigint[], $2::text[]) AS w(project_id, email)
        WHERE o.project_id = w.project_id
          AND lower(o.email COLLATE "C") = lower(w.email COLLATE "C")
        RETURNING o.project_id
        """,
        [project_id for project_id, _ in people],
        [email for _, email in people],
    )
    return len(rows)


async def list_people(conn: Connection, project_id: int) -> list[Person]:
    """Give everyone who may hear of the project, each address once, by address."""
    return (await list_people_of(conn, [project_id])).get(project_id, [])


async def list_people_of(conn: Connection, project_ids: Sequence[int]) -> dict[int, list[Person]]:
    """Give the people of each of these projects, each address once, by address."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (project_id, lower(email COLLATE "C"))
               project_id, email, name, role, language, wants, digest
        FROM project_owner WHERE project_id = ANY($1::bigint[])
        ORDER BY project_id, lower(email COLLATE "C"), created_at DESC, email
        """,
        project_ids,
    )
    people: dict[int, list[Person]] = defaultdict(list)
    for row in rows:
        people[row["project_id"]].append(_person(row))
    return people


def _person(row: asyncpg.Record) -> Person:
    return Person(
        email=row["email"],
        name=row["name"],
        role=Role(row["role"]),
        language=row["language"],
        wants=None if row["wants"] is None else tuple(map(NoticeKind, row["wants"])),
        digest=row["digest"],
    )


async def lock_against_notices(conn: Connection, project_ids: Sequence[int]) -> None:
    """Wait until no notice of these projects is being written, and let none begin.

    A notice points at its project, so it waits for this lock; whoever is removed under it
    stands, once it is given back, neither among the people nor on a mail that nobody saw.
    """
    await conn.execute(
        "SELECT id FROM project WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE", project_ids
    )


async def list_projects_of(conn: Connection, email: str) -> list[int]:
    """Give the projects of which an address hears, however it is spelled, by id."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT project_id FROM project_owner
        WHERE lower(email COLLATE "C") = lower($1 COLLATE "C") ORDER BY project_id
        """,
        email,
    )
    return [row["project_id"] for row in rows]


async def list_stored(conn: Connection, email: str) -> list[StoredPerson]:
    """Give an address's part in every project, in every spelling that is stored."""
    rows = await conn.fetch(
        """
        SELECT project_id, email, name, role, language, wants, digest, created_at
        FROM project_owner WHERE lower(email COLLATE "C") = lower($1 COLLATE "C")
        ORDER BY project_id, email
        """,
        email,
    )
    return [StoredPerson(row["project_id"], _person(row), row["created_at"]) for row in rows]


async def list_mails(
    conn: Connection, email: str, *, after_id: int, limit: int
) -> list[StoredMail]:
    """Give the mails to an address, however it is spelled, oldest first."""
    rows = await conn.fetch(
        """
        SELECT m.id, n.project_id, m.recipient, m.recipient_name, m.language, m.channel,
               m.is_digest, m.state, m.attempt_count, m.last_error, m.message_id, m.created_at,
               m.sent_at,
               coalesce((SELECT array_agg(t.kind ORDER BY t.id) FROM mail_notice d
                         JOIN notice t ON t.id = d.notice_id WHERE d.mail_id = m.id),
                        ARRAY[n.kind]) AS kinds
        FROM mail m JOIN notice n ON n.id = m.notice_id
        WHERE lower(m.recipient COLLATE "C") = lower($1 COLLATE "C") AND m.channel = 'mail'
          AND m.id > $2
        ORDER BY m.id LIMIT $3
        """,
        email,
        after_id,
        limit,
    )
    return [
        StoredMail(
            **{
                **dict(row),
                "channel": Channel(row["channel"]),
                "state": MailState(row["state"]),
                "kinds": tuple(map(NoticeKind, row["kinds"])),
            }
        )
        for row in rows
    ]


async def list_last_mails(conn: Connection, email: str, *, limit: int) -> list[LastMail]:
    """Give the latest mails to an address, however it is spelled, the latest first."""
    rows = await conn.fetch(
        """
        SELECT m.id, n.project_id, n.kind, m.state, m.is_digest, m.created_at, m.sent_at,
               m.last_error
        FROM mail m JOIN notice n ON n.id = m.notice_id
        WHERE lower(m.recipient COLLATE "C") = lower($1 COLLATE "C") AND m.channel = 'mail'
        ORDER BY m.id DESC LIMIT $2
        """,
        email,
        limit,
    )
    return [
        LastMail(
            **{
                **dict(row),
                "kind": NoticeKind(row["kind"]),
                "state": MailState(row["state"]),
            }
        )
        for row in rows
    ]


async def erase_mails(conn: Connection, email: str) -> ErasedMails:
    """Take an address, however it is spelled, from all mails; those that wait are refused.

    What a server answered may name it too, even on a mail to somebody else: it goes as well.
    """
    row = await conn.fetchrow(
        """
        WITH was AS (
            SELECT id, state FROM mail
            WHERE lower(recipient COLLATE "C") = lower($1 COLLATE "C") AND channel = 'mail'
            FOR UPDATE
        ), erased AS (
            UPDATE mail m
            SET recipient = 'erased-' || m.id, recipient_name = '',
                state = CASE WHEN m.state = 'pending' THEN 'refused' ELSE m.state END,
                last_error = CASE WHEN m.state = 'pending' OR m.last_error <> '' THEN $2
                                  ELSE '' END
            FROM was WHERE m.id = was.id
        ), named AS (
            UPDATE mail SET last_error = $2
            WHERE id NOT IN (SELECT id FROM was) AND last_error <> ''
              AND position(lower($1 COLLATE "C") IN lower(last_error COLLATE "C")) > 0
        )
        SELECT count(*) AS mail_count, count(*) FILTER (WHERE state = 'pending') AS pending_count
        FROM was
        """,
        email,
        ERASED,
    )
    assert row is not None  # noqa: S101 - a count always gives a row
    return ErasedMails(**dict(row))
