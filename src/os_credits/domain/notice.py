"""A threshold was crossed (a notice), and who is told of it (a mail)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from os_credits.domain.amount import Credits
    from os_credits.domain.project import Project

NoticeId = NewType("NoticeId", int)
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
    """A mail server took it."""
    REFUSED = "refused"
    """Never tried again: refused for good, or tried too often."""


@dataclass(frozen=True, slots=True)
class ThresholdState:
    """The gravest line of which a project was told; None: of none."""

    project_id: int
    lowest_percent: Decimal | None


@dataclass(frozen=True, slots=True)
class Notice:
    """The balance fell to `percent` per cent of what was granted, or below; in credits."""

    id: NoticeId
    project_id: int
    percent: Decimal
    balance: Credits
    granted: Credits
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DueMail:
    """A mail that is to be sent now; `attempt_count` includes the attempt about to be made."""

    id: MailId
    recipient: str
    recipient_name: str
    message_id: str
    attempt_count: int
    notice: Notice
    project: Project


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
