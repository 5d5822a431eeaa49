"""A bill as CSV, for spreadsheets: nothing in a cell acts when the file is opened."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING

from os_credits.api.history_csv import safe_cell
from os_credits.api.shapes import credits_text, short_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from os_credits.domain.amount import Credits
    from os_credits.domain.bill import Bill, BillGroup, BillLine

COLUMNS = (
    "row", "organisation", "project", "project_id", "resource", "start", "meter", "flavor",
    "quantity", "unit", "unit_price", "unpriced_quantity", "credits", "open",
)  # fmt: skip


def bill_csv(bill: Bill) -> str:
    """Write a bill: its lines, a subtotal behind those of each group, and the total at the end.

    The rows `line` add up to the subtotals, and these to the total.
    """
    written = StringIO()
    table = csv.writer(written)
    table.writerow(COLUMNS)
    for group in bill.groups:
        names = _names(group, bill)
        table.writerows(["line", *names, *_line(line)] for line in group.lines)
        table.writerow(["subtotal", *names, *_sum(group.credits, group.open, group.meter)])
    if bill.next is None:
        table.writerow(["total", *[""] * 5, *_sum(bill.credits, bill.open, None)])
    return written.getvalue()


def _names(group: BillGroup, bill: Bill) -> list[str]:
    organisation, project = group.organisation, group.project or bill.subject.project
    resource = group.resource if group.resource is not None else bill.subject.resource
    return [
        "" if organisation is None else safe_cell(organisation.name),
        "" if project is None else safe_cell(project.name),
        "" if project is None else str(project.id),
        safe_cell(resource or ""),
        "" if group.start is None else f"{group.start:%Y-%m-%dT%H:%M:%SZ}",
    ]


def _line(line: BillLine) -> Sequence[str]:
    return (
        safe_cell(line.meter),
        safe_cell(line.flavor or ""),
        _number(line.quantity),
        safe_cell(line.unit),
        _number(line.price.credits_per_unit),
        _number(line.unpriced),
        credits_text(line.credits),
        _credits(line.open),
    )


def _sum(amount: Credits, not_booked: Credits | None, meter: str | None) -> Sequence[str]:
    return (safe_cell(meter or ""), *[""] * 5, credits_text(amount), _credits(not_booked))


def _number(value: Decimal | None) -> str:
    return "" if value is None else short_text(value)


def _credits(value: Credits | None) -> str:
    return "" if value is None else credits_text(value)
