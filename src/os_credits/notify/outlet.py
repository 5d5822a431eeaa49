"""Where mails of one channel go: to a mail server, a webhook or a portal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from os_credits.domain.mail import Channel
from os_credits.notify.message import Letterhead, render

if TYPE_CHECKING:
    from os_credits.domain.mail import DueMail
    from os_credits.notify.mailer import Mailer


class Outlet(Protocol):
    """Whoever can take what is due on a channel to whom it is for."""

    @property
    def channel(self) -> Channel:
        """Which mails are for it."""

    @property
    def timeout_seconds(self) -> float:
        """How long `send` works on one mail at most."""

    async def send(self, mail: DueMail) -> None:
        """Hand it over, or raise MailDelayed, MailRefused or InvalidInput (for good)."""


@dataclass(frozen=True, slots=True)
class MailOutlet:
    """Writes mails on a letterhead and gives them to a mailer."""

    mailer: Mailer
    letterhead: Letterhead
    channel: ClassVar[Channel] = Channel.MAIL

    @property
    def timeout_seconds(self) -> float:
        """Give the mailer's own time-out; writing takes no time to speak of."""
        return self.mailer.timeout_seconds

    async def send(self, mail: DueMail) -> None:
        """Write the mail and hand it over."""
        await self.mailer.send(render(mail, self.letterhead))
