"""What commands print: tables and sentences for people, JSON for programs.

Names come from clouds and people: no control character of theirs reaches the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import typer
from pydantic import BaseModel
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from os_credits.api.shapes import short_text
from os_credits.domain.period import EPOCH
from os_credits.domain.text import legible, legible_json

# Tables that are not read on a terminal are not folded to one.
WIDTH_ELSEWHERE = 200
WIDTH_DRAWN = 100
# Between digits, so that a number is never folded; printed as a space. (Folding takes a
# no-break space for a space.)
GLUE = "\ue000"
# What an output that knows no better is given instead.
_PLAIN_SYMBOLS = str.maketrans(
    {
        "×": "*", "−": "-", "→": "->", "·": ".", "≈": "~", "…": "...", "◀": "<",
        "⌊": "floor(", "⌋": ")", "├": "|", "└": "`", "─": "-", "│": "|",
    }
)  # fmt: skip

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def examples(*lines: str) -> str:
    """Make the end of a help text from commands to try."""
    return "\n".join(["Examples:", *(f"$ {line}" for line in lines)]).replace("[", r"\[")


def say(sentence: str) -> None:
    """Print one line for people."""
    typer.echo(legible(sentence))


def complain(sentence: str) -> None:
    """Print one line on standard error."""
    typer.echo(legible(sentence), err=True)


def print_json(shape: BaseModel) -> None:
    """Print what the API would answer."""
    typer.echo(legible_json(shape.model_dump_json(indent=2)))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their headings, or the sentence `empty` if there is none.

    Headings are words of ours; those that end in `>` stand above numbers.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading.rstrip(">"), justify="right" if heading.endswith(">") else "left")
    _print_filled(table, rows, empty=empty)


def print_facts(*facts: tuple[str, object]) -> None:
    """Print what is known of one thing, each fact beside its name."""
    _print_filled(Table(box=None, pad_edge=False, show_header=False), facts, empty="")


def _print_filled(table: Table, rows: Iterable[Sequence[object]], *, empty: str) -> None:
    for row in rows:
        table.add_row(*(Text(legible(_cell(value)), overflow="fold") for value in row))
    if not table.row_count:
        say(empty)
        return
    width = None if sys.stdout.isatty() else WIDTH_ELSEWHERE
    Console(width=width, highlight=False).print(table)


def print_drawing(parts: Iterable[RenderableType]) -> None:
    """Print a drawing, one part below the other, in symbols that the output can write."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH_DRAWN, highlight=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    lines = captured.get().replace(GLUE, " ").splitlines()
    text = "\n".join(line.rstrip() for line in lines)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = text.translate(_PLAIN_SYMBOLS)
    typer.echo(text)


def credits_cell(amount: Decimal, precision: int) -> str:
    """Show an amount of credits with as many digits as people want."""
    return f"{amount:,.{precision}f}"


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case datetime() if value == EPOCH:
            return "always"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}Z"
        case Decimal():
            return short_text(value)
        case list() | tuple() | set() | frozenset():
            return ", ".join(sorted(map(str, value)))
        case _:
            return str(value)
