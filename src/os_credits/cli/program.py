"""Puts all commands together, and turns every error of ours into one line."""

from __future__ import annotations

import inspect
import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from os_credits import __version__
from os_credits.cli import (
    allowance,
    bill,
    budget,
    closing,
    doctor,
    exclusion,
    explain,
    flavor,
    forecast,
    grant,
    key,
    login,
    managing,
    meter,
    notice,
    notice_mail,
    opening,
    organisation,
    owner,
    people,
    place,
    price,
    project,
    service,
    settlement,
    transfer,
    verify,
)
from os_credits.cli.output import complain, examples, say
from os_credits.errors import Conflict, InvalidInput, OsCreditsError

FAILED = 1
WRONG_USE = 2


class Program(TyperGroup):
    """All commands; an error of ours becomes one line on standard error and a status."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        for output in (sys.stdout, sys.stderr):
            if isinstance(output, io.TextIOWrapper):  # what it cannot write must not end us
                output.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except OsCreditsError as error:
            complain(f"error: {error}")
            if isinstance(error, Conflict):
                for candidate in error.candidates:
                    words = (f"{name}={value!r}" for name, value in candidate.items() if value)
                    complain(f"  could be {' '.join(words)}")
            raise typer.Exit(WRONG_USE if isinstance(error, InvalidInput) else FAILED) from error


main = typer.Typer(
    cls=Program,
    name="os-credits",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "Turns the usage that Prometheus and Telegraf push into an exact account of credits.\n\n"
        "Settings come from the environment and from the file .env, see .default.env. Commands "
        "work on the database that OS_CREDITS_DATABASE_URL names; the service need not run.\n\n"
        "Exit status: 0 done, 1 failed, 2 wrong use."
    ),
    epilog=examples(
        "os-credits migrate",
        "os-credits key add prometheus --scope ingest",
        "os-credits serve",
        "os-credits doctor",
    ),
)
main.add_typer(allowance.commands, name="allowance")
main.add_typer(exclusion.commands, name="exclusion")
main.add_typer(flavor.commands, name="flavor")
main.add_typer(key.commands, name="key")
main.add_typer(login.commands, name="login")
main.add_typer(managing.commands, name="manager")
managing.add_to(main)
main.add_typer(meter.commands, name="meter")
budget.add_to(organisation.commands)
main.add_typer(organisation.commands, name="organisation")
notice_mail.add_to(notice.commands)
main.add_typer(notice.commands, name="notices")
main.add_typer(price.commands, name="price")
place.add_to(project.commands)
closing.add_to(project.commands)
project.commands.add_typer(owner.commands, name="owner")
main.add_typer(people.commands, name="people")
main.add_typer(project.commands, name="project")
main.add_typer(opening.commands, name="import")
service.add_to(main)
bill.add_to(main)
grant.add_to(main)
transfer.add_to(main)
settlement.add_to(main)
explain.add_to(main)
forecast.add_to(main)
doctor.add_to(main)
verify.add_to(main)


def _unfold(program: typer.Typer) -> None:
    """Let the terminal's width fold the help texts, not the width of our source."""
    for command in program.registered_commands:
        paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(one.split()) for one in paragraphs)
    for group in program.registered_groups:
        if group.typer_instance is not None:
            _unfold(group.typer_instance)


_unfold(main)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"os_credits {__version__}")
        raise typer.Exit


@main.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
