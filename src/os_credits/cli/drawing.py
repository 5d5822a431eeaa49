"""Pieces of drawings for people: lines, grids, amounts, moments."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from os_credits.cli.output import GLUE
from os_credits.domain.period import EPOCH
from os_credits.domain.text import legible
from os_credits.rating.formula import number

FAINT = "dim"
_BETWEEN_DIGITS = re.compile(r"(?<=\d) (?=\d{3}(?!\d))")


def glued(text: str) -> str:
    """Keep the digits of a number together."""
    return _BETWEEN_DIGITS.sub(GLUE, text)


def joined(*parts: str | tuple[str, str]) -> Text:
    """Join texts, each with its style if it has one; names in them cannot steer a terminal."""
    styled = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((glued(legible(text)), style) for text, style in styled))


class Grid(Table):
    """Rows of cells, in which a text is a text: no mark-up, and nothing that steers a terminal."""

    def add_row(self, *cells: RenderableType | None, **more: Any) -> None:
        """Add cells; numbers in texts are kept together."""
        super().add_row(*(joined(one) if isinstance(one, str) else one for one in cells), **more)


def new_grid(*columns: str) -> Table:
    """Make a grid; a column `>` stands flush right, `~` folds, others keep their width."""
    grid = Grid.grid(padding=(0, 2, 0, 0))
    for column in columns:
        grid.add_column(
            justify="right" if column == ">" else "left",
            no_wrap=column != "~",
            overflow="fold",
        )
    return grid


def credits_text(amount: Decimal) -> str:
    """Write an amount with all its digits and a true minus sign."""
    whole, _, part = f"{abs(amount):f}".partition(".")
    return f"{'−' if amount < 0 else ''}{number(int(whole))}.{part}"


def moment_text(at: datetime) -> str:
    """Write a moment in UTC, to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def since_text(start: datetime | None) -> str:
    """Write from when on something holds."""
    if start is None or start == EPOCH:
        return "the beginning"
    return f"{start:%Y-%m-%d %H:%M}"
