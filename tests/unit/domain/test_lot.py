"""Lots know in which order they burn, and when something happens to them."""

from datetime import UTC, datetime
from itertools import permutations

from os_credits.domain.lot import Burned, Lot, LotState, event_times
from os_credits.domain.period import EPOCH, HOUR

START = datetime(2026, 3, 1, tzinfo=UTC)
LATER = START + HOUR
END = START + 24 * HOUR


def test_lots_burn_by_priority_then_expiry_then_start_then_id() -> None:
    in_order = [
        Lot(9, 1, LATER, None, -1),
        Lot(8, 1, LATER, END, 0),
        Lot(7, 1, START, END + HOUR, 0),
        Lot(6, 1, START, None, 0),
        Lot(4, 1, LATER, None, 0),
        Lot(5, 1, LATER, None, 0),
        Lot(1, 1, START, LATER, 1),
    ]

    for mixed in permutations(in_order, len(in_order)):
        assert in_order == sorted(mixed, key=lambda lot: lot.place)


def test_a_lot_that_never_expires_burns_after_one_of_the_year_9999() -> None:
    far = Lot(2, 1, START, datetime(9999, 12, 31, 23, tzinfo=UTC))

    assert far.place < Lot(1, 1, START).place


def test_events_are_starts_and_ends_once_each_behind_the_epoch() -> None:
    lots = (Lot(1, 5, LATER, END), Lot(2, 5, START, LATER), Lot(3, 5, START))

    assert (EPOCH, START, LATER, END) == event_times(lots)


def test_without_lots_there_is_one_time_from_the_epoch_on() -> None:
    assert (EPOCH,) == event_times(())


def test_the_balance_is_what_is_left_less_the_debt() -> None:
    states = (LotState(Lot(1, 5, START), 2, 0, 3), LotState(Lot(2, 4, START), 0, 0, 4))

    assert 7 == Burned(states, 0).left_micro
    assert -6 == Burned((), 6).left_micro
