"""Logins: who may come in, as an administrator or as what projects and organisations name."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from os_credits.api.login_shapes import (
    EndedShape,
    InvitedShape,
    LinkShape,
    ListedLoginShape,
    LoginPage,
    LoginShape,
    SessionList,
    listed,
    login_shape,
    session_shape,
)
from os_credits.cli.database import with_database
from os_credits.cli.operator import author
from os_credits.cli.output import (
    Json,
    complain,
    examples,
    print_facts,
    print_json,
    print_table,
    say,
)
from os_credits.domain.invitation import link_path
from os_credits.domain.login import Login, SeenSession
from os_credits.domain.mail import mail_address
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows import sessions
from os_credits.flows.invitations import NO_MAIL, Invited, LoginWish, invite, make_link
from os_credits.flows.login_changes import LoginChange, change_login
from os_credits.flows.logins import choose_password
from os_credits.settings import Settings
from os_credits.store import logins
from os_credits.store.logins import ListedLogin
from os_credits.store.pool import Connection, Pool, connection

# How many logins are read at once.
PAGE_MAX = 1000

commands = typer.Typer(
    help="Logins: people who come in by address and password.", no_args_is_help=True
)

Who = Annotated[
    str,
    typer.Argument(metavar="LOGIN", help="Its address, or #number.", show_default=False),
]
Mail = Annotated[
    bool, typer.Option("--mail", help="Mail the link instead of printing it; by the service.")
]


@commands.command(
    epilog=examples(
        "os-credits login add ada@example.org --administrator --name 'Ada Krause'",
        "os-credits login add bob@example.org --mail --language de",
    )
)
def add(
    email: Annotated[
        str, typer.Argument(metavar="EMAIL", help="A mail address.", show_default=False)
    ],
    name: Annotated[str, typer.Option(help="As it stands beside what the person does.")] = "",
    language: Annotated[str, typer.Option(help="en or de; '' for the browser's.")] = "",
    administrator: Annotated[
        bool, typer.Option("--administrator", help="Let the person see and change everything.")
    ] = False,
    mail: Mail = False,
    as_json: Json = False,
) -> None:
    """Let somebody log in, and make the link by which the password is chosen, once.

    Who has a login already keeps it as it is, and gets a new link.
    """
    wish = LoginWish(email, name, language, administrator)

    async def work(pool: Pool, settings: Settings) -> tuple[Invited, str]:
        by_mail = _by_mail(settings, wanted=mail)
        return await invite(pool, wish, author=author(), by_mail=by_mail), address_of(settings)

    _show_invited(*with_database(work), as_json=as_json)


@commands.command(epilog=examples("os-credits login link ada@example.org"))
def link(login: Who, mail: Mail = False, as_json: Json = False) -> None:
    """Make a new link by which a login's password is chosen; older ones lead nowhere."""

    async def work(pool: Pool, settings: Settings) -> tuple[Invited, str]:
        by_mail = _by_mail(settings, wanted=mail)
        found = await _find_in(pool, login)
        made = await make_link(pool, found.id, author=author(), by_mail=by_mail)
        return made, address_of(settings)

    _show_invited(*with_database(work), as_json=as_json)


def _by_mail(settings: Settings, *, wanted: bool) -> bool:
    if wanted and not settings.sends_links:
        raise InvalidInput(NO_MAIL, where="--mail")
    return wanted


def address_of(settings: Settings) -> str:
    """Give the address at which people find the service, or where it listens."""
    return settings.public_url or f"http://{settings.host}:{settings.port}"


def _show_invited(made: Invited, address: str, *, as_json: bool) -> None:
    shown = address + link_path(made.token) if made.token else None
    if as_json:
        invitation = LinkShape(
            purpose=made.invitation.purpose,
            state=made.invitation.state,
            expires_at=made.invitation.expires_at,
            link=shown,
        )
        print_json(InvitedShape(login=login_shape(made.login), invitation=invitation))
        return
    if shown is not None:
        say(shown)
    who = f"login {made.login.id} ({made.login.email})"
    until = f"{made.invitation.expires_at:%Y-%m-%d %H:%M} UTC"
    complain(
        f"The link for {who} works once, until {until}: only that person may see it."
        if shown
        else f"A link for {who} is being mailed, good until {until}."
    )


@commands.command("list", epilog=examples("os-credits login list", "os-credits login list ada"))
def list_(
    search: Annotated[
        str, typer.Argument(metavar="TEXT", help="A part of the name or the address.")
    ] = "",
    as_json: Json = False,
) -> None:
    """List who may log in."""

    async def work(pool: Pool, _settings: Settings) -> list[ListedLogin]:
        found: list[ListedLogin] = []
        async with connection(pool) as conn:
            while page := await logins.list_logins(
                conn,
                search=search,
                after_id=found[-1].login.id if found else 0,
                limit=PAGE_MAX,
            ):
                found += page
        return found

    shapes = listed(with_database(work))
    if as_json:
        print_json(LoginPage(logins=shapes, next=None))
        return
    print_table(
        ["ID>", "ADDRESS", "NAME", "ADMINISTRATOR", "STATE", "LAST SEEN", "MADE"],
        (
            [one.id, one.email, one.name, "yes" if one.is_administrator else "no",
             _state(one), one.last_seen_at, one.created_at]
            for one in shapes
        ),
        empty="Nobody can log in: os-credits login add",
    )  # fmt: skip


def _state(one: ListedLoginShape) -> str:
    if one.disabled_at is not None:
        return "disabled"
    if one.has_password:
        return "active"
    if one.invitation_state is None:
        return "without password"
    return f"invited ({one.invitation_state.value})"


@commands.command(epilog=examples("os-credits login show ada@example.org"))
def show(login: Who, as_json: Json = False) -> None:
    """Show a login, and what became of its newest link."""

    async def work(pool: Pool, _settings: Settings) -> ListedLogin:
        found = await _find_in(pool, login)
        async with connection(pool) as conn:
            [one] = await logins.list_logins(conn, search="", after_id=found.id - 1, limit=1)
        return one

    [one] = listed([with_database(work)])
    if as_json:
        print_json(one)
        return
    print_facts(
        ("login", one.id),
        ("address", one.email),
        ("name", one.name),
        ("language", one.language or "the browser's"),
        ("administrator", "yes" if one.is_administrator else "no"),
        ("state", _state(one)),
        ("last seen", one.last_seen_at),
        ("made", one.created_at),
        ("mail of the link", one.invitation_error or "-"),
    )


@commands.command(epilog=examples("os-credits login disable ada@example.org"))
def disable(login: Who, as_json: Json = False) -> None:
    """Let a person come in no more; all sessions end at once."""
    _change(login, LoginChange(is_disabled=True), "is disabled", as_json=as_json)


@commands.command(epilog=examples("os-credits login enable ada@example.org"))
def enable(login: Who, as_json: Json = False) -> None:
    """Let a person come in again, by the password that held before."""
    _change(login, LoginChange(is_disabled=False), "is enabled", as_json=as_json)


@commands.command(
    epilog=examples(
        "os-credits login administrator ada@example.org",
        "os-credits login administrator ada@example.org --no",
    )
)
def administrator(
    login: Who,
    no: Annotated[bool, typer.Option("--no", help="Take it back.")] = False,
    as_json: Json = False,
) -> None:
    """Let a person see and change everything, or no more."""
    said = "is no administrator" if no else "is an administrator"
    _change(login, LoginChange(is_administrator=not no), said, as_json=as_json)


def _change(login: str, change: LoginChange, said: str, *, as_json: bool) -> None:
    async def work(pool: Pool, _settings: Settings) -> Login:
        found = await _find_in(pool, login)
        return await change_login(pool, found.id, change)

    done = with_database(work)
    if as_json:
        print_json(LoginShape.model_validate(done))
        return
    say(f"login {done.id} ({done.email}) {said}")


@commands.command(epilog=examples("os-credits login password ada@example.org"))
def password(login: Who, as_json: Json = False) -> None:
    """Choose a login's password here and now; all its sessions end.

    It is asked for twice on the terminal, or read as one line from what is piped in.
    """
    chosen = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)

    async def work(pool: Pool, _settings: Settings) -> Login:
        found = await _find_in(pool, login)
        await choose_password(pool, found, chosen)
        return found

    done = with_database(work)
    if as_json:
        print_json(login_shape(done))
        return
    say(f"login {done.id} ({done.email}) has a new password")


@commands.command("sessions", epilog=examples("os-credits login sessions ada@example.org"))
def sessions_(login: Who, as_json: Json = False) -> None:
    """List where a login is in use."""

    async def work(pool: Pool, settings: Settings) -> list[SeenSession]:
        found = await _find_in(pool, login)
        idle = timedelta(hours=settings.session_hours)
        return await sessions.list_sessions(pool, found.id, idle=idle)

    found = with_database(work)
    if as_json:
        print_json(SessionList(sessions=[session_shape(one) for one in found]))
        return
    print_table(
        ["ID>", "FROM", "BROWSER", "BEGAN", "LAST SEEN", "ENDS"],
        (
            [one.id, one.address, one.agent, one.created_at, one.last_seen_at, one.expires_at]
            for one in found
        ),
        empty="It is not in use.",
    )


@commands.command(epilog=examples("os-credits login end ada@example.org"))
def end(login: Who, as_json: Json = False) -> None:
    """End all sessions of a login; the person may log in again."""

    async def work(pool: Pool, _settings: Settings) -> int:
        found = await _find_in(pool, login)
        return await sessions.log_out_everywhere(pool, found.id)

    ended = with_database(work)
    if as_json:
        print_json(EndedShape(ended_count=ended))
        return
    say(f"{ended} sessions ended" if ended != 1 else "1 session ended")


async def _find_in(pool: Pool, text: str) -> Login:
    async with connection(pool) as conn:
        return await find(conn, text)


async def find(conn: Connection, text: str) -> Login:
    """Find the login that an address or `#number` means. Raises NotFound, InvalidInput."""
    number = text.removeprefix("#")
    if text.startswith("#") and number.isascii() and number.isdecimal() and len(number) < 19:  # noqa: PLR2004
        found = await logins.find_login(conn, int(number))
    else:
        found = await logins.find_login_of(conn, mail_address(text, where="LOGIN"))
    if found is None:
        raise NotFound(f"there is no login {text}; os-credits login list shows all")
    return found
