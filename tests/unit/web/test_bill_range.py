"""Days of a bill: by name, from day to day, and what is no day."""

from datetime import UTC, datetime

import pytest

from os_credits.errors import InvalidInput
from os_credits.web.bill_range import range_of

NOW = datetime(2026, 2, 14, 15, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    "key,start,end",
    [
        ("", "2026-02-01", "2026-03-01"),
        ("month", "2026-02-01", "2026-03-01"),
        ("last-month", "2026-01-01", "2026-02-01"),
        ("quarter", "2026-01-01", "2026-04-01"),
        ("last-quarter", "2025-10-01", "2026-01-01"),
        ("year", "2026-01-01", "2027-01-01"),
        ("last-year", "2025-01-01", "2026-01-01"),
    ],
)
def test_a_range_has_a_name(key: str, start: str, end: str) -> None:
    period = range_of(key, "", "", NOW).period

    assert (start, end) == (f"{period.start:%Y-%m-%d}", f"{period.end:%Y-%m-%d}")


@pytest.mark.parametrize(
    "first,last,start,end",
    [
        ("2026-01-05", "2026-01-05", "2026-01-05", "2026-01-06"),
        ("2026-01-05", "", "2026-01-05", "2026-02-15"),
        ("", "2026-01-05", "2026-01-01", "2026-01-06"),
        ("", "2026-01-31", "2026-01-01", "2026-02-01"),
    ],
)
def test_days_reach_from_one_to_another(first: str, last: str, start: str, end: str) -> None:
    found = range_of("month", first, last, NOW)

    assert ("", start) == (found.key, f"{found.period.start:%Y-%m-%d}")
    assert end == f"{found.period.end:%Y-%m-%d}"
    assert (start, last or "2026-02-14") == (found.first_day, found.last_day)


@pytest.mark.parametrize(
    "key,first,last",
    [
        ("never", "", ""),
        ("", "2026-1-5", ""),
        ("", "2026-13-01", ""),
        ("", "", "2026-02-30"),
        ("", "9999-01-01", "9999-12-31"),
        ("", "2026-02-02", "2026-02-01"),
        ("", "0001-01-01", ""),
    ],
)
def test_what_is_no_range_is_refused(key: str, first: str, last: str) -> None:
    with pytest.raises(InvalidInput):
        range_of(key, first, last, NOW)
