"""Running totals of a project's history."""

from datetime import UTC, datetime

from os_credits.domain.amount import credits_of
from os_credits.domain.entry import EntryKind
from os_credits.domain.history import Line, Place, Totals, run_totals

HOUR = datetime(2026, 1, 1, tzinfo=UTC)


def _line(kind: EntryKind | None, amount: str) -> Line:
    is_given = kind in (EntryKind.GRANT, EntryKind.ADJUSTMENT)
    meter_id = None if is_given else 1
    return Line(Place(HOUR, 0, 1, 0), kind, credits_of(amount), meter_id, None, None, None, "")


def test_usage_counts_as_used_and_all_lines_change_the_balance() -> None:
    opening = Totals(used=credits_of("5"), balance=credits_of("95"))
    lines = [
        _line(EntryKind.OPENING, "-2"),
        _line(EntryKind.CORRECTION, "0.5"),
        _line(EntryKind.GRANT, "10"),
        _line(EntryKind.ADJUSTMENT, "-1"),
        _line(None, "-0.25"),
    ]

    totals = [totals for _, totals in run_totals(opening, lines)]

    assert [(str(one.used), str(one.balance)) for one in totals] == [
        ("7.000000", "93.000000"),
        ("6.500000", "93.500000"),
        ("6.500000", "103.500000"),
        ("6.500000", "102.500000"),
        ("6.750000", "102.250000"),
    ]
