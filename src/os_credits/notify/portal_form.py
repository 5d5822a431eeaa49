"""Tells the de.NBI portal of a limit, by the form that the older service sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

from os_credits.domain.mail import Channel
from os_credits.domain.notice import NoticeKind
from os_credits.errors import MailDelayed, MailRefused
from os_credits.notify.http_post import post

if TYPE_CHECKING:
    from os_credits.domain.mail import DueMail
    from os_credits.domain.notice import Notice

HALF, FULL = "half limit reached", "full limit reached"
_HALF_PERCENT = Decimal(50)
_SENT = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PortalForm:
    """The portal's base URL, and the key that it wants, if any."""

    base_url: str
    key: str = field(default="", repr=False)
    timeout_seconds: float = 30
    channel: ClassVar[Channel] = Channel.PORTAL

    async def send(self, mail: DueMail) -> None:
        """Post the form; 200 is success, anything else is tried again as the portal expects."""
        [one] = mail.tidings
        limit = limit_type(one.notice)
        if limit is None:
            raise MailRefused("the portal does not know this line")
        notice = one.notice
        form = {
            "project_name": one.project.name,
            "granted_credits": f"{notice.granted:f}",
            "used_credits": f"{notice.granted - notice.balance:f}",
            "timestamp": epoch_seconds(notice.created_at),
            "limit_type": limit,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "os_credits"}
        if self.key:
            headers["X-Api-Key"] = self.key
        url = f"{self.base_url.rstrip('/')}/credits-limit/"
        status, answer = await post(
            url, urlencode(form).encode(), headers, timeout_seconds=self.timeout_seconds
        )
        if status != _SENT:
            raise MailDelayed(answer, code=status)


def limit_type(notice: Notice) -> str | None:
    """Give what the portal calls the line that was reached; None: it has no word for it."""
    if notice.kind is not NoticeKind.PERCENT or notice.line is None:
        return None
    if notice.line <= 0:
        return FULL
    return HALF if notice.line == _HALF_PERCENT else None


def epoch_seconds(moment: datetime) -> str:
    """Write a time as seconds since 1970 with a fraction, exactly."""
    seconds, rest = divmod(moment - _EPOCH, timedelta(seconds=1))
    return f"{seconds}.{rest // timedelta(microseconds=1):06d}"
