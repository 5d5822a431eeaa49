"""Who is told of notices, by which channel, and what became of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from os_credits.domain.notice import Notice
    from os_credits.domain.project import Project

MailId = NewType("MailId", int)

# RFC 5321: the whole address, and what stands before the @.
ADDRESS_LENGTH_MAX = 254
LOCAL_PART_LENGTH_MAX = 64
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


class MailState(StrEnum):
    """What became of one mail to one recipient."""

    PENDING = "pending"
    """Not yet sent; tried again when its time comes."""
    SENT = "sent"
    """A mail server, or whoever else it is for, took it."""
    REFUSED = "refused"
    """Never tried again: refused for good, or tried too often or too late."""


class Channel(StrEnum):
    """The way by which a notice is told; each has its own job, so none waits for another."""

    MAIL = "mail"
    """A mail to a person."""
    WEBHOOK = "webhook"
    """A signed JSON document to a URL; one for each notice."""
    PORTAL = "portal"
    """The form of the de.NBI portal; for lines in per cent that it knows."""


class Language(StrEnum):
    """In which language a mail is written, by its code."""

    ENGLISH = "en"
    GERMAN = "de"


@dataclass(frozen=True, slots=True)
class Addressing:
    """How notices are addressed.

    `message_id_domain` stands behind the @ of every Message-ID. `digest_hour` (UTC) is when
    those hear who want one mail a day; the other channels get notices only where they are on.
    """

    message_id_domain: str = "localhost"
    digest_hour: int = 6
    webhook: bool = False
    portal: bool = False


@dataclass(frozen=True, slots=True)
class Tiding:
    """A notice and the project that it is about."""

    notice: Notice
    project: Project


@dataclass(frozen=True, slots=True)
class DueMail:
    """A mail that is to be sent now; `attempt_count` includes the attempt about to be made.

    A digest tells of several projects, every other mail of one. `language` is '' where the
    recipient has chosen none; `recipient` is an address on the channel `mail` only.
    """

    id: MailId
    channel: Channel
    recipient: str
    recipient_name: str
    language: str
    message_id: str
    attempt_count: int
    is_digest: bool
    tidings: tuple[Tiding, ...]


def mail_address(text: str, *, where: str = "address") -> str:
    """Check a bare mail address and give it with its domain in lower-case ASCII (IDNA).

    Raises InvalidInput for whatever a mail server might read as more than one plain address:
    names, quotes, brackets, white space, and characters before the @ that need SMTPUTF8.
    """
    local_part, _, domain = text.rpartition("@")
    if (
        len(text) <= ADDRESS_LENGTH_MAX
        and len(local_part) <= LOCAL_PART_LENGTH_MAX
        and _LOCAL_PART.fullmatch(local_part)
    ):
        address = f"{local_part}@{_ascii_domain(domain)}"
        if not address.endswith("@") and len(address) <= ADDRESS_LENGTH_MAX:
            return address
    raise InvalidInput(f"{text[:80]!r} is no mail address", where=where)


def _ascii_domain(domain: str) -> str:
    """Give a domain as the DNS knows it, '' if it cannot be one."""
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""
    return ascii_domain if _DOMAIN.fullmatch(ascii_domain) else ""
