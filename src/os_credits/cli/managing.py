"""Managers of organisations, and the audit log of who changed what."""

from __future__ import annotations

from typing import Annotated

import typer

from os_credits.api.audit import LINES_MAX, read_audit
from os_credits.api.login_shapes import AuditPage, ManagerList, ManagerShape
from os_credits.api.routes import plain_json
from os_credits.cli.database import with_database
from os_credits.cli.decisions import moment
from os_credits.cli.operator import author
from os_credits.cli.organisation import OrganisationName, find
from os_credits.cli.output import Json, examples, print_json, print_table
from os_credits.cli.project import find as find_project
from os_credits.domain.audit import AuditFilter
from os_credits.domain.mail import mail_address
from os_credits.domain.organisation import Manager
from os_credits.domain.text import legible_json
from os_credits.flows.managers import put_manager, remove_manager
from os_credits.settings import Settings
from os_credits.store import managers
from os_credits.store.pool import Pool, connection, snapshot

commands = typer.Typer(
    help="Managers: who sees and cares for all beneath an organisation.", no_args_is_help=True
)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="A mail address.", show_default=False)]


def add_to(program: typer.Typer) -> None:
    """Give the program the command that shows the audit log."""
    program.command(
        epilog=examples(
            "os-credits audit",
            "os-credits audit --subject price --since 2026-01-01",
            "os-credits audit --project biobank --json",
        )
    )(audit)


@commands.command(epilog=examples("os-credits manager add Sciences ada@example.org --name Ada"))
def add(
    organisation: OrganisationName,
    email: Email,
    name: Annotated[str, typer.Option(help="The name, for lists.")] = "",
    as_json: Json = False,
) -> None:
    """Let an address manage an organisation with all beneath it.

    To log in the person needs a login as well: os-credits login add.
    """

    async def work(pool: Pool, _settings: Settings) -> list[Manager]:
        async with connection(pool) as conn:
            found = await find(conn, organisation)
        known, _ = await put_manager(pool, found.id, email=email, name=name, author=author())
        return known

    _show(with_database(work), as_json=as_json)


@commands.command(epilog=examples("os-credits manager remove Sciences ada@example.org"))
def remove(organisation: OrganisationName, email: Email, as_json: Json = False) -> None:
    """Let an address manage an organisation no more."""
    address = mail_address(email, where="EMAIL")

    async def work(pool: Pool, _settings: Settings) -> list[Manager]:
        async with connection(pool) as conn:
            found = await find(conn, organisation)
        return await remove_manager(pool, found.id, address)

    _show(with_database(work), as_json=as_json)


@commands.command("list", epilog=examples("os-credits manager list Sciences"))
def list_(organisation: OrganisationName, as_json: Json = False) -> None:
    """List who manages an organisation itself; those above it manage it as well."""

    async def work(pool: Pool, _settings: Settings) -> list[Manager]:
        async with connection(pool) as conn:
            return await managers.list_managers(conn, (await find(conn, organisation)).id)

    _show(with_database(work), as_json=as_json)


def _show(known: list[Manager], *, as_json: bool) -> None:
    if as_json:
        print_json(ManagerList(managers=[ManagerShape.model_validate(one) for one in known]))
        return
    print_table(
        ["ADDRESS", "NAME", "SINCE", "SAID BY"],
        ([one.email, one.name, one.created_at, one.author] for one in known),
        empty="Nobody manages this organisation itself.",
    )


def audit(
    project: Annotated[
        str | None, typer.Option(help="Only changes of this project: name, cloud id or #number.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Only changes of this kind: price, login, project_owner ...")
    ] = None,
    actor: Annotated[
        str | None, typer.Option(help="Only changes by those whose name contains this.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only changes from this moment on.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=LINES_MAX, help="So many lines at most.")] = 50,
    as_json: Json = False,
) -> None:
    """Show who changed what, the newest first."""
    start = None if since is None else moment(since, "--since")

    async def work(pool: Pool, _settings: Settings) -> AuditPage:
        async with snapshot(pool) as conn:
            about = None if project is None else (await find_project(conn, project, None, None)).id
            wanted = AuditFilter(project_id=about, subject=subject, actor=actor, since=start)
            return await read_audit(conn, wanted, limit=limit)

    page = with_database(work)
    if as_json:
        print_json(page)
        return
    print_table(
        ["TIME", "ACTOR", "VIA", "CHANGE", "PROJECT", "DETAILS"],
        (
            [one.made_at, one.actor, one.via, f"{one.action} {one.subject}",
             one.project.name if one.project else "", legible_json(plain_json(one.details))]
            for one in page.lines
        ),
        empty="Nothing was changed.",
    )  # fmt: skip
