"""Writes a mail: subject, text and HTML from the same words and the same facts.

Names come from clouds and people: they are cleaned and encoded by `headers.py`, and escaped
in HTML; addresses are checked by `domain.mail.mail_address`. All facts come from the notices'
rows, so that a mail that is sent again is the same mail. Start reading at `render`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from os_credits.domain.mail import Language, mail_address
from os_credits.errors import InvalidInput, Misconfigured
from os_credits.notify.content import Content, Reader
from os_credits.notify.headers import mailbox, one_line, split_mailbox, text_header
from os_credits.notify.wording import Wording

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.mail import DueMail

# Headers that were stored as written are sent as written.
_AS_WRITTEN = SMTP.clone(refold_source="none")
# As much of a subject as programs show; the text tells all of it.
SUBJECT_LENGTH_MAX = 200
_BUILT_IN = Wording()


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What is the same in every mail; raises Misconfigured if an address is none.

    `sender` is an address, or a name with an address in angle brackets; `public_url` is ''
    where no page can be linked; `precision` is how many digits of a credit are shown. With
    `override` every mail goes to that address only, and tells for whom it was. `language` is
    for those who have chosen none.
    """

    sender: str
    copies: tuple[str, ...] = ()
    public_url: str = ""
    precision: int = 2
    override: str = ""
    language: Language = Language.ENGLISH
    wording: Wording = field(default=_BUILT_IN, repr=False)

    def __post_init__(self) -> None:
        """Find a wrong address when the service starts, not when a mail is due."""
        try:
            mail_address(split_mailbox(self.sender)[1], where="mail_from")
            for copy in self.copies:
                mail_address(copy, where="mail_cc")
            if self.override:
                mail_address(self.override, where="mail_override_address")
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

    def language_of(self, code: str) -> Language:
        """Give the language that a recipient chose, if there are texts in it."""
        return Language(code) if code in set(Language) else self.language


@dataclass(frozen=True, slots=True)
class Envelope:
    """To whom a mail goes: header values, encoded; `intended` is whom the override keeps it from.

    `redirected_from` says the same for people.
    """

    to: str
    copies: tuple[str, ...] = ()
    intended: tuple[str, ...] = ()
    redirected_from: str = ""


def render(mail: DueMail, letterhead: Letterhead) -> EmailMessage:
    """Write the mail; the same facts give the same headers and texts, whenever they are sent.

    Raises InvalidInput if the recipient is no mail address, MailDelayed if a template of the
    operator's is broken.
    """
    envelope = envelope_of(mail.recipient, mail.recipient_name, letterhead)
    reader = Reader(
        letterhead.wording,
        letterhead.language_of(mail.language),
        letterhead.public_url,
        letterhead.precision,
    )
    content = reader.read(mail, redirected_from=envelope.redirected_from)
    created_at = max(one.notice.created_at for one in mail.tidings)
    return compose(letterhead, envelope, content, mail.message_id, created_at)


def compose(
    letterhead: Letterhead,
    envelope: Envelope,
    content: Content,
    message_id: str,
    created_at: datetime,
) -> EmailMessage:
    """Put what a mail tells into its form, for the server; raises MailDelayed."""
    message = EmailMessage(policy=_AS_WRITTEN)
    _put_headers(message, letterhead, envelope, content)
    message["Date"] = format_datetime(created_at.astimezone(UTC))
    message.set_raw("Message-ID", message_id)
    # RFC 3834: away messages do not answer such a mail.
    message["Auto-Submitted"] = "auto-generated"
    text, page = (
        letterhead.wording.form(form, content.for_template()) for form in ("mail.txt", "mail.html")
    )
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(page, subtype="html", cte="quoted-printable")
    message["Content-Language"] = content.language
    return message


def envelope_of(
    email: str, name: str, letterhead: Letterhead, *, with_copies: bool = True
) -> Envelope:
    """Say to whom a mail goes; raises InvalidInput if the recipient is no mail address."""
    recipient = mail_address(email, where="recipient")
    owner = mailbox(one_line(name), recipient)
    copies = tuple(
        copy for copy in map(mail_address, letterhead.copies) if with_copies and copy != recipient
    )
    if not letterhead.override:
        return Envelope(owner, copies)
    told = [f"{one_line(name)} <{recipient}>".strip(), *copies]
    return Envelope(mail_address(letterhead.override), (), (owner, *copies), ", ".join(told))


def _put_headers(
    message: EmailMessage, letterhead: Letterhead, envelope: Envelope, content: Content
) -> None:
    subject = one_line(content.subject, SUBJECT_LENGTH_MAX)
    message.set_raw("Subject", text_header("Subject", subject))
    message.set_raw("From", letterhead.sender_mailbox)
    message.set_raw("To", envelope.to)
    if envelope.copies:
        message.set_raw("Cc", ",\r\n ".join(envelope.copies))
    if envelope.intended:
        message.set_raw("X-Intended-Recipient", ",\r\n ".join(envelope.intended))
