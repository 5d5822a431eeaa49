"""Hands one mail to a mail server, and says of each failure whether to try again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import aiosmtplib

from os_credits.errors import MailDelayed, MailNotSent, MailRefused

if TYPE_CHECKING:
    import ssl
    from email.message import EmailMessage

# The mail is taken already; a server that is slow to say goodbye must not undo that.
GOODBYE_SECONDS_MAX = 2
_FAILURES = (aiosmtplib.SMTPException, OSError, ValueError)
_PERMANENT = range(500, 600)


class Mailer(Protocol):
    """Whoever can take a mail to its recipient."""

    @property
    def timeout_seconds(self) -> float:
        """How long `send` works on one mail at most."""

    async def send(self, message: EmailMessage) -> None:
        """Hand the mail over, or raise MailDelayed or MailRefused."""


@dataclass(frozen=True, slots=True)
class SmtpMailer:
    """A mail server: how to reach it, and how to log in if it asks for that (`user`).

    `tls_context` replaces the system's certificate authorities.
    """

    host: str
    port: int
    tls: Literal["none", "starttls", "tls"] = "none"
    user: str = ""
    password: str = field(default="", repr=False)
    timeout_seconds: float = 30
    tls_context: ssl.SSLContext | None = field(default=None, repr=False)

    async def send(self, message: EmailMessage) -> None:
        """Have one dialogue with the server, on a connection of its own.

        The first address in `To` decides; a refused `Cc` does not hold the mail up.
        """
        client = self._client()
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await _transfer(client, message)
            await _say_goodbye(client)
        except _FAILURES as error:
            raise _judged(error) from error
        finally:
            client.close()

    async def probe(self) -> None:
        """Do everything but send: connect, encrypt, log in. Raises MailDelayed."""
        client = self._client()
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await client.connect()
            await _say_goodbye(client)
        except _FAILURES as error:
            raise _judged(error) from error
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.user or None,
            password=self.password if self.user else None,
            use_tls=self.tls == "tls",
            start_tls=self.tls == "starttls",
            tls_context=self.tls_context,
            timeout=self.timeout_seconds,
        )


async def _transfer(client: aiosmtplib.SMTP, message: EmailMessage) -> None:
    """Return only once the server took the mail."""
    await client.connect()
    await client.mail(_addresses(message, "From")[0])
    recipient, *copies = _addresses(message, "To") + _addresses(message, "Cc")
    await client.rcpt(recipient)
    for copy in copies:
        with suppress(aiosmtplib.SMTPRecipientRefused):
            await client.rcpt(copy)
    await client.data(message.as_bytes())


async def _say_goodbye(client: aiosmtplib.SMTP) -> None:
    with suppress(*_FAILURES):
        await client.quit(timeout=GOODBYE_SECONDS_MAX)


def _addresses(message: EmailMessage, name: str) -> list[str]:
    headers = message.get_all(name, [])
    return [address.addr_spec for header in headers for address in header.addresses]


def _judged(error: Exception) -> MailNotSent:
    """Refused for good is only a 5xx for this recipient or this mail.

    A 5xx before that (greeting, TLS, login, sender) speaks of the server or of our settings,
    which a person can put right while the mail waits.
    """
    code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None
    if isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError):
        if error.code in _PERMANENT:
            return MailRefused(str(error.message), code=code)
        return MailDelayed(str(error.message), code=code)
    return MailDelayed(f"{type(error).__name__}: {str(error) or 'it took too long'}", code=code)
