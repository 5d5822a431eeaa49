"""People of many projects: taken over from a file, exported, erased."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from os_credits.api.people import MAILS_MAX, import_answer, import_problems, read_export
from os_credits.api.people_shapes import ErasedShape, PersonExport
from os_credits.cli.database import with_database
from os_credits.cli.output import Json, complain, examples, print_json, print_table, say
from os_credits.domain.mail import mail_address
from os_credits.errors import InvalidInput
from os_credits.flows.people import erase as erase_address
from os_credits.flows.people_file import Problem, read_people_file
from os_credits.flows.people_import import Imported, ImportOptions, import_people
from os_credits.settings import Settings
from os_credits.store.pool import Pool, snapshot

WRONG_USE = 2

commands = typer.Typer(
    help="People who hear of projects: import many, export or erase one.", no_args_is_help=True
)

EmailOption = Annotated[
    str, typer.Option("--email", metavar="ADDRESS", help="In any case.", show_default=False)
]


@commands.command(
    "import",
    epilog=examples(
        "os-credits people import people.csv --dry-run",
        "os-credits people import people.csv",
        "os-credits people import people.csv --replace",
    ),
)
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="CSV, see docs/people-and-closing.md.", show_default=False
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Who is not in the file hears no more of the projects in it."
        ),
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Write the good rows without the bad ones.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take over people from a CSV file: all of it, or nothing if a row is wrong.

    Its first line names the columns: project and email, and any of site, domain, name, role,
    language, wants, digest. What a file has no column for stays as it is. The same file again
    changes nothing.
    """
    rows = read_people_file(file)
    options = ImportOptions(replace=replace, preview=dry_run, skip_bad=skip_bad)

    async def work(pool: Pool, _settings: Settings) -> Imported:
        return await import_people(pool, rows, options)

    done = with_database(work)
    refused = bool(done.problems) and not skip_bad
    if as_json:
        print_json(import_problems(done.problems) if refused else import_answer(done))
    else:
        _complain_of(done.problems)
        if not refused:
            _show(done)
    if refused:
        count = len(done.problems)
        mistakes = "1 mistake" if count == 1 else f"{count} mistakes"
        complain(f"error: nothing was written: {mistakes} in {file}")
        raise typer.Exit(WRONG_USE)


def _complain_of(problems: Sequence[Problem]) -> None:
    for problem in problems:
        complain(str(problem))
        for candidate in problem.candidates:
            words = (f"{name}={value!r}" for name, value in candidate.items() if value)
            complain(f"  could be {' '.join(words)}")


def _show(done: Imported) -> None:
    print_table(
        ["PROJECT", "SITE", "ADDED>", "CHANGED>", "REMOVED>", "UNCHANGED>"],
        (
            [one.project.name, one.project.site, len(one.change.added), len(one.change.changed),
             len(one.change.removed), one.change.unchanged_count]
            for one in done.projects
        ),
        empty="No row is left.",
    )  # fmt: skip
    say("written" if done.written else "nothing was written: this is what would change")


@commands.command(epilog=examples("os-credits people export --email alice@example.org"))
def export(email: EmailOption) -> None:
    """Print as JSON everything that is stored of an address: projects, login, and all its mails."""
    address = mail_address(email, where="--email")

    async def work(pool: Pool, _settings: Settings) -> PersonExport:
        async with snapshot(pool) as conn:
            answer = await read_export(conn, address, after_id=0, limit=MAILS_MAX)
            mails = list(answer.mails)
            while answer.next is not None:
                answer = await read_export(conn, address, after_id=answer.next, limit=MAILS_MAX)
                mails += answer.mails
        return answer.model_copy(update={"mails": mails})

    print_json(with_database(work))


@commands.command(epilog=examples("os-credits people erase --email alice@example.org --yes"))
def erase(
    email: EmailOption,
    yes: Annotated[bool, typer.Option("--yes", help="Really: it cannot be undone.")] = False,
    as_json: Json = False,
) -> None:
    """Take an address from all projects, mails and logins, in any spelling of case.

    Mails that wait are not sent any more. Accounts and notices stay: they name nobody.
    """
    address = mail_address(email, where="--email")
    if not yes:
        raise InvalidInput("is needed: what is erased cannot be brought back", where="--yes")

    async def work(pool: Pool, _settings: Settings) -> ErasedShape:
        return ErasedShape.model_validate(await erase_address(pool, address))

    done = with_database(work)
    if as_json:
        print_json(done)
    else:
        say(
            f"erased from {done.project_count} projects and {done.mail_count} mails, of which"
            f" {done.pending_count} had not been sent"
            + (", and its login is gone" if done.login_count else "")
        )
