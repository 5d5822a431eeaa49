"""Owners and members of a project: who hears of it, of what, and how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from os_credits.api.people import owner_list
from os_credits.api.shapes import OwnerList
from os_credits.cli.database import with_database
from os_credits.cli.output import Json, examples, print_json, print_table
from os_credits.cli.project import Domain, ProjectName, Site, find
from os_credits.domain.mail import mail_address
from os_credits.domain.person import (
    PersonChange,
    language_of,
    name_of,
    role_of,
    wants_of,
)
from os_credits.errors import InvalidInput
from os_credits.flows.people import put_person, remove_person
from os_credits.settings import Settings
from os_credits.store import people
from os_credits.store.pool import Pool, connection

Value = TypeVar("Value")

commands = typer.Typer(
    help="Owners and members: who gets mail when a project's credits run low.",
    no_args_is_help=True,
)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="A mail address.", show_default=False)]


@commands.command(
    epilog=examples(
        'os-credits project owner add biobank alice@example.org --name "Alice Adams"',
        "os-credits project owner add biobank bob@example.org --role member --wants percent,closed",
        "os-credits project owner add biobank alice@example.org --language de --digest",
    )
)
def add(
    project: ProjectName,
    email: Email,
    name: Annotated[str | None, typer.Option(help="The name, for the mail.")] = None,
    role: Annotated[str | None, typer.Option(help="owner or member.")] = None,
    language: Annotated[
        str | None, typer.Option(help="en or de; '' for the service's own.")
    ] = None,
    wants: Annotated[
        str | None,
        typer.Option(
            metavar="KINDS",
            help="Of percent, credits, days, burn, closed, late_usage; or all, none, default.",
        ),
    ] = None,
    digest: Annotated[
        bool | None, typer.Option("--digest/--no-digest", help="All of a day in one mail.")
    ] = None,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Let an address hear of a project; the same address again changes what is given.

    Owners hear of everything unless --wants names something, members of what it names.
    """
    address = mail_address(email, where="EMAIL")
    fields: dict[str, Any] = {
        "name": _read(name_of, name, "--name"),
        "role": _read(role_of, role, "--role"),
        "language": _read(language_of, language, "--language"),
        "digest": digest,
    }
    fields = {key: value for key, value in fields.items() if value is not None}
    if wants is not None:
        fields["wants"] = _read(wants_of, wants, "--wants")

    async def work(pool: Pool, _settings: Settings) -> OwnerList:
        async with connection(pool) as conn:
            found = await find(conn, project, site, domain)
        await put_person(pool, found.id, PersonChange(address, fields))
        async with connection(pool) as conn:
            return owner_list(await people.list_people(conn, found.id))

    _show(with_database(work), as_json=as_json)


def _read(read: Callable[[str], Value], text: str | None, where: str) -> Value | None:
    """Read an option's text, if it was given."""
    if text is None:
        return None
    try:
        return read(text)
    except ValueError as error:
        raise InvalidInput(str(error), where=where) from None


@commands.command(epilog=examples("os-credits project owner remove biobank alice@example.org"))
def remove(
    project: ProjectName,
    email: Email,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Let an address hear of a project no more; mails under way still go out."""
    address = mail_address(email, where="EMAIL")

    async def work(pool: Pool, _settings: Settings) -> OwnerList:
        async with connection(pool) as conn:
            found = await find(conn, project, site, domain)
        return owner_list(await remove_person(pool, found.id, address))

    _show(with_database(work), as_json=as_json)


@commands.command("list", epilog=examples("os-credits project owner list biobank"))
def list_(
    project: ProjectName, site: Site = None, domain: Domain = None, as_json: Json = False
) -> None:
    """List who may hear of a project."""

    async def work(pool: Pool, _settings: Settings) -> OwnerList:
        async with connection(pool) as conn:
            found = await find(conn, project, site, domain)
            return owner_list(await people.list_people(conn, found.id))

    _show(with_database(work), as_json=as_json)


def _show(known: OwnerList, *, as_json: bool) -> None:
    if as_json:
        print_json(known)
        return
    print_table(
        ["ADDRESS", "NAME", "ROLE", "LANGUAGE", "HEARS OF", "DIGEST"],
        (
            [one.email, one.name, one.role.value, one.language or "-",
             "as the role" if one.wants is None
             else ", ".join(kind.value for kind in one.wants) or "nothing",
             "yes" if one.digest else "no"]
            for one in known.owners
        ),
        empty="Nobody hears of this project.",
    )  # fmt: skip
