"""The mail that a notice becomes, to try templates on."""

from __future__ import annotations

from email.header import decode_header, make_header
from typing import Annotated

import typer

from os_credits.cli.database import with_database
from os_credits.cli.output import examples, say
from os_credits.domain.mail import Channel, DueMail, Language, MailId, Tiding
from os_credits.errors import NotFound
from os_credits.notify.message import Letterhead, render
from os_credits.settings import Settings
from os_credits.store import mails
from os_credits.store.pool import Pool, connection

# Somebody's address must stand there, and nobody's may.
RECIPIENT = "owner@example.org"


def mail(
    notice_id: Annotated[
        int,
        typer.Argument(
            metavar="NOTICE_ID", help="Its number, as the API lists it.", show_default=False
        ),
    ],
    language: Annotated[
        Language | None, typer.Option(help="In which language; the usual one if not given.")
    ] = None,
    name: Annotated[str, typer.Option(help="The name of whom it is for.")] = "",
    digest: Annotated[
        bool, typer.Option("--digest", help="As a digest that tells of this notice only.")
    ] = False,
    html: Annotated[bool, typer.Option("--html", help="The page instead of the text.")] = False,
) -> None:
    """Print the mail that a notice becomes by the settings and templates of now; sends nothing."""
    from os_credits.jobs import letterhead_of  # it takes a while to load

    async def work(pool: Pool, settings: Settings) -> tuple[Tiding | None, Letterhead]:
        async with connection(pool) as conn:
            return await mails.read_tiding(conn, notice_id), letterhead_of(settings)

    tiding, letterhead = with_database(work)
    if tiding is None:
        raise NotFound(f"there is no notice {notice_id}")
    due = DueMail(
        id=MailId(0),
        channel=Channel.MAIL,
        recipient=RECIPIENT,
        recipient_name=name,
        language=language or "",
        message_id="<0@example.org>",
        attempt_count=0,
        is_digest=digest,
        tidings=(tiding,),
    )
    message = render(due, letterhead)
    part = message.get_body(("html" if html else "plain",))
    assert part is not None  # noqa: S101 - every mail has both
    if not html:
        say(f"Subject: {make_header(decode_header(message['Subject']))}")
        say("")
    for line in part.get_content().splitlines():
        say(line)


def add_to(program: typer.Typer) -> None:
    """Make it a command of the program."""
    program.command(
        epilog=examples(
            "os-credits notices mail 17 --language de",
            "os-credits notices mail 17 --html > mail.html",
        )
    )(mail)
