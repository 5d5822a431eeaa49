"""What the commands on exclusions, settlements and revised meters have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from os_credits.api.decision_shapes import ChangeShape
from os_credits.api.reading import moment_of
from os_credits.cli.output import say
from os_credits.domain.period import full_hour
from os_credits.errors import InvalidInput

TEXT_LENGTH_MAX = 1024

MeterOption = Annotated[str | None, typer.Option("--meter", help="Only of this meter.")]
SeriesOption = Annotated[
    int | None,
    typer.Option("--series", help="Only of the series with this id (see os-credits unsettled)."),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]


def moment(text: str, where: str) -> datetime:
    """Read a moment from the command line."""
    try:
        return moment_of(text)
    except ValueError as error:
        raise InvalidInput(str(error), where=where) from None


def hour(text: str, where: str) -> datetime:
    """Read a full hour from the command line."""
    return full_hour(moment(text, where), where=where)


def checked_reason(text: str) -> str:
    """Refuse a reason that says nothing, or that a terminal could not show."""
    if not text.strip() or not text.isprintable() or len(text) > TEXT_LENGTH_MAX:
        raise InvalidInput(f"1 to {TEXT_LENGTH_MAX} printable characters", where="--reason")
    return text


def say_change(change: ChangeShape, *, dry_run: bool) -> None:
    """Say in one line what a decision changes."""
    say(
        f"{'would change' if dry_run else 'changed'} the charges of {change.hour_count} hours"
        f" of {change.project_count} projects by {change.credits:+f} credits"
    )
