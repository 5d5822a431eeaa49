"""A bill as CSV: names cannot act in a spreadsheet, rows add up, nothing is rounded."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from os_credits.api.bill_csv import COLUMNS, bill_csv
from os_credits.api.bills import file_name
from os_credits.domain.amount import added, credits_of
from os_credits.domain.bill import Bill, BillGroup, BillLine, By, Place, PriceSpan, Subject
from os_credits.domain.organisation import Organisation
from os_credits.domain.period import Period
from os_credits.domain.project import Project
from tests.acceptance import sinks
from tests.payloads import PAYLOADS

START = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = Place(Decimal(0), 1, START)


def bill_with(text: str) -> Bill:
    """Make a bill of two projects in which every name is this text."""
    line = BillLine(
        meter=text,
        flavor=text,
        unit=text,
        quantity=Decimal("0.333333333"),
        unpriced=Decimal("1E+2"),
        price=PriceSpan(Decimal("0.000000000001"), 1),
        credits=credits_of("1.000001"),
        open=credits_of("0.5"),
    )
    groups = tuple(
        BillGroup((line, line), PLACE, project=Project(number, text, text, text, text))
        for number in (1, 2)
    )
    return Bill(
        subject=Subject(organisation=Organisation(7, text)),
        period=Period(START, START + timedelta(days=31)),
        by=By.PROJECT,
        as_of=START,
        groups=groups,
        lines=(line,),
        credits=added(*(group.credits for group in groups)),
        open=credits_of(2),
        has_quantities=True,
        account=None,
        next=None,
    )


def test_rows_are_lines_subtotals_and_a_total_that_add_up() -> None:
    rows = list(csv.DictReader(io.StringIO(bill_csv(bill_with("x")))))

    assert tuple(rows[0]) == COLUMNS
    assert ["line", "line", "subtotal"] * 2 + ["total"] == [row["row"] for row in rows]
    for kind in ("line", "subtotal", "total"):
        amounts = [Decimal(row["credits"]) for row in rows if row["row"] == kind]
        assert Decimal("4.000004") == sum(amounts)
    first = rows[0]
    assert ("0.333333333", "0.000000000001") == (first["quantity"], first["unit_price"])
    assert ("100", "0.500000") == (first["unpriced_quantity"], first["open"])


@pytest.mark.parametrize("kind", PAYLOADS)
def test_no_name_acts_in_a_spreadsheet_or_a_header(kind: str) -> None:
    made = bill_with(PAYLOADS[kind])

    assert [] == sinks.in_csv(bill_csv(made))
    assert "bill-organisation-7-2026-01-01-2026-02-01" == file_name(made)
