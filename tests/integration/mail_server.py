"""A real SMTP server (aiosmtpd) on a loopback port, that misbehaves as a test asks for."""

from __future__ import annotations

import asyncio
import email
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.policy import default
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from email.message import EmailMessage

CUT = "cut"
HANG = "hang"


@dataclass
class MailServer:
    """What it received, and what it answers next: an SMTP reply, CUT or HANG, else 250.

    A mail counts as received once its final dot has come, whatever is answered then.
    """

    port: int = 0
    rcpt_answers: dict[str, deque[str]] = field(default_factory=dict)
    data_answers: deque[str] = field(default_factory=deque)
    received: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    dialogues: int = 0
    password: str = ""
    quit_hangs: bool = False
    pause_seconds: float = 0

    def answer_rcpt(self, address: str, *answers: str) -> None:
        """Answer the next RCPT commands of this address so, the last answer for ever."""
        self.rcpt_answers[address] = deque(answers)

    async def handle_MAIL(  # noqa: N802 - the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Count who came so far."""
        self.dialogues += 1
        await asyncio.sleep(self.pause_seconds)
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the recipient, or do as the test asked for."""
        await asyncio.sleep(self.pause_seconds)
        answers = self.rcpt_answers.get(address)
        if answers:
            answer = answers.popleft() if len(answers) > 1 else answers[0]
            if not answer.startswith("250"):
                return await self._misbehave(server, answer)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Keep the mail, then answer."""
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=default)
        self.received.append((list(envelope.rcpt_tos), mail))
        return await self._misbehave(
            server, self.data_answers.popleft() if self.data_answers else "250 OK"
        )

    async def handle_QUIT(  # noqa: N802 - the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Say goodbye, unless the test asked for silence."""
        return await self._misbehave(server, HANG if self.quit_hangs else "221 Bye")

    async def _misbehave(self, server: SMTP, answer: str) -> str:
        if answer == HANG:
            await asyncio.sleep(3600)
        if answer == CUT:
            hang_up(server)
            return ""
        return answer

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth: Any
    ) -> AuthResult:
        """Know one user with one password."""
        assert isinstance(auth, LoginPassword)
        known = auth.login == b"credits" and auth.password == self.password.encode()
        return AuthResult(success=known, handled=False)


def hang_up(session: SMTP) -> None:
    """Drop the connection of a session at once."""
    if isinstance(session.transport, asyncio.Transport):
        session.transport.abort()


@asynccontextmanager
async def mail_server(
    *, tls: ssl.SSLContext | None = None, starttls: bool = False, password: str = ""
) -> AsyncIterator[MailServer]:
    """Run a server in this event loop; with a password it offers a login."""
    state = MailServer(password=password)
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(
            SMTP(
                state,
                hostname="mail.example",
                tls_context=tls if starttls else None,
                authenticator=state.authenticate if password else None,
                auth_require_tls=False,
            )
        )
        return sessions[-1]

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=None if starttls else tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for one in sessions:
            hang_up(one)
        await asyncio.sleep(0)


@asynccontextmanager
async def talking_server(
    talk: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Run a server that talks to everyone who comes and never listens; give its port."""
    talks: list[asyncio.Task[None]] = []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.append(task)
        with suppress(ConnectionError):
            await talk(writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(meet, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*talks)
