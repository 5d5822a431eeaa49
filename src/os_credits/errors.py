"""Every exception that os_credits raises on purpose.

    OsCreditsError
    |-- InvalidInput            400  what the caller sent is wrong; names where and what
    |   |-- InvalidLabels       400  one label set is unusable; the others are not touched
    |   |-- UnsupportedMedia    415  a content type or encoding that this door does not speak
    |   `-- TooLarge            413  a body beyond a named limit
    |-- Unauthenticated         401  no key, or a key that is not known
    |-- Forbidden               403  a known key without the scope that this needs
    |-- NotFound                404  no such thing, or none that this key may see
    |-- Conflict                409  the request contradicts what is stored
    |-- RateLimited             429  too many attempts; says when to come again
    |-- Unavailable             503  trouble that passes; the same request may come again
    |-- MailNotSent                  a mail was not taken
    |   |-- MailDelayed              the mail server is away or busy; another attempt follows
    |   `-- MailRefused              refused for good; no other attempt follows
    |-- PortalSilent                 a portal gave no number
    `-- Misconfigured                the service cannot start like this; says what to change

The HTTP status of each is decided in one place, `api/middleware.py`.
"""

from __future__ import annotations


class OsCreditsError(Exception):
    """Anything that os_credits itself finds wrong."""


class InvalidInput(OsCreditsError):
    """The caller sent something wrong; `where` names the place, the message says what."""

    def __init__(self, message: str, *, where: str | None = None) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.where = where


class InvalidLabels(InvalidInput):
    """One label set cannot be used; its samples are refused, all others are kept."""


class UnsupportedMedia(InvalidInput):
    """A content type or content encoding that this door does not speak."""


class TooLarge(InvalidInput):
    """A body, before or after decompression, is larger than the setting allows."""


class Unauthenticated(OsCreditsError):
    """No API key was sent, or one that is not known."""


class Forbidden(OsCreditsError):
    """The API key is known, but lacks the scope that this request needs."""


class NotFound(OsCreditsError):
    """There is no such thing, or none that this key may see."""


class Conflict(OsCreditsError):
    """The request contradicts what is stored; `candidates` lists what it could mean."""

    def __init__(self, message: str, *, candidates: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.candidates = candidates or []


class RateLimited(OsCreditsError):
    """Too many attempts of one client, or at one address; another is judged in `seconds`."""

    def __init__(self, message: str, *, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class Unavailable(OsCreditsError):
    """Something needed is away for the moment; the same request may come again."""


class MailNotSent(OsCreditsError):
    """A mail was not taken; `code` is the server's reply, None where there was none."""

    permanent = False

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class MailDelayed(MailNotSent):
    """The mail server is away, busy, misconfigured or asks to come again; try later."""


class MailRefused(MailNotSent):
    """This recipient or this mail is refused for good; another attempt would only annoy."""

    permanent = True


class PortalSilent(OsCreditsError):
    """A portal did not say what a project is granted; `of_all`: others would fare no better."""

    def __init__(self, message: str, *, of_all: bool) -> None:
        super().__init__(message)
        self.of_all = of_all


class Misconfigured(OsCreditsError):
    """The service cannot work with this configuration; the message says what to change."""
