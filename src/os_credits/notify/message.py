"""Writes the mail of a notice: subject, text and HTML from the same facts.

Names come from clouds and people: they are cleaned and encoded by `headers.py`, and escaped
in HTML; addresses are checked by `domain.notice.mail_address`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from os_credits.domain.notice import mail_address
from os_credits.errors import InvalidInput, Misconfigured
from os_credits.notify.headers import mailbox, one_line, split_mailbox, text_header

if TYPE_CHECKING:
    from os_credits.domain.notice import DueMail
    from os_credits.domain.project import Project

# Headers that were stored as written are sent as written.
_AS_WRITTEN = SMTP.clone(refold_source="none")
_templates = Environment(
    loader=PackageLoader("os_credits.notify"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What is the same in every mail; raises Misconfigured if an address is none.

    `sender` is an address, or a name with an address in angle brackets; `public_url` is ''
    where no page can be linked; `precision` is how many digits of a credit are shown.
    """

    sender: str
    copies: tuple[str, ...] = ()
    public_url: str = ""
    precision: int = 2

    def __post_init__(self) -> None:
        """Find a wrong address when the service starts, not when a mail is due."""
        try:
            mail_address(split_mailbox(self.sender)[1], where="mail_from")
            for copy in self.copies:
                mail_address(copy, where="mail_cc")
        except InvalidInput as error:
            raise Misconfigured(str(error)) from error

    @property
    def sender_mailbox(self) -> str:
        """Give the value of the header From."""
        name, address = split_mailbox(self.sender)
        return mailbox(one_line(name), mail_address(address))

    @property
    def domain(self) -> str:
        """Give the sender's domain, which stands behind the @ of every Message-ID."""
        return mail_address(split_mailbox(self.sender)[1]).rpartition("@")[2]


def render(mail: DueMail, letterhead: Letterhead) -> EmailMessage:
    """Write the mail; the same facts give the same headers and texts, whenever they are sent.

    Raises InvalidInput if the recipient is no mail address.
    """
    recipient = mail_address(mail.recipient, where="recipient")
    copies = [mail_address(copy) for copy in letterhead.copies]
    facts = _facts(mail, letterhead)
    # A variable of the others, not an include: each template escapes in its own way.
    facts["headline"] = _rendered("subject.txt", facts)
    message = EmailMessage(policy=_AS_WRITTEN)
    message.set_raw("Subject", text_header("Subject", facts["headline"]))
    message.set_raw("From", letterhead.sender_mailbox)
    message.set_raw("To", mailbox(facts["owner"], recipient))
    if others := [copy for copy in copies if copy != recipient]:
        message.set_raw("Cc", ",\r\n ".join(others))
    message["Date"] = format_datetime(mail.notice.created_at.astimezone(UTC))
    message.set_raw("Message-ID", mail.message_id)
    # RFC 3834: away messages do not answer such a mail.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_rendered("notice.txt", facts), cte="quoted-printable")
    message.add_alternative(_rendered("notice.html", facts), subtype="html", cte="quoted-printable")
    return message


def shown_credits(amount: Decimal, precision: int) -> str:
    """Give an amount for reading: thousands separated, rounded, no zeros at the end."""
    whole, point, fraction = f"{amount:,.{precision}f}".partition(".")
    fraction = fraction.rstrip("0")
    text = f"{whole}{point}{fraction}" if fraction else whole
    return "0" if text == "-0" else text


def _facts(mail: DueMail, letterhead: Letterhead) -> dict[str, str]:
    notice, project, precision = mail.notice, mail.project, letterhead.precision
    return {
        "owner": one_line(mail.recipient_name),
        "project": one_line(project.name) or one_line(project.external_id) or "without a name",
        "site": one_line(project.site),
        "domain": one_line(project.domain),
        "percent": shown_credits(notice.percent, 3),
        "left": shown_credits(notice.balance, precision),
        "debt": shown_credits(max(-notice.balance, Decimal(0)), precision),
        "granted": shown_credits(notice.granted, precision),
        "time": f"{notice.created_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        "link": _history_link(project, letterhead.public_url),
    }


def _history_link(project: Project, public_url: str) -> str:
    """Link the project's page; site and domain keep equal names apart."""
    if not public_url:
        return ""
    known = {"site": project.site}
    if not project.external_id:
        known["domain"] = project.domain
    query = urlencode({key: value for key, value in known.items() if value})
    path = project.in_path(project.external_id or project.name)
    link = f"{public_url.rstrip('/')}/credits_history/{quote(path, safe='')}"
    return link + (f"?{query}" if query else "")


def _rendered(template: str, facts: dict[str, str]) -> str:
    return _templates.get_template(template).render(facts)
