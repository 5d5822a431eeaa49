"""The edges of the burn-down; the rules themselves stand as tables in docs/rating-rules.md."""

import time
from datetime import UTC, datetime

import pytest

from os_credits.domain.lot import Burned, Lot, event_times
from os_credits.domain.period import HOUR
from os_credits.errors import InvalidInput
from os_credits.ledger.burn_down import burn_down

START = datetime(2026, 3, 1, tzinfo=UTC)
FAR = START + 1000 * HOUR


def fates(burned: Burned) -> list[tuple[int, int, int, int]]:
    """Give id, burned, expired and left of each lot."""
    return [(s.lot.id, s.burned_micro, s.expired_micro, s.left_micro) for s in burned.states]


def test_usage_before_the_first_lot_is_debt_that_it_pays() -> None:
    lot = Lot(1, 10, START)

    before = burn_down([lot], [4, 0], START - HOUR)
    after = burn_down([lot], [4, 1], START)

    assert ([], 4) == (fates(before), before.debt_micro)
    assert ([(1, 5, 0, 5)], 0) == (fates(after), after.debt_micro)


def test_an_account_without_lots_has_its_usage_as_debt() -> None:
    burned = burn_down([], [7], START)

    assert ((), 7, -7) == (burned.states, burned.debt_micro, burned.left_micro)


def test_a_lot_begins_and_ends_in_the_very_first_moment_of_its_hours() -> None:
    lot = Lot(1, 10, START, START + HOUR)

    eve = burn_down([lot], [0, 3, 0], START + HOUR - HOUR / 3_600_000_000)
    end = burn_down([lot], [0, 3, 0], START + HOUR)

    assert [(1, 3, 0, 7)] == fates(eve)
    assert [(1, 3, 7, 0)] == fates(end)


def test_a_lot_that_expires_pays_neither_the_debt_nor_the_usage_of_that_moment() -> None:
    first, second = Lot(1, 10, START, START + HOUR), Lot(2, 1, START + HOUR, FAR)

    burned = burn_down([first, second], [0, 0, 5, 0], START + HOUR)

    assert ([(1, 0, 10, 0), (2, 1, 0, 0)], 4) == (fates(burned), burned.debt_micro)


def test_an_expired_lot_that_was_used_up_has_expired_with_nothing() -> None:
    burned = burn_down([Lot(1, 3, START, FAR)], [0, 8, 2], FAR + HOUR)

    assert ([(1, 3, 0, 0)], 7) == (fates(burned), burned.debt_micro)


def test_what_is_ahead_of_the_clock_burns_what_is_valid_now() -> None:
    now, soon = START + HOUR / 2, START + HOUR
    ending, beginning = Lot(1, 10, START, soon), Lot(2, 10, soon)

    ahead = burn_down([ending, beginning], [0, 1, 2], now)
    reached = burn_down([ending, beginning], [0, 1, 2], soon)

    assert [(1, 3, 0, 7)] == fates(ahead)
    assert [(1, 1, 9, 0), (2, 2, 0, 8)] == fates(reached)


def test_lots_stand_in_the_order_in_which_they_burn() -> None:
    lots = [Lot(1, 5, START), Lot(2, 5, START, FAR), Lot(3, 5, START, None, -1)]

    burned = burn_down(lots, [0, 7, 0], START)

    assert [(3, 5, 0, 0), (2, 2, 0, 3), (1, 0, 0, 5)] == fates(burned)


def test_of_lots_that_pay_a_debt_at_once_the_first_in_order_pays_first() -> None:
    lots = [Lot(1, 5, START), Lot(2, 5, START, FAR)]

    burned = burn_down(lots, [7, 0, 0], START)

    assert [(2, 5, 0, 0), (1, 2, 0, 3)] == fates(burned)


@pytest.mark.parametrize("sums", [[], [1], [0, 0, 0], [0, -1]])
def test_sums_that_do_not_fit_the_lots_are_refused(sums: list[int]) -> None:
    with pytest.raises(InvalidInput):
        burn_down([Lot(1, 5, START)], sums, START)


def test_amounts_beyond_64_bits_stay_exact() -> None:
    burned = burn_down([Lot(1, 10**30, START), Lot(2, 1, START)], [0, 10**30], START)

    assert [(1, 10**30, 0, 0), (2, 0, 0, 1)] == fates(burned)


def test_ten_years_of_daily_lots_are_burned_down_at_once() -> None:
    lots = [Lot(day, 24, START + day * 24 * HOUR) for day in range(3650)]
    started = time.perf_counter()
    sums = [23] * len(event_times(tuple(lots)))

    burned = burn_down(lots, sums, FAR + 4000 * 24 * HOUR)

    assert 3650 * 24 - 3651 * 23 == burned.left_micro
    assert time.perf_counter() - started < 1
