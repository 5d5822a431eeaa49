"""Tells a URL of each notice: a JSON document, signed, for programs that act on it."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any, ClassVar

from os_credits.domain.mail import Channel
from os_credits.errors import MailDelayed, MailRefused
from os_credits.notify.http_post import post

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from os_credits.domain.mail import DueMail, Tiding

SIGNATURE_HEADER = "X-Os-Credits-Signature"
# Facts that leave the house; whatever else a notice holds may name people.
FACTS_TOLD = ("burned", "forecast", "also", "lines", "after", "used_after", "hour")
_OK = range(200, 300)
_WRONG = range(400, 500)
# Asking to come again, though they begin with a 4.
_LATER = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that hears of every notice; `clock` gives the seconds since 1970 of the signature."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    clock: Callable[[], float]
    timeout_seconds: float = 30
    channel: ClassVar[Channel] = Channel.WEBHOOK

    async def send(self, mail: DueMail) -> None:
        """Post the notice; 2xx is success, other 4xx than 408, 425 and 429 end the attempts."""
        body = document(mail.tidings[0])
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "os_credits",
            # The same for each attempt, so that a receiver can tell a second copy.
            "Idempotency-Key": mail.message_id,
            SIGNATURE_HEADER: signature(self.secret, int(self.clock()), body),
        }
        status, answer = await post(self.url, body, headers, timeout_seconds=self.timeout_seconds)
        if status in _OK:
            return
        if status in _WRONG and status not in _LATER:
            raise MailRefused(answer, code=status)
        raise MailDelayed(answer, code=status)


def document(one: Tiding) -> bytes:
    """Write a notice as JSON: amounts are texts, times ISO 8601 in UTC; nobody is named.

    The same notice gives the same bytes.
    """
    notice, project = one.notice, one.project
    content = {
        "id": notice.id,
        "kind": notice.kind,
        "project": {
            "id": project.id,
            "site": project.site,
            "external_id": project.external_id,
            "domain": project.domain,
            "name": project.name,
        },
        "line": _text(notice.line),
        "from_line": _text(notice.from_line),
        "value": _text(notice.value),
        "balance": _text(notice.balance),
        "granted": _text(notice.granted),
        "facts": {name: notice.facts[name] for name in FACTS_TOLD if name in notice.facts},
        "created_at": notice.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    return json.dumps(content, separators=(",", ":")).encode()


def signature(secret: str, seconds: int, body: bytes) -> str:
    """Sign a body and the time of sending: `t=SECONDS,v1=HMAC-SHA256 of "SECONDS.BODY"`."""
    signed = f"{seconds}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def _text(amount: Decimal | None) -> Any:
    return None if amount is None else f"{amount:f}"
