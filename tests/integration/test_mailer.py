"""One dialogue with a real SMTP server, and the verdict on each way it can end."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from time import monotonic
from typing import TYPE_CHECKING, Literal

import pytest

from os_credits.errors import MailDelayed, MailNotSent, MailRefused
from os_credits.notify.mailer import SmtpMailer
from os_credits.notify.message import Letterhead, render
from tests.integration.mail_server import CUT, HANG, MailServer, mail_server, talking_server
from tests.unit.notify.test_message import due_mail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OWNER = "ada@lab.example"
COPY = "desk@cloud.example"
MESSAGE = render(due_mail(), Letterhead(sender="credits@cloud.example", copies=(COPY,)))


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


def mailer_of(server: MailServer, *, timeout_seconds: float = 5) -> SmtpMailer:
    return SmtpMailer("127.0.0.1", server.port, timeout_seconds=timeout_seconds)


async def failure(mailer: SmtpMailer) -> MailNotSent:
    with pytest.raises(MailNotSent) as caught:
        await mailer.send(MESSAGE)
    return caught.value


async def test_a_mail_reaches_its_recipient_and_the_copies(server: MailServer) -> None:
    await mailer_of(server).send(MESSAGE)

    [(recipients, mail)] = server.received
    assert [OWNER, COPY] == recipients
    assert MESSAGE["Message-ID"] == mail["Message-ID"]
    assert "Hello Ada," in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]


async def test_a_server_that_never_says_goodbye_has_the_mail_all_the_same(
    server: MailServer,
) -> None:
    server.quit_hangs = True
    started = monotonic()

    await mailer_of(server, timeout_seconds=1).send(MESSAGE)

    assert monotonic() - started < 4
    assert 1 == len(server.received)


async def test_an_unknown_recipient_is_refused_for_good(server: MailServer) -> None:
    server.answer_rcpt(OWNER, "550 5.1.1 no such user")

    error = await failure(mailer_of(server))

    assert isinstance(error, MailRefused)
    assert 550 == error.code
    assert "5.1.1 no such user" == str(error)
    assert [] == server.received


async def test_a_greylisting_server_asks_to_come_again(server: MailServer) -> None:
    server.answer_rcpt(OWNER, "451 4.7.1 greylisted", "250 OK")

    error = await failure(mailer_of(server))
    await mailer_of(server).send(MESSAGE)

    assert isinstance(error, MailDelayed)
    assert 451 == error.code
    assert 1 == len(server.received)


@pytest.mark.parametrize("answer", ["550 no such user", "451 greylisted"])
async def test_a_refused_copy_does_not_hold_the_mail_up(server: MailServer, answer: str) -> None:
    server.answer_rcpt(COPY, answer)

    await mailer_of(server).send(MESSAGE)

    assert [[OWNER]] == [recipients for recipients, _ in server.received]


@pytest.mark.parametrize(
    "answer,kind", [("554 this is spam", MailRefused), ("452 disk is full", MailDelayed)]
)
async def test_the_answer_to_the_text_decides_too(
    server: MailServer, answer: str, kind: type[MailNotSent]
) -> None:
    server.data_answers.append(answer)

    assert isinstance(await failure(mailer_of(server)), kind)


async def test_a_cut_after_the_text_is_no_success(server: MailServer) -> None:
    server.data_answers.append(CUT)

    assert isinstance(await failure(mailer_of(server)), MailDelayed)
    assert 1 == len(server.received)


async def test_the_time_out_holds_for_the_whole_dialogue(server: MailServer) -> None:
    server.pause_seconds = 0.4  # before each of three answers

    assert isinstance(await failure(mailer_of(server, timeout_seconds=1)), MailDelayed)
    assert [] == server.received


@pytest.mark.parametrize("at", ["rcpt", "data"])
async def test_a_server_that_falls_silent_delays_the_mail(server: MailServer, at: str) -> None:
    if at == "rcpt":
        server.answer_rcpt(OWNER, HANG)
    else:
        server.data_answers.append(HANG)

    started = monotonic()
    error = await failure(mailer_of(server, timeout_seconds=0.5))

    assert isinstance(error, MailDelayed)
    assert monotonic() - started < 3


async def test_a_server_that_drips_bytes_cannot_stretch_the_dialogue() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"220-wait\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with talking_server(drip) as port:
        started = monotonic()
        error = await failure(SmtpMailer("127.0.0.1", port, timeout_seconds=0.5))

    assert isinstance(error, MailDelayed)
    assert monotonic() - started < 3


@pytest.mark.parametrize("greeting", [b"554 no service\r\n", b"421 too busy\r\n", b"!?\r\n", b""])
async def test_a_server_that_wants_nobody_delays_the_mail(greeting: bytes) -> None:
    async def turn_away(writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)

    async with talking_server(turn_away) as port:
        error = await failure(SmtpMailer("127.0.0.1", port))

    assert isinstance(error, MailDelayed)


async def test_a_server_that_is_not_there_delays_the_mail(unused_tcp_port: int) -> None:
    error = await failure(SmtpMailer("127.0.0.1", unused_tcp_port))

    assert isinstance(error, MailDelayed)
    assert error.code is None
    assert "SMTPConnectError" in str(error)


async def test_the_right_password_opens_the_server() -> None:
    async with mail_server(password="right") as server:
        await SmtpMailer("127.0.0.1", server.port, user="credits", password="right").send(MESSAGE)

        error = await failure(
            SmtpMailer("127.0.0.1", server.port, user="credits", password="wrong")
        )

    assert 1 == len(server.received)
    # A person can put the password right while the mail waits.
    assert isinstance(error, MailDelayed)
    assert 535 == error.code


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(SmtpMailer("h", 25, user="u", password="secret"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for 127.0.0.1 that nobody but this test trusts."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    subprocess.run(
        [
            *command.split(),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(path), "-out", f"{path}.crt"),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + path.with_suffix(".pem.crt").read_text())
    return path


@pytest.mark.parametrize("tls", ["tls", "starttls"])
async def test_only_a_trusted_certificate_gets_the_mail(
    certificate: Path, tls: Literal["tls", "starttls"]
) -> None:
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    async with mail_server(tls=server_side, starttls=tls == "starttls") as server:
        await SmtpMailer("127.0.0.1", server.port, tls=tls, tls_context=trusting).send(MESSAGE)
        error = await failure(SmtpMailer("127.0.0.1", server.port, tls=tls))

    assert 1 == len(server.received)
    assert isinstance(error, MailDelayed)
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)


async def test_a_server_without_starttls_gets_no_mail_in_the_clear(server: MailServer) -> None:
    error = await failure(SmtpMailer("127.0.0.1", server.port, tls="starttls"))

    assert isinstance(error, MailDelayed)
    assert [] == server.received
