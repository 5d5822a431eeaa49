"""Writes the mail with a link by which a person chooses a password.

It has the same form as the mails about notices, and words of its own in the same files. It goes
to nobody but the person: copies would let others choose the password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.invitation import link_path
from os_credits.notify.content import Content, Item, Row
from os_credits.notify.figures import shown_time
from os_credits.notify.headers import one_line
from os_credits.notify.message import compose, envelope_of

if TYPE_CHECKING:
    from email.message import EmailMessage

    from os_credits.domain.invitation import DueInvitation
    from os_credits.notify.message import Letterhead

_COLOUR = "#0b5cad"


def render_invitation(due: DueInvitation, token: str, letterhead: Letterhead) -> EmailMessage:
    """Write the mail for one attempt, whose link has this token.

    Raises InvalidInput if the address is none, MailDelayed if a template of the operator's is
    broken.
    """
    envelope = envelope_of(due.email, due.name, letterhead, with_copies=False)
    language = letterhead.language_of(due.language)
    words = letterhead.wording.words(
        language,
        {
            "purpose": due.purpose.value,
            "owner": one_line(due.name),
            "intended": envelope.redirected_from,
        },
    )
    rows = (
        Row(words("label_login"), due.email),
        Row(words("label_good_until"), shown_time(due.expires_at, language)),
    )
    subject = words("link_subject")
    item = Item(
        headline=subject,
        rows=rows,
        forecast="",
        amounts_title="",
        amounts=(),
        link=letterhead.public_url.rstrip("/") + link_path(token),
        advice=words("link_advice"),
        bar_percent=None,
        colour=_COLOUR,
        label_width=max(len(row.label) for row in rows) + 1,
        amount_width=0,
    )
    redirected = envelope.redirected_from
    content = Content(
        language=language,
        subject=words("redirected_subject", subject=subject) if redirected else subject,
        is_digest=False,
        greeting=words("greeting"),
        intro="",
        redirected=words("redirected") if redirected else "",
        items=(item,),
        more="",
        link_text=words("link_to_password"),
        why=words("link_why"),
    )
    # Each attempt has a link of its own, so none is a copy of another.
    message_id = f"<link-{due.id}-{due.attempt_count}@{letterhead.domain}>"
    return compose(letterhead, envelope, content, message_id, due.created_at)
