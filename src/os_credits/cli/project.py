"""Projects, and what is known of each."""

from __future__ import annotations

from typing import Annotated

import typer

from os_credits.api.budgets import usable_shape
from os_credits.api.organisation_shapes import UsableBalance
from os_credits.api.people import owner_list
from os_credits.api.read import account_of
from os_credits.api.shapes import OwnerShape, ProjectAccount, ProjectPage
from os_credits.cli.database import with_database
from os_credits.cli.output import (
    Json,
    credits_cell,
    examples,
    print_facts,
    print_json,
    print_table,
    say,
)
from os_credits.domain.project import Project, ProjectKey
from os_credits.errors import NotFound
from os_credits.flows.budgets import usable
from os_credits.flows.projects import create_project, resolve_project
from os_credits.settings import Settings
from os_credits.store import balances, closings, people, projects
from os_credits.store.pool import Connection, Pool, connection, snapshot

# How many projects are read at once.
PAGE_PROJECTS_MAX = 1000

commands = typer.Typer(help="Projects, their credits, and their owners.", no_args_is_help=True)

ProjectName = Annotated[
    str,
    typer.Argument(
        metavar="PROJECT", help="Its name, its cloud's id, or #number.", show_default=False
    ),
]
Site = Annotated[str | None, typer.Option(help="Where several projects have this name: the site.")]
Domain = Annotated[
    str | None, typer.Option(help="Where several projects have this name: the domain.")
]


class ProjectAndOwners(ProjectAccount):
    """A project with its balance, what of that is usable, and everyone who hears of it."""

    balance: UsableBalance
    owners: list[OwnerShape]


async def find(conn: Connection, name: str, site: str | None, domain: str | None) -> Project:
    """Find the one project that a name means, as the API does; Conflict lists candidates."""
    try:
        return await resolve_project(conn, name, site=site, domain=domain)
    except NotFound as error:
        raise NotFound(f"{error}; os-credits project list shows all") from error


@commands.command(
    "list", epilog=examples("os-credits project list", "os-credits project list --site b --json")
)
def list_(
    name: Annotated[str | None, typer.Option(help="Only projects of this name or id.")] = None,
    site: Annotated[str | None, typer.Option(help="Only projects of this site.")] = None,
    domain: Annotated[str | None, typer.Option(help="Only projects of this domain.")] = None,
    as_json: Json = False,
) -> None:
    """List projects with what they were granted, have used, and have left."""

    async def work(pool: Pool, settings: Settings) -> tuple[list[ProjectAccount], int]:
        return await _read_accounts(pool, name, site, domain), settings.precision

    accounts, digits = with_database(work)
    if as_json:
        print_json(ProjectPage(projects=accounts, next=None))
        return
    print_table(
        ["NUMBER>", "SITE", "DOMAIN", "NAME", "CLOUD ID", "GRANTED>", "USED>", "LEFT>"],
        (
            [f"#{one.id}", one.site, one.domain, one.name, one.external_id,
             *(credits_cell(amount, digits)
               for amount in (one.balance.granted, one.balance.used, one.balance.current))]
            for one in accounts
        ),
        empty="There is no such project.",
    )  # fmt: skip


async def _read_accounts(
    pool: Pool, name: str | None, site: str | None, domain: str | None
) -> list[ProjectAccount]:
    accounts: list[ProjectAccount] = []
    async with snapshot(pool) as conn:
        while True:
            page = await projects.search_projects(
                conn,
                name=name,
                site=site,
                domain=domain,
                among=None,
                after_id=accounts[-1].id if accounts else 0,
                limit=PAGE_PROJECTS_MAX,
            )
            ids = [one.id for one in page]
            found = await balances.read_balances(conn, ids)
            closed = await closings.list_decided(conn, ids)
            accounts += [account_of(one, found[one.id], closed.get(one.id)) for one in page]
            if len(page) < PAGE_PROJECTS_MAX:
                return accounts


@commands.command(
    epilog=examples("os-credits project show biobank", "os-credits project show '#17' --json")
)
def show(
    project: ProjectName, site: Site = None, domain: Domain = None, as_json: Json = False
) -> None:
    """Show one project: who it is, its credits, its owners."""

    async def work(pool: Pool, settings: Settings) -> tuple[ProjectAndOwners, int]:
        async with snapshot(pool) as conn:
            found = await find(conn, project, site, domain)
            balance = (await balances.read_balances(conn, [found.id]))[found.id]
            can_use = (await usable(conn, {found.id: balance}))[found.id]
            closed = await closings.list_decided(conn, [found.id])
            owners = owner_list(await people.list_people(conn, found.id)).owners
        told: dict[str, object] = {
            **dict(account_of(found, balance, closed.get(found.id))),
            "balance": usable_shape(found, balance, can_use, sees_all=True),
            "owners": owners,
        }
        return ProjectAndOwners.model_validate(told), settings.precision

    account, digits = with_database(work)
    if as_json:
        print_json(account)
        return
    balance = account.balance
    print_facts(
        ("project", account.name),
        ("number", f"#{account.id}"),
        ("site", account.site),
        ("domain", account.domain),
        ("cloud id", account.external_id),
        ("granted", credits_cell(balance.granted, digits)),
        ("used", credits_cell(balance.used, digits)),
        ("left", credits_cell(balance.current, digits)),
        ("usable", _usable_cell(balance, digits)),
        ("state", _state(account)),
        ("people", ", ".join(one.email for one in account.owners) or "nobody"),
    )


def _state(account: ProjectAccount) -> str:
    if account.closed_from is None:
        return account.state.value
    return f"{account.state.value}, from {account.closed_from:%Y-%m-%d %H:%M}Z on"


def _usable_cell(balance: UsableBalance, digits: int) -> str:
    by = balance.limited_by
    limit = "" if by is None or by.kind == "project" else f", limited by the budget of {by.name}"
    return f"{credits_cell(balance.usable, digits)}{limit}"


@commands.command(
    epilog=examples(
        "os-credits project add biobank",
        "os-credits project add biobank --site berlin --id 0f3c9a --domain elixir",
    )
)
def add(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The project's name.", show_default=False)
    ],
    site: Annotated[str, typer.Option(help="Which cloud it is in.")] = "",
    external_id: Annotated[
        str, typer.Option("--id", help="The cloud's own id of it; with one, that is the key.")
    ] = "",
    domain: Annotated[str, typer.Option(help="Its domain in the cloud.")] = "",
    as_json: Json = False,
) -> None:
    """Create a project before its first sample, so that it can be granted credits.

    Site and id (without one: site, domain and name) must be what its samples will say.
    """
    key = ProjectKey(site, external_id, domain, name)

    async def work(pool: Pool, _settings: Settings) -> tuple[ProjectAccount, bool]:
        found, is_new = await create_project(pool, key)
        async with connection(pool) as conn:
            balance = (await balances.read_balances(conn, [found.id]))[found.id]
        return account_of(found, balance), is_new

    account, is_new = with_database(work)
    if as_json:
        print_json(account)
        return
    say(f"{account.name} is project #{account.id}" + ("" if is_new else ", as it was before"))
