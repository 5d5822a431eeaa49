"""Who must hear, and who must not hear twice: the step against the page, said otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from os_credits.domain.amount import Credits, credits_of, from_micro
from os_credits.domain.balance import Balance
from os_credits.domain.forecast import StoredForecast
from os_credits.domain.threshold import Line, LineKind, Lines, Told
from os_credits.notify.thresholds import (
    FORECAST_AGE_MAX,
    NEVER,
    Facts,
    NoticeDraft,
    days_between,
    facts_of,
    settled,
    step,
    young_forecast,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LINES = Lines(percents=(Decimal(50), Decimal(20), Decimal(0)))
MICRO = Decimal("0.000001")


def percent(value: int | str) -> Line:
    return Line(LineKind.PERCENT, Decimal(value))


def facts(balance: Decimal | int | str, granted: Decimal | int = 1000, **more: Any) -> Facts:
    return Facts(Decimal(balance), Decimal(granted), **more)


def account(**changes: Any) -> Balance:
    nothing = Credits(Decimal(0))
    zero = dict.fromkeys(
        ("granted", "granted_now", "credited", "booked", "tally", "expiring"), nothing
    )
    return Balance(project_id=1, as_of=NOON, **(zero | changes))


@pytest.mark.parametrize(
    "balance,told,expected",
    [
        (Decimal("500.000001"), None, None),
        (Decimal(500), None, 50),
        (Decimal("200.000001"), None, 50),
        (Decimal(200), None, 20),
        (MICRO, None, 20),
        (Decimal(0), None, 0),
        (Decimal(-5000), None, 0),
        (Decimal(500), 50, None),
        (Decimal(200), 50, 20),
        (Decimal(0), 20, 0),
        (Decimal(-1), 0, None),
        (Decimal(900), 20, None),
        (Decimal(400), 20, None),
    ],
)
def test_the_gravest_line_is_told_once(
    balance: Decimal, told: int | None, expected: int | None
) -> None:
    before = {} if told is None else {percent(told): Told(NOON - 9 * DAY)}

    _, draft = step(LINES, facts(balance), before, NOON)

    assert expected == (None if draft is None else draft.line.value)


@pytest.mark.parametrize("granted", [0, -10])
def test_without_a_grant_there_is_no_per_cent(granted: int) -> None:
    told = {percent(20): Told(NOON)}

    assert step(LINES, facts(-100, granted), {}, NOON) == ({}, None)
    assert step(LINES, facts(100, granted), told, NOON + DAY, lifted=True) == (told, None)


def test_amounts_beyond_the_usual_precision_are_compared_exactly() -> None:
    # 33.333 % of this grant needs 33 digits; the usual 28 would call both balances crossed.
    granted = Decimal("9999999999999999999999.999999")
    lines = Lines(percents=(Decimal("33.333"),))
    limit = Decimal("3333299999999999999999.999999")

    assert step(lines, facts(limit, granted), {}, NOON)[1] is not None
    assert step(lines, facts(limit + MICRO, granted), {}, NOON)[1] is None


def test_a_notice_says_from_where_it_fell_and_what_was_held_against_the_line() -> None:
    told, first = step(LINES, facts("333.3333335"), {}, NOON)
    told, second = step(LINES, facts("-5"), told, NOON + HOUR)

    assert NoticeDraft(percent(50), None, Decimal("33.333333"), ()) == first
    assert NoticeDraft(percent(0), Decimal(50), Decimal("-0.5"), (percent(20),)) == second
    assert dict.fromkeys([percent(50), percent(20), percent(0)], Told(NOON + HOUR)) == told


def test_of_a_debt_beyond_all_measure_no_per_cent_is_shown() -> None:
    _, draft = step(LINES, facts(-(10**17), MICRO), {}, NOON)

    assert draft is not None
    assert draft.value is None


def test_a_line_that_is_none_any_more_keeps_less_grave_ones_quiet() -> None:
    told = {percent(20): Told(NOON - 9 * DAY)}
    lines = Lines(percents=(Decimal(50), Decimal(10)))

    assert step(lines, facts(150), told, NOON) == (told, None)
    _, draft = step(lines, facts(100), told, NOON)
    assert draft is not None
    assert (percent(10), Decimal(20)) == (draft.line, draft.from_line)


def test_an_account_that_is_taken_over_has_heard_of_what_is_crossed() -> None:
    told = settled(LINES, facts(150), {percent(0): Told(NOON - DAY)}, NOON)

    assert {
        percent(0): Told(NOON - DAY, NOON),
        percent(20): Told(NOON),
        percent(50): Told(NOON),
    } == told


def test_an_account_in_which_nothing_happened_has_no_facts() -> None:
    assert facts_of(account(), None, NOON) is None
    assert facts_of(account(tally=Credits(MICRO)), None, NOON) == facts(-MICRO, 0)


@pytest.mark.parametrize(
    "state,p50,age,days,burn",
    [
        ("ok", NOON + 36 * HOUR, HOUR, Decimal("1.5"), Decimal(12)),
        ("ok", NOON - HOUR, HOUR, Decimal(0), Decimal(12)),
        ("beyond", None, FORECAST_AGE_MAX, NEVER, Decimal(12)),
        ("idle", None, HOUR, NEVER, Decimal(12)),
        ("out", None, HOUR, Decimal(0), None),
        ("short", None, HOUR, None, None),
        ("failed", None, HOUR, None, None),
        ("ok", NOON + DAY, FORECAST_AGE_MAX + timedelta(seconds=1), None, None),
    ],
)
def test_a_forecast_counts_while_it_is_young_and_knows_enough(
    state: str,
    p50: datetime | None,
    age: timedelta,
    days: Decimal | None,
    burn: Decimal | None,
) -> None:
    forecast = StoredForecast(1, NOON - age, state, 0, None, p50, None, credits_of(12), {})
    given_once = account(granted_now=credits_of(9), credited=credits_of(9), booked=credits_of(9))

    young = young_forecast(forecast, NOON)
    assert facts(9, 9, days=days, burn_per_day=burn) == facts_of(given_once, young, NOON)


def test_days_are_rounded_down() -> None:
    assert Decimal("0.000011") == days_between(NOON, NOON + timedelta(seconds=1))


# The page's rule once more, in fractions and in the words of the page.


@dataclass
class Reference:
    """Plays steps as docs/thresholds.md says them."""

    lines: Lines
    told_at: dict[Line, datetime]
    rearmed: set[Line]

    def stands_for(self, line: Line, granted: Fraction) -> Fraction:
        value = Fraction(line.value)
        return value * granted / 100 if line.kind is LineKind.PERCENT else value

    def crossed(self, line: Line, seen: Facts) -> bool:
        balance, granted = Fraction(seen.balance), Fraction(seen.granted)
        if line.kind is LineKind.PERCENT:
            return granted > 0 and 100 * balance <= Fraction(line.value) * granted
        if line.kind is LineKind.CREDITS:
            return balance <= Fraction(line.value)
        if line.kind is LineKind.DAYS:
            return seen.days is not None and seen.days <= line.value
        return seen.burn_per_day is not None and seen.burn_per_day >= line.value

    def has_left(self, line: Line, seen: Facts, *, lifted: bool) -> bool:
        wobble = Fraction(max(self.lines.hysteresis_percent, Decimal(25)))
        value = Fraction(line.value)
        if line.kind is LineKind.DAYS:
            if seen.days is None or seen.days == NEVER:
                return seen.days is not None
            return Fraction(seen.days) > value * (100 + wobble) / 100
        if line.kind is LineKind.BURN:
            burn = seen.burn_per_day
            return burn is not None and Fraction(burn) < value * (100 - wobble) / 100
        granted = Fraction(seen.granted)
        if not lifted or (line.kind is LineKind.PERCENT and granted <= 0):
            return False
        level = self.stands_for(line, granted)
        margin = Fraction(self.lines.hysteresis_percent) * granted / 100
        level += max(Fraction(0), min(margin, (granted - level) / 2))
        return Fraction(seen.balance) > level

    def is_quiet(self, line: Line, now: datetime) -> bool:
        return any(
            other not in self.rearmed or now < at + self.lines.cool_down
            for other, at in self.told_at.items()
            if other.kind is line.kind and not self.is_graver(line, other)
        )

    def is_graver(self, one: Line, other: Line) -> bool:
        larger_is_graver = one.kind is LineKind.BURN
        return one.value > other.value if larger_is_graver else one.value < other.value

    def step(self, seen: Facts, now: datetime, *, lifted: bool) -> Line | None:
        self.rearmed |= {line for line in self.told_at if self.has_left(line, seen, lifted=lifted)}
        if lifted:
            return None
        crossed = {line for line in self.lines.all() if self.crossed(line, seen)}
        loud = [line for line in crossed if not self.is_quiet(line, now)]
        if not loud:
            return None
        self.told_at |= dict.fromkeys(crossed, now)
        self.rearmed -= crossed
        for kinds in ({LineKind.PERCENT, LineKind.CREDITS}, {LineKind.DAYS}, {LineKind.BURN}):
            of_kinds = [line for line in loud if line.kind in kinds]
            if kinds == {LineKind.BURN}:
                of_kinds.sort(key=lambda line: -line.value)
            elif kinds == {LineKind.DAYS}:
                of_kinds.sort(key=lambda line: line.value)
            else:
                granted = Fraction(seen.granted)
                of_kinds.sort(
                    key=lambda line: (
                        self.stands_for(line, granted),
                        line.kind is LineKind.CREDITS,
                    )
                )
            if of_kinds:
                return of_kinds[0]
        raise AssertionError


micro = st.integers(-(10**12), 10**12).map(from_micro)
small = st.integers(-10, 110).map(lambda n: credits_of(10 * n))
figures = st.sampled_from([Decimal(n) for n in (0, 1, 5, 7, 9, 20, 25, 50, 100)])
some_lines = st.builds(
    Lines,
    percents=st.lists(figures, max_size=4).map(tuple),
    credits=st.lists(small, max_size=3).map(tuple),
    days=st.lists(figures, max_size=3).map(tuple),
    burn_per_day=st.lists(figures.filter(bool), max_size=3).map(tuple),
    hysteresis_percent=figures,
    cool_down_hours=st.sampled_from([0, 1, 24, 100]),
)
moments = st.tuples(
    st.builds(
        Facts,
        balance=small | micro,
        granted=small.map(abs) | micro.map(abs),
        days=st.none() | figures | st.just(NEVER) | micro.map(abs),
        burn_per_day=st.none() | figures | micro.map(abs),
    ),
    st.sampled_from([0, 1, 5, 23, 24, 200]),
    st.booleans(),
)


@settings(deadline=None, max_examples=100)
@given(lines=some_lines, steps=st.lists(moments, max_size=12))
def test_any_sequence_of_steps_goes_as_the_page_says(
    lines: Lines, steps: list[tuple[Facts, int, bool]]
) -> None:
    reference = Reference(lines, {}, set())
    told: dict[Line, Told] = {}
    now = NOON
    for seen, hours, lifted in steps:
        now += hours * HOUR
        expected = reference.step(seen, now, lifted=lifted)
        told, draft = step(lines, seen, told, now, lifted=lifted)
        assert expected == (None if draft is None else draft.line)
        assert reference.told_at == {line: state.told_at for line, state in told.items()}
        assert reference.rearmed == {
            line for line, state in told.items() if state.rearmed_at is not None
        }


def notices_of(
    lines: Lines, steps: list[tuple[Facts, int, bool]]
) -> list[tuple[datetime, NoticeDraft, Facts]]:
    told: dict[Line, Told] = {}
    written = []
    now = NOON
    for seen, hours, lifted in steps:
        now += hours * HOUR
        told, draft = step(lines, seen, told, now, lifted=lifted)
        if draft is not None:
            written.append((now, draft, seen))
            assert step(lines, seen, told, now)[1] is None, "the same facts again say nothing"
    return written


@settings(deadline=None, max_examples=50)
@given(lines=some_lines, steps=st.lists(moments, max_size=12))
def test_a_line_and_all_less_grave_ones_are_told_once_in_the_cool_down(
    lines: Lines, steps: list[tuple[Facts, int, bool]]
) -> None:
    written = notices_of(lines, steps)

    for number, (at, draft, _) in enumerate(written):
        for later, other, _ in written[number + 1 :]:
            if later < at + lines.cool_down:
                assert not draft.line.is_as_grave_as(other.line)


@settings(deadline=None, max_examples=50)
@given(lines=some_lines, steps=st.lists(moments, max_size=12))
def test_without_a_lift_a_line_of_a_balance_is_told_once_for_ever(
    lines: Lines, steps: list[tuple[Facts, int, bool]]
) -> None:
    """Corrections may raise the balance as they like."""
    written = notices_of(replace(lines, cool_down_hours=0), [(f, h, False) for f, h, _ in steps])
    named = [
        draft.line
        for _, draft, _ in written
        if draft.line.kind in (LineKind.PERCENT, LineKind.CREDITS)
    ]

    assert sorted(set(named), key=repr) == sorted(named, key=repr)


@settings(deadline=None, max_examples=50)
@given(lines=some_lines, seen=moments.map(lambda one: one[0]))
def test_a_jump_names_the_gravest_and_tells_all_that_is_crossed(lines: Lines, seen: Facts) -> None:
    reference = Reference(lines, {}, set())
    crossed = {line for line in lines.all() if reference.crossed(line, seen)}

    told, draft = step(lines, seen, {}, NOON)

    assert crossed == set(told)
    assert crossed == (set() if draft is None else {draft.line, *draft.also})
    for line in crossed:
        assert draft is not None
        assert line.kind is not draft.line.kind or draft.line.is_as_grave_as(line)
