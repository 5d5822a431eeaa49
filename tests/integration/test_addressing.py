"""Who is told of a notice: owners, members, digests, and the other channels."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.mail import Addressing, Channel, MailState
from os_credits.domain.notice import NoticeId
from os_credits.flows.deliver import AGE_MAX, deliver
from os_credits.notify.mailer import SmtpMailer
from os_credits.notify.message import Letterhead
from os_credits.notify.outlet import MailOutlet
from os_credits.store import mails
from os_credits.store.pool import connection, open_pool, transaction
from tests.integration.accounts import open_account
from tests.integration.mail_server import mail_server
from tests.unit.notify.example_mails import part_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from os_credits.domain.mail import DueMail
    from os_credits.store.pool import Connection, Pool

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIX = datetime(2026, 3, 2, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVERYWHERE = Addressing("cloud.example", digest_hour=6, webhook=True, portal=True)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, connections_max=8, statement_timeout_seconds=20)
    yield opened
    await opened.close()


async def add(
    pool: Pool,
    project: int,
    email: str,
    *,
    role: str = "owner",
    wants: list[str] | None = None,
    digest: bool = False,
    language: str = "",
) -> None:
    """Let somebody hear of a project, on terms."""
    async with connection(pool) as conn:
        await conn.execute(
            """
            INSERT INTO project_owner (project_id, email, name, role, wants, digest, language)
            VALUES ($1, $2, 'Ada', $3, $4, $5, $6)
            """,
            project,
            email,
            role,
            wants,
            digest,
            language,
        )


async def tell(
    conn: Connection,
    project: int,
    now: datetime = NOON,
    *,
    kind: str = "percent",
    line: int | None = 50,
    addressing: Addressing = EVERYWHERE,
) -> NoticeId:
    """Write a notice and address it."""
    notice_id = await insert(conn, project, now, kind, line)
    await mails.insert_mails(conn, notice_ids=[notice_id], due_at=now, addressing=addressing)
    return notice_id


async def insert(
    conn: Connection,
    project: int,
    now: datetime = NOON,
    kind: str = "percent",
    line: int | None = 50,
) -> NoticeId:
    """Write a notice."""
    notice_id = await conn.fetchval(
        """
        INSERT INTO notice (project_id, kind, line, balance, granted, created_at)
        VALUES ($1, $2, $3, 40, 100, $4) RETURNING id
        """,
        project,
        kind,
        line,
        now,
    )
    return NoticeId(notice_id)


async def rows(pool: Pool) -> list[asyncpg.Record]:
    async with connection(pool) as conn:
        return await conn.fetch("SELECT * FROM mail ORDER BY id")


async def people(pool: Pool) -> list[str]:
    return sorted(row["recipient"] for row in await rows(pool) if row["channel"] == "mail")


async def claim(pool: Pool, now: datetime) -> list[DueMail]:
    async with connection(pool) as conn:
        return await mails.claim_mails(
            conn, Channel.MAIL, now=now, claim=HOUR, age_max=AGE_MAX, limit=100
        )


@pytest.mark.parametrize(
    "kind,heard",
    [
        ("percent", ["all", "member-percent", "percent"]),
        ("days", ["all"]),
        ("closed", ["all", "closed", "member-closed"]),
    ],
)
async def test_people_hear_what_they_want(pool: Pool, kind: str, heard: list[str]) -> None:
    project = await open_account(pool, owners=[])
    await add(pool, project, "all@x.example")
    await add(pool, project, "none@x.example", wants=[])
    await add(pool, project, "member@x.example", role="member")
    for wanted in ("percent", "closed"):
        await add(pool, project, f"{wanted}@x.example", wants=[wanted])
        await add(pool, project, f"member-{wanted}@x.example", role="member", wants=[wanted])

    async with transaction(pool) as conn:
        await tell(conn, project, kind=kind)

    assert [f"{name}@x.example" for name in heard] == await people(pool)


async def test_a_mail_keeps_the_language_of_its_recipient(pool: Pool) -> None:
    project = await open_account(pool, owners=[])
    await add(pool, project, "de@x.example", language="de")
    await add(pool, project, "none@x.example")

    async with transaction(pool) as conn:
        await tell(conn, project)

    assert {"de@x.example": "de", "none@x.example": ""} == {
        one.recipient: one.language for one in await claim(pool, NOON)
    }


@pytest.mark.parametrize(
    "kind,line,channels",
    [
        ("percent", 50, {"webhook", "portal"}),
        ("percent", 0, {"webhook", "portal"}),
        ("percent", 20, {"webhook"}),
        ("credits", 50, {"webhook"}),
        ("closed", None, {"webhook"}),
    ],
)
async def test_webhooks_hear_everything_and_the_portal_two_lines(
    pool: Pool, kind: str, line: int | None, channels: set[str]
) -> None:
    project = await open_account(pool, owners=[])

    async with transaction(pool) as conn:
        await tell(conn, project, kind=kind, line=line)
        await tell(conn, project, kind=kind, line=line, addressing=Addressing())

    assert channels == {row["channel"] for row in await rows(pool)}
    assert len(channels) == len(await rows(pool))


@pytest.mark.parametrize(
    "now,hour,due",
    [
        (NOON, 6, SIX),
        (SIX - timedelta(seconds=1), 6, SIX),
        (SIX, 6, SIX + 24 * HOUR),
        (NOON, 0, datetime(2026, 3, 2, tzinfo=UTC)),
        (NOON, 23, datetime(2026, 3, 1, 23, tzinfo=UTC)),
    ],
)
async def test_a_digest_is_due_at_the_next_digest_hour(
    pool: Pool, now: datetime, hour: int, due: datetime
) -> None:
    project = await open_account(pool, owners=[])
    await add(pool, project, "ada@x.example", digest=True)

    async with transaction(pool) as conn:
        await tell(conn, project, now, addressing=Addressing(digest_hour=hour))

    assert [due] == [row["next_attempt_at"] for row in await rows(pool)]


async def test_a_digest_collects_notices_of_all_projects_until_it_is_sent(pool: Pool) -> None:
    projects = [await open_account(pool, f"P{number}", owners=[]) for number in range(3)]
    for project, spelling in zip(projects, ["Ada", "ada", "ADA"], strict=True):
        await add(pool, project, f"{spelling}@x.example", digest=True)
    async with transaction(pool) as conn:
        told = [await tell(conn, project, NOON + HOUR) for project in projects]
    assert [] == await claim(pool, NOON + 2 * HOUR)

    async with mail_server() as server:
        mailer = SmtpMailer("127.0.0.1", server.port, timeout_seconds=5)
        outlet = MailOutlet(mailer, Letterhead(sender="credits@cloud.example"))
        server.answer_rcpt("Ada@x.example", "451 later", "250 OK")
        assert 1 == (await deliver(pool, outlet, SIX)).delayed_count
        # It was claimed: what comes now waits for the next one.
        async with transaction(pool) as conn:
            late = await tell(conn, projects[0], SIX)
        assert 1 == (await deliver(pool, outlet, SIX + HOUR)).sent_count
        assert 1 == (await deliver(pool, outlet, SIX + 24 * HOUR)).sent_count

    first, second = (mail for _, mail in server.received)
    assert "3 notices about credits." in first["Subject"]
    assert all(f"Project P{number} has" in part_of(first, "plain") for number in range(3))
    assert "P0" in second["Subject"]
    assert first["Message-ID"] != second["Message-ID"]
    async with connection(pool) as conn:
        counts = await mails.count_by_notice(conn, [*told, late])
    assert counts == {(one, MailState.SENT): 1 for one in (*told, late)}


async def test_notices_at_once_join_one_digest_and_none_is_lost(pool: Pool) -> None:
    """Twenty writers and a sender that keeps claiming: each notice is in exactly one digest."""
    projects = [await open_account(pool, f"P{number}", owners=[]) for number in range(20)]
    for project in projects:
        await add(pool, project, "ada@x.example", digest=True)
        await add(pool, project, "bob@x.example", digest=True)
    claimed: list[DueMail] = []
    done = asyncio.Event()

    async def write(project: int) -> None:
        for turn in range(3):
            await asyncio.sleep(0.3 * turn + 0.02 * (project % 7))
            async with transaction(pool) as conn:
                await tell(conn, project, addressing=Addressing())
                await asyncio.sleep(0.002)

    async def keep_claiming() -> None:
        while not done.is_set():
            claimed.extend(await claim(pool, SIX))
            await asyncio.sleep(0.01)

    claiming = asyncio.create_task(keep_claiming())
    await asyncio.gather(*map(write, projects))
    done.set()
    await claiming
    claimed += await claim(pool, SIX)

    for address in ("ada@x.example", "bob@x.example"):
        of = [one for one in claimed if one.recipient == address]
        told = [each.notice.id for one in of for each in one.tidings]
        assert len(told) == len(set(told)) == 60
    assert len(await rows(pool)) == len(claimed) > 2


async def test_many_notices_to_many_people_at_once_do_not_block_each_other(pool: Pool) -> None:
    addresses = [f"{name}@x.example" for name in "abcdef"]
    projects = [await open_account(pool, f"P{number}", owners=[]) for number in range(6)]
    for number, project in enumerate(projects):
        for address in addresses[number:] + addresses[:number]:
            await add(pool, project, address, digest=True)

    async def write(order: list[int]) -> None:
        async with transaction(pool) as conn:
            told = [await insert(conn, project) for project in order]
            await mails.insert_mails(conn, notice_ids=told, due_at=NOON, addressing=Addressing())
            await asyncio.sleep(0.05)

    await asyncio.gather(write(projects), write(projects[::-1]), write(projects[3:] + projects[:3]))

    due = await claim(pool, SIX)
    assert addresses == sorted(one.recipient for one in due)
    assert {18} == {len(one.tidings) for one in due}
