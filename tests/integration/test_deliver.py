"""Mails over real SMTP: sent once, tried again, given up, and never in anyone's way."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.mail import MailState
from os_credits.errors import Unavailable
from os_credits.flows import deliver as flow
from os_credits.flows.deliver import DeliverResult, deliver
from os_credits.flows.notice import check
from os_credits.notify.mailer import SmtpMailer
from os_credits.notify.message import Letterhead
from os_credits.store import mails
from os_credits.store.pool import connection, open_pool
from tests.integration.accounts import OWNER, WATCH, grant, open_account, use
from tests.integration.mail_server import CUT, HANG, MailServer, mail_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from email.message import EmailMessage

    import asyncpg

    from os_credits.store import mails
from os_credits.store.pool import Pool

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LETTERHEAD = Letterhead(sender="credits@cloud.example", public_url="https://credits.example")
NOTHING = DeliverResult(sent_count=0, delayed_count=0, refused_count=0)
SENT = DeliverResult(sent_count=1, delayed_count=0, refused_count=0)
DELAYED = DeliverResult(sent_count=0, delayed_count=1, refused_count=0)
REFUSED = DeliverResult(sent_count=0, delayed_count=0, refused_count=1)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, connections_max=8, statement_timeout_seconds=20)
    yield opened
    await opened.close()


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


def mailer_of(server: MailServer, *, timeout_seconds: float = 5) -> SmtpMailer:
    return SmtpMailer("127.0.0.1", server.port, timeout_seconds=timeout_seconds)


async def write_mails(pool: Pool, owners: Sequence[str] = (OWNER,), name: str = "Lab") -> int:
    """Let a project cross a line at noon, so that each owner has a mail that is due."""
    project = await open_account(pool, name, owners=owners)
    await grant(pool, project, 1000)
    await use(pool, project, "501.9")
    assert 1 == await check(pool, WATCH, NOON)
    return project


async def rows(pool: Pool) -> list[asyncpg.Record]:
    async with connection(pool) as conn:
        return await conn.fetch("SELECT * FROM mail ORDER BY id")


async def test_a_crossing_becomes_one_mail(pool: Pool, server: MailServer) -> None:
    project = await write_mails(pool)

    assert await deliver(pool, mailer_of(server), LETTERHEAD, NOON) == SENT
    assert await deliver(pool, mailer_of(server), LETTERHEAD, NOON + HOUR) == NOTHING
    assert 0 == await check(pool, WATCH, NOON + HOUR)
    await use(pool, project, 298)
    await use(pool, project, 300)
    assert 1 == await check(pool, WATCH, NOON + HOUR)
    assert await deliver(pool, mailer_of(server), LETTERHEAD, NOON + HOUR) == SENT

    [(recipients, first), (_, second)] = server.received
    assert [OWNER] == recipients
    assert "Project Lab has used half of its credits: 498.1 of 1,000 left" == first["Subject"]
    assert "99.9 below zero" in second["Subject"]
    [row, _] = await rows(pool)
    assert (row["state"], row["sent_at"], row["attempt_count"]) == ("sent", NOON, 1)
    assert row["message_id"] == first["Message-ID"]


async def test_the_clock_of_the_database_serves_where_none_is_given(
    pool: Pool, server: MailServer
) -> None:
    await write_mails(pool)

    assert await deliver(pool, mailer_of(server), LETTERHEAD) == SENT

    [row] = await rows(pool)
    assert abs(row["sent_at"] - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_mail_is_not_sent_before_its_time(pool: Pool, server: MailServer) -> None:
    await write_mails(pool)

    early = await deliver(pool, mailer_of(server), LETTERHEAD, NOON - timedelta(seconds=1))

    assert early == NOTHING


async def test_a_refused_recipient_is_never_tried_again(pool: Pool, server: MailServer) -> None:
    await write_mails(pool, ["ada@lab.example", "gone@lab.example"])
    server.answer_rcpt("gone@lab.example", "550 5.1.1 no such user")

    result = await deliver(pool, mailer_of(server), LETTERHEAD, NOON)

    assert result == DeliverResult(sent_count=1, delayed_count=0, refused_count=1)
    assert await deliver(pool, mailer_of(server), LETTERHEAD, NOON + 24 * HOUR) == NOTHING
    assert 2 == server.dialogues
    [_, row] = await rows(pool)
    assert ("refused", "550 5.1.1 no such user") == (row["state"], row["last_error"])
    async with connection(pool) as conn:
        counts = await mails.count_mails(conn)
    assert {MailState.PENDING: 0, MailState.SENT: 1, MailState.REFUSED: 1} == counts


async def test_greylisting_is_waited_out(pool: Pool, server: MailServer) -> None:
    await write_mails(pool)
    server.answer_rcpt(OWNER, "451 4.7.1 come again", "250 OK")

    assert await deliver(pool, mailer_of(server), LETTERHEAD, NOON) == DELAYED
    [row] = await rows(pool)
    soon = row["next_attempt_at"]
    assert ("pending", 1, "451 4.7.1 come again") == (
        row["state"],
        row["attempt_count"],
        row["last_error"],
    )
    assert timedelta(seconds=30) <= soon - NOON <= timedelta(seconds=60)

    early = await deliver(pool, mailer_of(server), LETTERHEAD, soon - timedelta(seconds=1))
    assert early == NOTHING
    assert await deliver(pool, mailer_of(server), LETTERHEAD, soon) == SENT
    [row] = await rows(pool)
    assert ("sent", 2, "") == (row["state"], row["attempt_count"], row["last_error"])
    assert 1 == len(server.received)


async def test_a_mail_is_given_up_after_so_many_attempts(pool: Pool, server: MailServer) -> None:
    await write_mails(pool)
    server.answer_rcpt(OWNER, "451 never mind")

    results = [
        await deliver(pool, mailer_of(server), LETTERHEAD, NOON + hours * HOUR, attempts_max=3)
        for hours in range(5)
    ]

    assert results == [DELAYED, DELAYED, REFUSED, NOTHING, NOTHING]
    [row] = await rows(pool)
    assert ("refused", 3, "451 never mind") == (
        row["state"],
        row["attempt_count"],
        row["last_error"],
    )


async def test_a_hanging_server_delays_only_the_mail(pool: Pool, server: MailServer) -> None:
    await write_mails(pool)
    server.data_answers.append(HANG)
    mailer = mailer_of(server, timeout_seconds=1)

    delivering = asyncio.create_task(deliver(pool, mailer, LETTERHEAD, NOON))
    await asyncio.sleep(0.5)
    async with connection(pool) as conn:
        held = await conn.fetchval(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND state LIKE 'idle in transaction%'
            """
        )
        # Nobody holds the row: it can be locked at once.
        await conn.fetch("SELECT id FROM mail FOR UPDATE NOWAIT")

    assert 0 == held
    assert await delivering == DELAYED


async def test_a_cut_after_the_text_sends_the_same_mail_again(
    pool: Pool, server: MailServer
) -> None:
    await write_mails(pool)
    server.data_answers.append(CUT)

    assert await deliver(pool, mailer_of(server), LETTERHEAD, NOON) == DELAYED
    assert await deliver(pool, mailer_of(server), LETTERHEAD, NOON + HOUR) == SENT
    assert await deliver(pool, mailer_of(server), LETTERHEAD, NOON + 2 * HOUR) == NOTHING

    [(_, first), (_, second)] = server.received
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]


KILLED_AFTER_SENDING = """
import asyncio, os, signal, sys
from datetime import datetime
from os_credits.flows.deliver import deliver
from os_credits.notify.mailer import SmtpMailer
from os_credits.notify.message import Letterhead
from os_credits.store import mails
from os_credits.store.pool import open_pool

class Killed(SmtpMailer):
    async def send(self, message):
        await SmtpMailer.send(self, message)
        os.kill(os.getpid(), signal.SIGKILL)

async def main(url, port, now):
    pool = await open_pool(url, connections_max=2, statement_timeout_seconds=20)
    mailer = Killed("127.0.0.1", int(port), timeout_seconds=5)
    letterhead = Letterhead(sender="credits@cloud.example")
    await deliver(pool, mailer, letterhead, datetime.fromisoformat(now))

asyncio.run(main(*sys.argv[1:]))
"""


async def killed_after_sending(url: str, server: MailServer, now: datetime) -> None:
    arguments = ["-c", KILLED_AFTER_SENDING, url, str(server.port), now.isoformat()]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    assert -signal.SIGKILL == await process.wait()


async def test_a_kill_between_sending_and_marking_sends_one_more_copy(
    pool: Pool, database_url: str, server: MailServer
) -> None:
    await write_mails(pool)

    await killed_after_sending(database_url, server, NOON)
    claimed = await deliver(pool, mailer_of(server), LETTERHEAD, NOON + timedelta(seconds=30))
    over = NOON + timedelta(seconds=5 + flow.CLAIM_MARGIN_SECONDS)

    assert claimed == NOTHING
    assert await deliver(pool, mailer_of(server), LETTERHEAD, over) == SENT
    assert await deliver(pool, mailer_of(server), LETTERHEAD, over + HOUR) == NOTHING
    [(_, first), (_, second)] = server.received
    assert first["Message-ID"] == second["Message-ID"]


async def test_a_mail_that_kills_every_process_is_given_up(
    pool: Pool, database_url: str, server: MailServer
) -> None:
    await write_mails(pool)

    await killed_after_sending(database_url, server, NOON)
    await killed_after_sending(database_url, server, NOON + HOUR)
    result = await deliver(pool, mailer_of(server), LETTERHEAD, NOON + 2 * HOUR, attempts_max=2)

    assert result == REFUSED
    assert 2 == len(server.received)


async def test_a_late_verdict_on_an_abandoned_attempt_changes_nothing(
    pool: Pool, server: MailServer
) -> None:
    await write_mails(pool)
    async with connection(pool) as conn:
        [stale] = await mails.claim_mails(conn, now=NOON, claim=HOUR, limit=1)
        [_] = await mails.claim_mails(conn, now=NOON + HOUR, claim=HOUR, limit=1)
        [before] = await rows(pool)

        await mails.postpone_mail(
            conn, stale.id, attempt_count=stale.attempt_count, now=NOON, wait=HOUR, error="late"
        )
        await mails.refuse_mail(conn, stale.id, attempt_count=stale.attempt_count, error="late")
        assert [before] == await rows(pool)

        await mails.mark_sent(conn, stale.id, now=NOON)
        await mails.refuse_mail(conn, stale.id, attempt_count=2, error="late")
    assert ["sent"] == [row["state"] for row in await rows(pool)]


async def test_several_copies_send_each_mail_once(pool: Pool, server: MailServer) -> None:
    owners = [f"owner{number}@lab.example" for number in range(30)]
    await write_mails(pool, owners)

    results = await asyncio.gather(
        *(deliver(pool, mailer_of(server), LETTERHEAD, NOON) for _ in range(3))
    )

    assert len(owners) == sum(result.sent_count for result in results)
    assert sorted(owners) == sorted(recipients[0] for recipients, _ in server.received)


@dataclass
class CountingMailer:
    """Takes every mail, slowly, and knows how many it had in hand at once."""

    timeout_seconds: float = 5
    in_hand: int = 0
    in_hand_max: int = 0
    taken: list[str] = field(default_factory=list)

    async def send(self, message: EmailMessage) -> None:
        self.in_hand += 1
        self.in_hand_max = max(self.in_hand_max, self.in_hand)
        await asyncio.sleep(0.01)
        self.in_hand -= 1
        self.taken.append(message["To"].addresses[0].addr_spec)


async def test_a_call_sends_a_few_at_once_and_not_without_end(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "MAILS_PER_CALL_MAX", 8)
    await write_mails(pool, [f"owner{number}@lab.example" for number in range(11)])
    mailer = CountingMailer()

    assert 8 == (await deliver(pool, mailer, LETTERHEAD, NOON)).sent_count
    assert 3 == (await deliver(pool, mailer, LETTERHEAD, NOON)).sent_count
    assert flow.SENDING_AT_ONCE_MAX == mailer.in_hand_max
    assert 11 == len(set(mailer.taken))


async def test_a_dead_server_is_asked_for_one_batch_only(pool: Pool, unused_tcp_port: int) -> None:
    await write_mails(pool, [f"owner{number}@lab.example" for number in range(11)])

    result = await deliver(pool, SmtpMailer("127.0.0.1", unused_tcp_port), LETTERHEAD, NOON)

    assert flow.SENDING_AT_ONCE_MAX == result.delayed_count
    assert 11 - flow.SENDING_AT_ONCE_MAX == [r["attempt_count"] for r in await rows(pool)].count(0)


async def test_an_unusable_address_harms_only_itself(pool: Pool, server: MailServer) -> None:
    await write_mails(pool, ["a@x\r\nBcc: thief@evil.example", OWNER])

    result = await deliver(pool, mailer_of(server), LETTERHEAD, NOON)

    assert result == DeliverResult(sent_count=1, delayed_count=0, refused_count=1)
    assert [[OWNER]] == [recipients for recipients, _ in server.received]
    states = [(row["state"], row["last_error"]) for row in await rows(pool)]
    assert states[0][0] == "refused"
    assert "is no mail address" in states[0][1]


async def test_hostile_names_reach_the_owner_and_nobody_else(
    pool: Pool, server: MailServer
) -> None:
    await write_mails(pool, name="x\r\nBcc: thief@evil.example\r\n\r\n=?utf-8?q?=0D=0ATo:_a@b.c?=")

    assert await deliver(pool, mailer_of(server), LETTERHEAD, NOON) == SENT

    [(recipients, mail)] = server.received
    assert [OWNER] == recipients
    assert mail["Bcc"] is None
    assert [OWNER] == [address.addr_spec for address in mail["To"].addresses]


async def test_what_a_server_says_is_kept_short_and_printable(
    pool: Pool, server: MailServer
) -> None:
    await write_mails(pool)
    server.answer_rcpt(OWNER, "451 \x1b[31m\x00" + "x" * 400)

    assert await deliver(pool, mailer_of(server), LETTERHEAD, NOON) == DELAYED

    [row] = await rows(pool)
    assert len(row["last_error"]) <= 200
    assert row["last_error"].isprintable()


async def test_without_the_database_nothing_is_sent(server: MailServer) -> None:
    url = "postgresql://nobody@127.0.0.1:9/nothing"
    away = await open_pool(url, connections_max=1, statement_timeout_seconds=1)
    started = monotonic()

    with pytest.raises(Unavailable):
        await deliver(away, mailer_of(server), LETTERHEAD)

    assert monotonic() - started < 10
    assert 0 == server.dialogues


@dataclass
class BrokenMailer:
    """Has a bug that one recipient brings out."""

    inner: SmtpMailer
    timeout_seconds: float = 5

    async def send(self, message: EmailMessage) -> None:
        if "bug@lab.example" in message["To"]:
            raise ZeroDivisionError
        await self.inner.send(message)


async def test_a_bug_with_one_mail_does_not_stop_the_others(pool: Pool, server: MailServer) -> None:
    await write_mails(pool, ["bug@lab.example", "x@lab.example", "y@lab.example"])
    mailer = BrokenMailer(mailer_of(server))

    with pytest.raises(ZeroDivisionError):
        await deliver(pool, mailer, LETTERHEAD, NOON)

    assert 2 == len(server.received)
    assert await deliver(pool, mailer, LETTERHEAD, NOON + timedelta(seconds=1)) == NOTHING
