"""The account of a forecast against the burn-down that books: on a known path they agree."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from os_credits.domain.lot import Lot, event_times
from os_credits.domain.period import HOUR
from os_credits.errors import InvalidInput
from os_credits.forecast.credit import Credit, hours_until_empty
from os_credits.forecast.paths import Paths
from os_credits.ledger.burn_down import burn_down
from tests.unit.forecast.projects import END, lot

DAYS = 45
PER_HOUR = 10


def steady() -> Paths:
    """Use ten credits in each hour, on two paths."""
    ends = np.arange(DAYS + 1)
    sums = np.tile(ends * 24.0 * PER_HOUR, (2, 1))
    return Paths(ends, sums, np.tile(np.linspace(0, 1, 25), (7, 1)))


def hours(balance: int, *lots: Lot) -> float:
    first, second = hours_until_empty(Credit(Decimal(balance), lots), END, steady())
    assert first == second
    return float(first)


def left_by_the_ledger(lots: list[Lot], hour: int) -> int:
    """Give what is left of the lots when all before an hour was booked, in millionths."""
    now = END + hour * HOUR
    moments = event_times(tuple(lots))
    ends = (*moments[1:], now)
    used = [
        max(min(end, now) - max(start, END), timedelta(0)) // HOUR
        for start, end in zip(moments, ends, strict=True)
    ]
    return burn_down(lots, [each * PER_HOUR * 10**6 for each in used], now).left_micro


def hours_by_the_ledger(lots: list[Lot]) -> float:
    """Find the first hour with nothing left; these lots begin and end at the end of a day."""
    for last in range(24, DAYS * 24 + 1, 24):
        if left_by_the_ledger(lots, last - 1) <= 0:
            hours = range(last - 23, last)
            return next(hour for hour in hours if left_by_the_ledger(lots, hour) <= 0)
        if left_by_the_ledger(lots, last) <= 0:
            return last
    return float("inf")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            lambda amount, start, lasting, priority: (
                amount,
                {"start": start, "end": start + lasting, "priority": priority},
            ),
            st.integers(0, 400).map(lambda each: each * PER_HOUR),
            st.integers(-10, 25),
            st.integers(11, 19),
            st.integers(0, 2),
        ),
        min_size=1,
        max_size=7,
    )
)
def test_a_path_that_is_known_is_empty_when_the_ledger_says(
    given_lots: list[tuple[int, dict[str, int]]],
) -> None:
    lots = [lot(number, amount, **terms) for number, (amount, terms) in enumerate(given_lots)]
    balance = sum(each.micro for each in lots if each.valid_from <= END) // 10**6
    if not balance:
        return

    assert hours(balance, *lots) == pytest.approx(hours_by_the_ledger(lots), abs=1e-6)


def test_a_balance_in_no_lot_never_expires() -> None:
    assert hours(4800) == 480
    assert hours(4800, lot(1, 2400, end=5)) == 10 * 24 + 120


def test_a_balance_below_its_lots_has_burned_from_the_first_of_them() -> None:
    """Of 2400 that expire tomorrow 400 are left; 240 of them are used by then."""
    assert hours(2800, lot(1, 2400, end=1), lot(2, 2400)) == 24 + 240


def test_a_lot_that_burns_later_may_expire_whole() -> None:
    assert hours(2400, lot(1, 1200), lot(2, 1200, end=4, priority=1)) == 120
    assert hours(2400, lot(1, 1200), lot(2, 1200, end=4)) == 96 + 120


def test_an_allowance_that_follows_its_own_expiry_leaves_no_gap() -> None:
    months = [lot(number, 7200, start=10 * number, end=10 * number + 10) for number in range(3)]

    assert hours(7200, *months) == 30 * 24


def test_what_is_not_reached_is_infinite() -> None:
    assert np.isinf(hours(PER_HOUR * 24 * DAYS + 1))


@pytest.mark.parametrize("balance", ["NaN", "Infinity"])
def test_a_balance_that_is_no_number_is_refused(balance: str) -> None:
    with pytest.raises(InvalidInput, match="balance"):
        Credit(Decimal(balance))


def test_a_lot_of_less_than_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="lots"):
        Credit(Decimal(1), (lot(1, -1),))
