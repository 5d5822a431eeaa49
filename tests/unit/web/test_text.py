"""How figures and days are written on pages."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from os_credits.web import text


@pytest.mark.parametrize(
    "amount,digits,written",
    [
        ("0", 2, "0.00"),
        ("1234567.891", 2, "1,234,567.89"),
        ("-1234.5", 2, "\u22121,234.50"),
        ("0.004", 2, "<0.01"),
        ("-0.004", 2, "\u2212<0.01"),
        ("0.005", 2, "<0.01"),
        ("0.015", 2, "0.02"),
        ("0.025", 2, "0.02"),
        ("12.5", 0, "12"),
        ("13.5", 0, "14"),
        ("99999999999999999999999.999999", 6, "99,999,999,999,999,999,999,999.999999"),
    ],
)
def test_amounts_are_rounded_half_even_for_reading(amount: str, digits: int, written: str) -> None:
    assert text.credits_text(Decimal(amount), digits) == written


@pytest.mark.parametrize(
    "quantity,written",
    [
        ("0", "0"),
        ("100", "100"),
        ("1234.5", "1,234.5"),
        ("0.12345", "0.123"),
        ("1000000", "1,000,000"),
    ],
)
def test_quantities_lose_needless_zeros_only(quantity: str, written: str) -> None:
    assert text.quantity_text(Decimal(quantity)) == written


@pytest.mark.parametrize(
    "percent,written",
    [
        ("0", "0.0 %"),
        ("0.01", "<0.1 %"),
        ("-0.01", "\u2212<0.1 %"),
        ("9.94", "9.9 %"),
        ("10", "10 %"),
        ("99.6", "100 %"),
        ("-4.2", "\u22124.2 %"),
        ("-1234", "\u22121,234 %"),
    ],
)
def test_percentages_get_digits_where_they_matter(percent: str, written: str) -> None:
    assert text.percent_text(Decimal(percent)) == written


def test_days_and_hours_read_like_a_calendar() -> None:
    moment = datetime(2026, 11, 2, 4, 7, tzinfo=UTC)

    assert text.day_text(moment) == "Mon 2 Nov 2026"
    assert text.hour_text(moment) == "Mon 2 Nov, 04:07"
    assert text.minute_text(moment) == "2 Nov 2026, 04:07 UTC"


def test_a_name_may_break_after_underscores_and_stays_escaped() -> None:
    assert text.breakable("a_<b>_c") == "<bdi>a_<wbr>&lt;b&gt;_<wbr>c</bdi>"


def test_a_name_is_isolated_escaped_and_legible() -> None:
    assert text.isolated("<b>\u202e&") == "<bdi>&lt;b&gt;\\u202e&amp;</bdi>"


def test_a_long_name_is_cut_where_it_stands_among_others() -> None:
    assert text.shortened("x" * 80) == "x" * 80
    assert text.shortened("x" * 81) == "x" * 79 + "…"


def test_templates_write_texts_legibly_and_leave_markup_alone() -> None:
    assert text.written("a\nb\u200b") == "a\\nb\\u200b"
    assert text.written(text.isolated("x")) == "<bdi>x</bdi>"
    assert text.written(5) == 5
