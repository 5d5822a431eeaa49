"""The one number of a portal's answer."""

from decimal import Decimal

import pytest

from os_credits.collect.portal import number_in
from os_credits.errors import PortalSilent


@pytest.mark.parametrize(
    "text,expected",
    [
        ("0", "0"),
        ("1500", "1500"),
        (" 12.5\r\n", "12.5"),
        ("1e3", "1000"),
        ("1.5E+2", "150"),
        # A portal that adds up floats.
        ("0.30000000000000004", "0.3"),
        ("33333.333333333336", "33333.333333"),
        # Half even.
        ("0.0000005", "0"),
        ("0.0000015", "0.000002"),
        ("0.00000150000000000000001", "0.000002"),
        ("0.00000250000000000000001", "0.000003"),
        ("999999999999999999.999999", "999999999999999999.999999"),
        ("1e-99", "0"),
    ],
)
def test_a_number_becomes_credits_exactly(text: str, expected: str) -> None:
    credits = number_in(text.encode())

    assert credits == Decimal(expected)
    assert credits.as_tuple().exponent == -6


@pytest.mark.parametrize("text", ["", "-0", "-1", ".5", "5.", "1e100", "1e18", "nan", "+5", "5 5"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(PortalSilent) as caught:
        number_in(text.encode())

    assert caught.value.of_all is False
