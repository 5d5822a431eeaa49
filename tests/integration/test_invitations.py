"""Links to choose a password go to the person alone, by a real mail server, each good once."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from os_credits.domain.mail import Language
from os_credits.domain.person import Person
from os_credits.errors import NotFound
from os_credits.flows.invitations import (
    LoginWish,
    deliver_invitations,
    invite,
    invite_person,
    make_link,
    prune,
)
from os_credits.flows.login_changes import LoginChange, change_login
from os_credits.flows.logins import find_link, request_reset, set_password
from os_credits.notify.mailer import SmtpMailer
from os_credits.notify.message import Letterhead
from os_credits.store.pool import open_pool
from tests.integration.mail_server import mail_server
from tests.integration.people_scene import ADDRESS, PASSWORD, new_person, session_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from email.message import EmailMessage

    from os_credits.store.pool import Pool
    from tests.integration.mail_server import MailServer

ADA = "ada@lab.example"
LETTERHEAD = Letterhead(
    "Credits <credits@cloud.example>",
    copies=("archive@cloud.example",),
    public_url="https://cloud.example/credits",
)
LINK = re.compile(r"https://cloud\.example/credits/password/([\w-]{43})")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, connections_max=8, statement_timeout_seconds=20)
    yield opened
    await opened.close()


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


async def deliver(
    pool: Pool, server: MailServer, letterhead: Letterhead = LETTERHEAD, *, attempts_max: int = 20
) -> int:
    mailer = SmtpMailer("127.0.0.1", server.port, timeout_seconds=5)
    return await deliver_invitations(pool, mailer, letterhead, attempts_max=attempts_max)


def parts(mail: EmailMessage) -> tuple[str, str]:
    text, page = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert page is not None
    return text.get_content(), page.get_content()


def token_in(mail: EmailMessage) -> str:
    text, page = parts(mail)
    [token] = {found[1] for one in (text, page) for found in LINK.finditer(one)}
    return token


def states(url: str) -> list[tuple[str, str, int]]:
    with psycopg.connect(url) as conn:
        return conn.execute(
            "SELECT purpose, state, attempt_count FROM invitation ORDER BY id"
        ).fetchall()


async def test_an_invitation_brings_a_link_that_lets_the_person_in(
    pool: Pool, server: MailServer
) -> None:
    wish = LoginWish(ADA, "Ada Krause")
    made = await invite(pool, wish, author="test", by_mail=True)
    assert made.token == ""

    assert await deliver(pool, server) == 1
    assert await deliver(pool, server) == 0

    [(recipients, mail)] = server.received
    assert recipients == [ADA]
    assert (mail["To"], mail["Cc"]) == (f"Ada Krause <{ADA}>", None)
    assert mail["Subject"] == "Your login for the credits of your projects"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, page = parts(mail)
    for one in (text, page):
        assert "Hello Ada Krause," in one
        assert "Choose a password" in one
        assert "can be used once" in one
    await set_password(pool, token_in(mail), PASSWORD, ADDRESS)
    assert await session_of(pool, ADA)
    with pytest.raises(NotFound):
        await set_password(pool, token_in(mail), PASSWORD, ADDRESS)


async def test_a_forgotten_password_is_asked_for_in_the_persons_own_language(
    pool: Pool, server: MailServer
) -> None:
    ada = await new_person(pool, ADA, "Ada")
    await change_login(pool, ada.id, LoginChange(language="de"))

    await request_reset(pool, "ADA@lab.example", ADDRESS)
    await request_reset(pool, "nobody@lab.example", ADDRESS)
    assert await deliver(pool, server) == 1

    [(_, mail)] = server.received
    assert mail["Subject"] == "Ein neues Passwort für die Credits Ihrer Projekte"
    assert mail["Content-Language"] == "de"
    text, page = parts(mail)
    assert "Passwort wählen" in text
    assert "Ihr Passwort bleibt, wie es ist" in " ".join(page.split())
    await set_password(pool, token_in(mail), "another lake of violins", ADDRESS)


async def test_an_address_is_sent_a_few_links_an_hour_however_often_somebody_asks(
    pool: Pool, server: MailServer
) -> None:
    await new_person(pool, ADA)
    await asyncio.gather(*(request_reset(pool, ADA, f"198.51.100.{one}") for one in range(10)))

    assert await deliver(pool, server) == 3


async def test_who_is_disabled_is_sent_nothing(
    pool: Pool, server: MailServer, database_url: str
) -> None:
    ada = await new_person(pool, ADA)
    await request_reset(pool, ADA, ADDRESS)
    await change_login(pool, ada.id, LoginChange(is_disabled=True))
    await request_reset(pool, ADA, ADDRESS)

    assert await deliver(pool, server) == 0
    assert ("reset", "refused", 0) in states(database_url)
    assert server.received == []


async def test_a_mail_that_is_tried_again_has_another_link_and_only_the_last_is_good(
    pool: Pool, server: MailServer, owner_database_url: str
) -> None:
    await invite(pool, LoginWish(ADA), author="test", by_mail=True)
    server.data_answers.append("451 come again")
    assert await deliver(pool, server) == 0
    with psycopg.connect(owner_database_url) as conn:
        conn.execute("UPDATE invitation SET next_attempt_at = now()")
    assert await deliver(pool, server) == 1

    first, second = (mail for _, mail in server.received)
    assert first["Message-ID"] != second["Message-ID"]
    with pytest.raises(NotFound):
        await find_link(pool, token_in(first))
    assert (await find_link(pool, token_in(second))).email == ADA
    assert states(owner_database_url) == [("invitation", "sent", 2)]


async def test_what_a_server_refuses_for_good_is_not_tried_again(
    pool: Pool, server: MailServer, database_url: str
) -> None:
    await invite(pool, LoginWish(ADA), author="test", by_mail=True)
    server.answer_rcpt(ADA, "550 no such user")

    assert await deliver(pool, server) == 0
    assert await deliver(pool, server) == 0

    assert states(database_url) == [("invitation", "refused", 1)]
    assert server.dialogues == 1


async def test_what_cannot_be_sent_before_it_is_too_old_is_given_up(
    pool: Pool, server: MailServer, owner_database_url: str
) -> None:
    await invite(pool, LoginWish(ADA), author="test", by_mail=True)
    with psycopg.connect(owner_database_url) as conn:
        conn.execute("UPDATE invitation SET expires_at = now()")

    assert await deliver(pool, server) == 0
    await prune(pool)

    assert states(owner_database_url) == [("invitation", "refused", 0)]


async def test_a_newer_link_keeps_the_older_from_being_mailed(
    pool: Pool, server: MailServer
) -> None:
    made = await invite(pool, LoginWish(ADA), author="test", by_mail=True)
    shown = await make_link(pool, made.login.id, author="test", by_mail=False)

    assert await deliver(pool, server) == 0
    assert (await find_link(pool, shown.token)).id == made.login.id


async def test_staging_sends_links_to_one_address_and_says_for_whom(
    pool: Pool, server: MailServer
) -> None:
    await invite(pool, LoginWish(ADA, "Ada"), author="test", by_mail=True)
    letterhead = Letterhead(
        "credits@cloud.example",
        public_url="https://cloud.example/credits",
        override="staging@cloud.example",
        language=Language.GERMAN,
    )

    assert await deliver(pool, server, letterhead) == 1

    [(recipients, mail)] = server.received
    assert recipients == ["staging@cloud.example"]
    assert f"Ada <{ADA}>" in " ".join(parts(mail)[0].split())


async def test_an_owner_invites_without_learning_who_has_a_login(
    pool: Pool, server: MailServer, database_url: str
) -> None:
    await new_person(pool, "root@lab.example", is_administrator=True)
    gone = await new_person(pool, "gone@lab.example")
    await change_login(pool, gone.id, LoginChange(is_disabled=True))
    before = states(database_url)

    for email in ("root@lab.example", "gone@lab.example", ADA, "ADA@lab.example"):
        person = Person(email, "Ada@home" if email == ADA else "x" * 500)
        await invite_person(pool, person, author="owner")

    assert await deliver(pool, server) == 1
    [(recipients, mail)] = server.received
    assert recipients == [ADA]
    assert mail["To"] == ADA
    assert len(states(database_url)) == len(before) + 1
    login = await set_password(pool, token_in(mail), PASSWORD, ADDRESS)
    assert (login.is_administrator, login.name) == (False, "")


async def test_two_copies_send_a_link_once(pool: Pool, server: MailServer) -> None:
    for number in range(6):
        await invite(pool, LoginWish(f"p{number}@lab.example"), author="test", by_mail=True)
    server.pause_seconds = 0.05

    sent = await asyncio.gather(*(deliver(pool, server) for _ in range(3)))

    assert sum(sent) == 6
    assert len({mail["To"] for _, mail in server.received}) == len(server.received) == 6


async def test_the_link_is_good_for_as_long_as_the_mail_says(
    pool: Pool, server: MailServer
) -> None:
    made = await invite(pool, LoginWish(ADA), author="test", by_mail=True)
    await deliver(pool, server)

    [(_, mail)] = server.received
    until = made.invitation.created_at + timedelta(days=7)
    assert f"{until:%H:%M} UTC" in parts(mail)[0]
