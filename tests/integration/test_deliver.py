"""Mails over real SMTP: sent once, tried again, given up, and never in anyone's way."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.mail import Channel, DueMail, MailState
from os_credits.errors import Unavailable
from os_credits.flows import deliver as flow
from os_credits.flows.deliver import DeliverResult, deliver
from os_credits.flows.notice import Watch, check
from os_credits.notify.mailer import SmtpMailer
from os_credits.notify.message import Letterhead
from os_credits.notify.outlet import MailOutlet
from os_credits.notify.wording import Wording
from os_credits.store import mails
from os_credits.store.pool import connection, open_pool
from tests.integration.accounts import OWNER, WATCH, grant, open_account, use
from tests.integration.mail_server import CUT, HANG, MailServer, mail_server
from tests.unit.notify.example_mails import part_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from email.message import EmailMessage
    from pathlib import Path

    import asyncpg

    from os_credits.store.pool import Connection, Pool

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATE = NOON + flow.AGE_MAX
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


def outlet_of(server: MailServer, letterhead: Letterhead = LETTERHEAD) -> MailOutlet:
    return MailOutlet(mailer_of(server), letterhead)


async def write_mails(
    pool: Pool,
    owners: Sequence[str] = (OWNER,),
    name: str = "Lab",
    now: datetime | None = NOON,
    watch: Watch = WATCH,
) -> int:
    """Let a project cross a line at noon, so that each owner has a mail that is due."""
    project = await open_account(pool, name, owners=owners)
    await grant(pool, project, 1000)
    await use(pool, project, "501.9")
    assert 1 == await check(pool, watch, now)
    return project


async def rows(pool: Pool) -> list[asyncpg.Record]:
    async with connection(pool) as conn:
        return await conn.fetch("SELECT * FROM mail ORDER BY id")


async def test_a_crossing_becomes_one_mail(pool: Pool, server: MailServer) -> None:
    project = await write_mails(pool)

    assert await deliver(pool, outlet_of(server), NOON) == SENT
    assert await deliver(pool, outlet_of(server), NOON + HOUR) == NOTHING
    assert 0 == await check(pool, WATCH, NOON + HOUR)
    await use(pool, project, 298)
    await use(pool, project, 300)
    assert 1 == await check(pool, WATCH, NOON + HOUR)
    assert await deliver(pool, outlet_of(server), NOON + HOUR) == SENT

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
    await write_mails(pool, now=None)

    assert await deliver(pool, outlet_of(server)) == SENT

    [row] = await rows(pool)
    assert abs(row["sent_at"] - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_mail_is_not_sent_before_its_time(pool: Pool, server: MailServer) -> None:
    await write_mails(pool)

    early = await deliver(pool, outlet_of(server), NOON - timedelta(seconds=1))

    assert early == NOTHING


async def test_a_refused_recipient_is_never_tried_again(pool: Pool, server: MailServer) -> None:
    await write_mails(pool, ["ada@lab.example", "gone@lab.example"])
    server.answer_rcpt("gone@lab.example", "550 5.1.1 no such user")

    result = await deliver(pool, outlet_of(server), NOON)

    assert result == DeliverResult(sent_count=1, delayed_count=0, refused_count=1)
    assert await deliver(pool, outlet_of(server), NOON + 24 * HOUR) == NOTHING
    assert 2 == server.dialogues
    [_, row] = await rows(pool)
    assert ("refused", "550 5.1.1 no such user") == (row["state"], row["last_error"])
    async with connection(pool) as conn:
        counts = await mails.count_mails(conn)
    assert {MailState.PENDING: 0, MailState.SENT: 1, MailState.REFUSED: 1} == counts[Channel.MAIL]


async def test_greylisting_is_waited_out(pool: Pool, server: MailServer) -> None:
    await write_mails(pool)
    server.answer_rcpt(OWNER, "451 4.7.1 come again", "250 OK")

    assert await deliver(pool, outlet_of(server), NOON) == DELAYED
    [row] = await rows(pool)
    soon = row["next_attempt_at"]
    assert ("pending", 1, "451 4.7.1 come again") == (
        row["state"],
        row["attempt_count"],
        row["last_error"],
    )
    assert timedelta(seconds=30) <= soon - NOON <= timedelta(seconds=60)

    early = await deliver(pool, outlet_of(server), soon - timedelta(seconds=1))
    assert early == NOTHING
    assert await deliver(pool, outlet_of(server), soon) == SENT
    [row] = await rows(pool)
    assert ("sent", 2, "") == (row["state"], row["attempt_count"], row["last_error"])
    assert 1 == len(server.received)


async def test_a_mail_is_given_up_after_so_many_attempts(pool: Pool, server: MailServer) -> None:
    await write_mails(pool)
    server.answer_rcpt(OWNER, "451 never mind")

    results = [
        await deliver(pool, outlet_of(server), NOON + hours * HOUR, attempts_max=3)
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

    delivering = asyncio.create_task(deliver(pool, MailOutlet(mailer, LETTERHEAD), NOON))
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

    assert await deliver(pool, outlet_of(server), NOON) == DELAYED
    assert await deliver(pool, outlet_of(server), NOON + HOUR) == SENT
    assert await deliver(pool, outlet_of(server), NOON + 2 * HOUR) == NOTHING

    [(_, first), (_, second)] = server.received
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]


KILLED_AFTER_SENDING = """
import asyncio, os, signal, sys
from datetime import datetime
from os_credits.flows.deliver import deliver
from os_credits.notify.mailer import SmtpMailer
from os_credits.notify.message import Letterhead
from os_credits.notify.outlet import MailOutlet
from os_credits.store.pool import open_pool

class Killed(SmtpMailer):
    async def send(self, message):
        await SmtpMailer.send(self, message)
        os.kill(os.getpid(), signal.SIGKILL)

async def main(url, port, now):
    pool = await open_pool(url, connections_max=2, statement_timeout_seconds=20)
    mailer = Killed("127.0.0.1", int(port), timeout_seconds=5)
    letterhead = Letterhead(sender="credits@cloud.example")
    await deliver(pool, MailOutlet(mailer, letterhead), datetime.fromisoformat(now))

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
    claimed = await deliver(pool, outlet_of(server), NOON + timedelta(seconds=30))
    over = NOON + timedelta(seconds=5 + flow.CLAIM_MARGIN_SECONDS)

    assert claimed == NOTHING
    assert await deliver(pool, outlet_of(server), over) == SENT
    assert await deliver(pool, outlet_of(server), over + HOUR) == NOTHING
    [(_, first), (_, second)] = server.received
    assert first["Message-ID"] == second["Message-ID"]


async def test_a_mail_that_kills_every_process_is_given_up(
    pool: Pool, database_url: str, server: MailServer
) -> None:
    await write_mails(pool)

    await killed_after_sending(database_url, server, NOON)
    await killed_after_sending(database_url, server, NOON + HOUR)
    result = await deliver(pool, outlet_of(server), NOON + 2 * HOUR, attempts_max=2)

    assert result == REFUSED
    assert 2 == len(server.received)


async def claim_one(conn: Connection, now: datetime) -> list[DueMail]:
    return await mails.claim_mails(
        conn, Channel.MAIL, now=now, claim=HOUR, age_max=flow.AGE_MAX, limit=1
    )


async def test_a_late_verdict_on_an_abandoned_attempt_changes_nothing(
    pool: Pool, server: MailServer
) -> None:
    await write_mails(pool)
    async with connection(pool) as conn:
        [stale] = await claim_one(conn, NOON)
        [_] = await claim_one(conn, NOON + HOUR)
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

    results = await asyncio.gather(*(deliver(pool, outlet_of(server), NOON) for _ in range(3)))

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

    assert 8 == (await deliver(pool, MailOutlet(mailer, LETTERHEAD), NOON)).sent_count
    assert 3 == (await deliver(pool, MailOutlet(mailer, LETTERHEAD), NOON)).sent_count
    assert flow.SENDING_AT_ONCE_MAX == mailer.in_hand_max
    assert 11 == len(set(mailer.taken))


async def test_a_dead_server_is_asked_for_one_batch_only(pool: Pool, unused_tcp_port: int) -> None:
    await write_mails(pool, [f"owner{number}@lab.example" for number in range(11)])

    result = await deliver(
        pool, MailOutlet(SmtpMailer("127.0.0.1", unused_tcp_port), LETTERHEAD), NOON
    )

    assert flow.SENDING_AT_ONCE_MAX == result.delayed_count
    assert 11 - flow.SENDING_AT_ONCE_MAX == [r["attempt_count"] for r in await rows(pool)].count(0)


async def test_an_unusable_address_harms_only_itself(pool: Pool, server: MailServer) -> None:
    await write_mails(pool, ["a@x\r\nBcc: thief@evil.example", OWNER])

    result = await deliver(pool, outlet_of(server), NOON)

    assert result == DeliverResult(sent_count=1, delayed_count=0, refused_count=1)
    assert [[OWNER]] == [recipients for recipients, _ in server.received]
    states = [(row["state"], row["last_error"]) for row in await rows(pool)]
    assert states[0][0] == "refused"
    assert "is no mail address" in states[0][1]


async def test_hostile_names_reach_the_owner_and_nobody_else(
    pool: Pool, server: MailServer
) -> None:
    await write_mails(pool, name="x\r\nBcc: thief@evil.example\r\n\r\n=?utf-8?q?=0D=0ATo:_a@b.c?=")

    assert await deliver(pool, outlet_of(server), NOON) == SENT

    [(recipients, mail)] = server.received
    assert [OWNER] == recipients
    assert mail["Bcc"] is None
    assert [OWNER] == [address.addr_spec for address in mail["To"].addresses]


async def test_what_a_server_says_is_kept_short_and_printable(
    pool: Pool, server: MailServer
) -> None:
    await write_mails(pool)
    server.answer_rcpt(OWNER, "451 \x1b[31m\x00" + "x" * 400)

    assert await deliver(pool, outlet_of(server), NOON) == DELAYED

    [row] = await rows(pool)
    assert len(row["last_error"]) <= 200
    assert row["last_error"].isprintable()


async def test_without_the_database_nothing_is_sent(server: MailServer) -> None:
    url = "postgresql://nobody@127.0.0.1:9/nothing"
    away = await open_pool(url, connections_max=1, statement_timeout_seconds=1)
    started = monotonic()

    with pytest.raises(Unavailable):
        await deliver(away, outlet_of(server))

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
        await deliver(pool, MailOutlet(mailer, LETTERHEAD), NOON)

    assert 2 == len(server.received)
    assert (
        await deliver(pool, MailOutlet(mailer, LETTERHEAD), NOON + timedelta(seconds=1)) == NOTHING
    )


async def test_what_nobody_could_send_for_a_week_is_given_up(
    pool: Pool, server: MailServer
) -> None:
    """A service that is given a mail server later does not begin with the news of last month."""
    await write_mails(pool, ["ada@lab.example", "slow@lab.example"])
    server.answer_rcpt("slow@lab.example", "451 later")
    async with connection(pool) as conn:
        await conn.execute("UPDATE mail SET next_attempt_at = $1 WHERE recipient ~ 'ada'", LATE)
    assert await deliver(pool, outlet_of(server), NOON) == DELAYED
    assert 0 == await flow.give_up(pool, LATE - timedelta(seconds=1))

    assert await deliver(pool, outlet_of(server), LATE) == NOTHING
    assert 2 == await flow.give_up(pool, LATE)

    assert 0 == await flow.give_up(pool, LATE + HOUR)
    assert [("refused", 0), ("refused", 1)] == sorted(
        (row["state"], row["attempt_count"]) for row in await rows(pool)
    )
    reasons = {row["recipient"]: row["last_error"] for row in await rows(pool)}
    assert reasons["ada@lab.example"] == "given up: nothing is set up that would send it"
    assert reasons["slow@lab.example"] == "given up: too old. 451 later"


async def test_a_mail_in_hand_is_not_given_up(pool: Pool, server: MailServer) -> None:
    await write_mails(pool)
    last = LATE - timedelta(seconds=1)
    async with connection(pool) as conn:
        [_] = await claim_one(conn, last)

    assert 0 == await flow.give_up(pool, LATE)
    assert 1 == await flow.give_up(pool, last + HOUR)


async def test_a_broken_template_delays_only_its_own_mails(
    pool: Pool, server: MailServer, tmp_path: Path
) -> None:
    (tmp_path / "de.jinja").write_text("{% block why %}{{ unheard_of }}{% endblock %}")
    letterhead = replace(LETTERHEAD, wording=Wording(tmp_path))
    project = await write_mails(pool, ["ada@lab.example", "jo@lab.example"])
    async with connection(pool) as conn:
        await conn.execute("UPDATE project_owner SET language = 'de' WHERE email ~ 'jo'")
    await use(pool, project, 400)
    assert 1 == await check(pool, WATCH, NOON)

    result = await deliver(pool, outlet_of(server, letterhead), NOON)

    assert result == DeliverResult(sent_count=3, delayed_count=1, refused_count=0)
    [broken] = [row for row in await rows(pool) if row["state"] == "pending"]
    assert ("de", "jo@lab.example") == (broken["language"], broken["recipient"])
    assert "template de.jinja, why: UndefinedError" in broken["last_error"]
    (tmp_path / "de.jinja").write_text("{% block why %}Danke{% endblock %}")
    assert await deliver(pool, outlet_of(server, letterhead), NOON + HOUR) == SENT
    assert "Danke" in part_of(server.received[-1][1], "plain")


async def test_on_staging_everything_goes_to_one_address(pool: Pool, server: MailServer) -> None:
    letterhead = replace(
        LETTERHEAD, copies=("desk@cloud.example",), override="staging@cloud.example"
    )
    await write_mails(pool, ["ada@lab.example", "grace@lab.example"])

    result = await deliver(pool, outlet_of(server, letterhead), NOON)

    assert 2 == result.sent_count
    assert 2 * [["staging@cloud.example"]] == [recipients for recipients, _ in server.received]
    intended = {mail["X-Intended-Recipient"].split(",")[0] for _, mail in server.received}
    assert {"Ada <ada@lab.example>", "Ada <grace@lab.example>"} == intended
