"""The burn-down is a function of the sets of lots and debits: as the oracle says, in any order."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hypothesis import given, note
from hypothesis import strategies as st

from os_credits.domain.lot import Burned, Lot, event_times
from os_credits.domain.period import EPOCH, HOUR
from os_credits.ledger.burn_down import burn_down, life_of
from tests.laws import burn_oracle

LAST_HOUR = 14
# Hour and amount; several debits may stand in one hour.
Debit = tuple[int, int]
hours = st.integers(0, LAST_HOUR)
amounts = st.one_of(st.integers(1, 9), st.integers(1, 10**12))


@st.composite
def a_lot(draw: st.DrawFn) -> Lot:
    start = draw(st.integers(0, LAST_HOUR - 1))
    end = draw(st.none() | st.integers(start + 1, LAST_HOUR))
    priority = draw(st.integers(-1, 2))
    return Lot(0, draw(amounts), moment(start), None if end is None else moment(end), priority)


lots_of_an_account = st.lists(a_lot(), max_size=8).map(
    lambda lots: tuple(
        Lot(number, lot.micro, lot.valid_from, lot.expires_at, lot.priority)
        for number, lot in enumerate(lots, 1)
    )
)
debits_of_an_account = st.lists(st.tuples(hours, amounts), max_size=14)
accounts = given(lots_of_an_account, debits_of_an_account, hours, st.data())


def moment(hour: int) -> datetime:
    return EPOCH + hour * HOUR


def hour_of(at: datetime) -> int:
    return (at - EPOCH) // HOUR


def burned_down(lots: Sequence[Lot], debits: Sequence[Debit], now: int) -> Burned:
    return burn_down(lots, sums_of(lots, debits), moment(now))


def sums_of(lots: Sequence[Lot], debits: Sequence[Debit]) -> list[int]:
    """Sum the debits as the product wants them."""
    moments = event_times(tuple(lots))
    sums = [0] * len(moments)
    for hour, amount in debits:
        sums[bisect_right(moments, moment(hour)) - 1] += amount
    return sums


def told(burned: Burned) -> tuple[dict[int, tuple[int, int, int]], int]:
    fates = {s.lot.id: (s.burned_micro, s.expired_micro, s.left_micro) for s in burned.states}
    return fates, burned.debt_micro


def oracle(lots: Sequence[Lot], debits: Sequence[Debit], now: int) -> Any:
    used: Counter[int] = Counter()
    for hour, amount in debits:
        used[hour] += amount
    account = burn_oracle.account(
        [
            burn_oracle.Lot(
                lot.id,
                lot.micro,
                hour_of(lot.valid_from),
                None if lot.expires_at is None else hour_of(lot.expires_at),
                lot.priority,
            )
            for lot in lots
        ],
        used,
        now,
    )
    return {number: tuple(fate) for number, fate in account.fates.items()}, account.debt


@accounts
def test_the_burn_down_is_what_the_oracle_says(
    lots: tuple[Lot, ...], debits: list[Debit], now: int, data: st.DataObject
) -> None:
    assert oracle(lots, debits, now) == told(burned_down(lots, debits, now))


@accounts
def test_the_order_of_lots_and_debits_changes_nothing(
    lots: tuple[Lot, ...], debits: list[Debit], now: int, data: st.DataObject
) -> None:
    other_lots = data.draw(st.permutations(lots))
    other_debits = data.draw(st.permutations(debits))

    assert burned_down(lots, debits, now) == burned_down(other_lots, other_debits, now)


@accounts
def test_entries_by_way_of_any_order_of_arrival_end_alike(
    lots: tuple[Lot, ...], debits: list[Debit], now: int, data: st.DataObject
) -> None:
    """Each arrival books computed less booked; the last one leaves what one arrival would."""
    expired: Counter[int] = Counter()
    entries: list[int] = []
    known_lots: list[Lot] = []
    known_debits: list[Debit] = []
    arrivals: list[tuple[str, Any]] = [
        *(("lot", lot) for lot in lots if lot.valid_from <= moment(now)),
        *(("debit", debit) for debit in debits),
    ]
    for what, arrival in data.draw(st.permutations(arrivals)):
        if what == "lot":
            known_lots.append(arrival)
            entries.append(arrival.micro)
        else:
            known_debits.append(arrival)
            entries.append(-arrival[1])
        burned = burned_down(known_lots, known_debits, now)
        for state in burned.states:
            difference = state.expired_micro - expired[state.lot.id]
            expired[state.lot.id] += difference
            entries.append(-difference)
        note(f"{what} {arrival}: {told(burned)}")
        assert sum(entries) == burned.left_micro

    at_once = burned_down(known_lots, debits, now)
    assert +expired == +Counter({s.lot.id: s.expired_micro for s in at_once.states})


@accounts
def test_sums_add_up_and_nothing_is_negative_at_any_hour(
    lots: tuple[Lot, ...], debits: list[Debit], now: int, data: st.DataObject
) -> None:
    for hour in range(LAST_HOUR + 1):
        burned = burned_down(lots, debits, hour)
        expired = sum(state.expired_micro for state in burned.states)
        given_so_far = sum(lot.micro for lot in lots if hour_of(lot.valid_from) <= hour)
        used = sum(amount for _, amount in debits)
        parts = [
            (s.burned_micro, s.expired_micro, s.left_micro, s.lot.micro) for s in burned.states
        ]

        assert given_so_far - used - expired == burned.left_micro
        assert used - burned.debt_micro == sum(part[0] for part in parts)
        assert all(min(part) >= 0 and sum(part[:3]) == part[3] for part in parts)
        assert 0 in {burned.debt_micro, sum(part[2] for part in parts)}


@accounts
def test_splitting_what_was_used_in_an_interval_changes_nothing(
    lots: tuple[Lot, ...], debits: list[Debit], now: int, data: st.DataObject
) -> None:
    """Neither into parts, nor by a lot that starts in its midst and burns nothing."""
    split: list[Debit] = []
    for hour, amount in debits:
        part = data.draw(st.integers(0, amount))
        split += [(hour, part), (hour, amount - part)]
    start = data.draw(st.integers(0, LAST_HOUR))
    idle = Lot(99, 1, moment(start), None, 99)
    used_up = sum(amount for _, amount in debits)
    covering = Lot(98, used_up + 1, EPOCH, None, 98)

    plain = burned_down([*lots, covering], debits, now)
    cut = burned_down([*lots, covering, idle], split, now)

    states = tuple(state for state in cut.states if state.lot != idle)
    assert (plain.states, plain.debt_micro) == (states, cut.debt_micro)


@accounts
def test_time_takes_from_what_is_left_and_gives_nothing_back(
    lots: tuple[Lot, ...], debits: list[Debit], now: int, data: st.DataObject
) -> None:
    """Where all usage is in the past, waiting can only pay debt and let lots expire."""
    past = [(hour, amount) for hour, amount in debits if hour <= now]
    before, after = (
        told(burned_down(lots, past, at))[0] for at in (now, data.draw(st.integers(now, LAST_HOUR)))
    )

    for number, (burned, expired, left) in before.items():
        later_burned, later_expired, later_left = after[number]
        assert burned <= later_burned
        assert expired <= later_expired
        assert left >= later_left


@accounts
def test_the_life_of_a_lot_tells_all_that_it_paid(
    lots: tuple[Lot, ...], debits: list[Debit], now: int, data: st.DataObject
) -> None:
    """Where all usage is in the past: what it paid adds up, and what is left falls by that."""
    past = [(hour, amount) for hour, amount in debits if hour <= now]
    for state in burned_down(lots, past, now).states:
        spans = life_of(state.lot, lots, sums_of(lots, past), moment(now))
        left = state.lot.micro
        for span in spans:
            left -= span.paid_micro
            assert left == span.left_micro
            assert span.paid_micro >= 0
        assert state.burned_micro == sum(span.paid_micro for span in spans)
        assert state.left_micro + state.expired_micro == left
