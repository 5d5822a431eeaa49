"""Takes over what another service had in its books."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from os_credits.api.read import account_of
from os_credits.api.shapes import ProjectAccount
from os_credits.cli.database import with_database
from os_credits.cli.operator import author
from os_credits.cli.output import Json, credits_cell, examples, print_json, print_table, say
from os_credits.flows.label_reading import Limits
from os_credits.flows.opening import Opened, Opener, import_opening
from os_credits.flows.opening import check as check_first
from os_credits.flows.opening_file import read_opening_file
from os_credits.settings import Settings
from os_credits.store import balances, projects
from os_credits.store.pool import Pool, snapshot

DAY_MS = 86_400_000
# How many accounts are read at once.
PAGE_PROJECTS_MAX = 1000

commands = typer.Typer(help="Take over data of another service.", no_args_is_help=True)


class OpenedAccount(ProjectAccount):
    """A project after its import; `is_new` is false where all of it was imported before."""

    is_new: bool
    entries_added: int


class OpeningAnswer(BaseModel):
    """Every project of the file, in its order."""

    projects: list[OpenedAccount]


@commands.command(
    epilog=examples(
        "os-credits import opening opening.json --check",
        "os-credits import opening opening.json",
    )
)
def opening(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON, see docs/opening.md.", show_default=False)
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Only look for mistakes; nothing is written.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take over what an older service has charged and granted, and its last counter values.

    Everything in the file is checked before anything is written. The same file again changes
    nothing; what was imported with other content is refused. Nobody is mailed for lines that a
    balance had crossed before.
    """
    content = read_opening_file(file)

    async def work(pool: Pool, settings: Settings) -> tuple[OpeningAnswer, int]:
        opener = _opener(settings)
        if check:
            await check_first(pool, content, opener)
            return OpeningAnswer(projects=[]), settings.precision
        opened = await import_opening(pool, content, opener)
        return await _read_accounts(pool, opened), settings.precision

    answer, digits = with_database(work)
    if as_json:
        print_json(answer)
    elif check:
        say(f"{file} can be imported: {len(content.projects)} projects")
    else:
        _show(answer, digits)


def _opener(settings: Settings) -> Opener:
    from os_credits.jobs import watch_of  # it takes a while to load

    return Opener(
        author=author(),
        limits=Limits(
            label_count_max=settings.label_count_max,
            label_bytes_max=settings.label_bytes_max,
            label_sets_cached_max=settings.label_sets_cached_max,
        ),
        window_ms=settings.acceptance_window_days * DAY_MS,
        watch=watch_of(settings),
    )


async def _read_accounts(pool: Pool, opened: list[Opened]) -> OpeningAnswer:
    accounts: list[OpenedAccount] = []
    async with snapshot(pool) as conn:
        for first in range(0, len(opened), PAGE_PROJECTS_MAX):
            page = opened[first : first + PAGE_PROJECTS_MAX]
            ids = [one.project_id for one in page]
            found = {one.id: one for one in await projects.list_projects_by_id(conn, ids)}
            amounts = await balances.read_balances(conn, ids)
            accounts += [
                OpenedAccount(
                    **dict(account_of(found[one.project_id], amounts[one.project_id])),
                    is_new=one.is_new,
                    entries_added=one.entry_count,
                )
                for one in page
            ]
    return OpeningAnswer(projects=accounts)


def _show(answer: OpeningAnswer, digits: int) -> None:
    print_table(
        ["NUMBER>", "SITE", "DOMAIN", "NAME", "CLOUD ID", "GRANTED>", "USED>", "LEFT>", "ENTRIES>"],
        (
            [f"#{one.id}", one.site, one.domain, one.name, one.external_id,
             *(credits_cell(amount, digits)
               for amount in (one.balance.granted, one.balance.used, one.balance.current)),
             one.entries_added]
            for one in answer.projects
        ),
        empty="",
    )  # fmt: skip
    if any(one.is_new for one in answer.projects):
        say(f"{sum(one.entries_added for one in answer.projects)} entries written")
    else:
        say("all of this was imported before: nothing changed")
