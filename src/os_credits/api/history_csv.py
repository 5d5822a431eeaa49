"""A history as CSV, for spreadsheets: nothing in a cell acts when the file is opened."""

from __future__ import annotations

import csv
from datetime import datetime
from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING

from os_credits.api.shapes import HistoryRow, credits_text, short_text
from os_credits.domain.text import as_cell, legible

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = tuple(HistoryRow.model_fields)
_CREDITS = ("credits", "used", "balance")
# Some programs cut a cell at these, and look at what follows.
_SEPARATORS = ("\t", "\r", "\n")


def csv_of(rows: Sequence[HistoryRow], *, with_head: bool) -> str:
    """Write rows of a history; numbers and times are plain, texts are made safe."""
    written = StringIO()
    lines = csv.writer(written)
    if with_head:
        lines.writerow(COLUMNS)
    lines.writerows([_cell(row, name) for name in COLUMNS] for row in rows)
    return written.getvalue()


def _cell(row: HistoryRow, name: str) -> str:
    value = getattr(row, name)
    match value:
        case None:
            return ""
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case Decimal():
            return credits_text(value) if name in _CREDITS else short_text(value)
        case int():
            return str(value)
        case _:
            return safe_cell(str(value))


def safe_cell(text: str) -> str:
    """Show a text legibly, with an apostrophe before what would act in a spreadsheet."""
    cell = as_cell(text)
    return legible(f"'{text}" if cell == text and text.startswith(_SEPARATORS) else cell)
