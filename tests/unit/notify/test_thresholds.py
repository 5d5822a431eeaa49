"""Who must hear, and who must not hear twice."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from os_credits.domain.amount import Credits, from_micro
from os_credits.domain.balance import Balance
from os_credits.errors import Misconfigured
from os_credits.notify.thresholds import checked_percents, crossing, rearmed

LINES = (Decimal(0), Decimal(20), Decimal(50))
MICRO = Decimal("0.000001")


def account(granted: Decimal | int, current: Decimal | int) -> Balance:
    granted_credits = Credits(Decimal(granted))
    return Balance(
        project_id=1,
        granted=granted_credits,
        credited=granted_credits,
        booked=granted_credits,
        tally=Credits(granted_credits - Decimal(current)),
        as_of=datetime(2026, 3, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "current,told,expected",
    [
        (Decimal("500.000001"), None, None),
        (Decimal(500), None, Decimal(50)),
        (Decimal("200.000001"), None, Decimal(50)),
        (Decimal(200), None, Decimal(20)),
        (MICRO, None, Decimal(20)),
        (Decimal(0), None, Decimal(0)),
        (Decimal(-5000), None, Decimal(0)),
        (Decimal(500), Decimal(50), None),
        (Decimal(200), Decimal(50), Decimal(20)),
        (Decimal(0), Decimal(20), Decimal(0)),
        (Decimal(-1), Decimal(0), None),
        (Decimal(900), Decimal(20), None),
    ],
)
def test_the_gravest_line_is_told_once(
    current: Decimal, told: Decimal | None, expected: Decimal | None
) -> None:
    assert expected == crossing(account(1000, current), LINES, told)


@pytest.mark.parametrize("granted", [0, -10])
def test_without_a_grant_there_is_no_per_cent(granted: int) -> None:
    assert crossing(account(granted, -100), LINES, None) is None
    assert Decimal(20) == rearmed(account(granted, -100), LINES, Decimal(20))


def test_no_lines_mean_no_notices() -> None:
    assert crossing(account(1000, -100), (), None) is None


def test_amounts_beyond_the_usual_precision_are_compared_exactly() -> None:
    # 33.333 % of this grant needs 33 digits; the usual 28 would call both balances crossed.
    granted = Decimal("9999999999999999999999.999999")
    line = (Decimal("33.333"),)
    limit = Decimal("3333299999999999999999.999999")

    assert line[0] == crossing(account(granted, limit), line, None)
    assert crossing(account(granted, limit + MICRO), line, None) is None


@pytest.mark.parametrize(
    "current,told,expected",
    [
        (Decimal(800), None, None),
        (Decimal(100), None, None),
        (Decimal(800), Decimal(0), None),
        (Decimal(400), Decimal(20), Decimal(50)),
        (Decimal(400), Decimal(50), Decimal(50)),
        (Decimal(100), Decimal(20), Decimal(20)),
        (Decimal(100), Decimal(50), Decimal(50)),
    ],
)
def test_a_grant_arms_the_lines_above_which_it_lifts(
    current: Decimal, told: Decimal | None, expected: Decimal | None
) -> None:
    assert expected == rearmed(account(1000, current), LINES, told)


@pytest.mark.parametrize("line", ["-1", "100.001", "NaN", "Infinity", "33.3333"])
def test_a_line_that_cannot_be_kept_is_a_wrong_configuration(line: str) -> None:
    with pytest.raises(Misconfigured):
        checked_percents([Decimal(line)])


def test_lines_are_sorted_and_repeated_ones_count_once() -> None:
    expected = (Decimal(0), Decimal(20), Decimal(50))

    assert expected == checked_percents([Decimal(50), Decimal("20.0"), Decimal(0), Decimal(20)])


micro = st.integers(min_value=-(10**26), max_value=10**26)
percent = st.integers(min_value=0, max_value=100_000).map(lambda n: Decimal(n).scaleb(-3))


@settings(deadline=None)
@given(
    granted=st.integers(min_value=1, max_value=10**26),
    current=micro,
    lines=st.lists(percent, max_size=5),
    told=st.none() | percent,
)
def test_a_notice_is_told_exactly_when_fractions_say_so(
    granted: int, current: int, lines: list[Decimal], told: Decimal | None
) -> None:
    crossed = [p for p in lines if Fraction(current) <= Fraction(p) / 100 * granted]
    expected = min(crossed, default=None)
    if expected is not None and told is not None and expected >= told:
        expected = None

    assert expected == crossing(account(from_micro(granted), from_micro(current)), lines, told)


@settings(deadline=None)
@given(
    granted=st.integers(min_value=1, max_value=10**26),
    current=micro,
    lines=st.lists(percent, max_size=5),
    told=percent,
)
def test_after_a_grant_only_lines_that_nobody_was_told_of_can_be_told_at_once(
    granted: int, current: int, lines: list[Decimal], told: Decimal
) -> None:
    balance = account(from_micro(granted), from_micro(current))

    state = rearmed(balance, lines, told)
    again = crossing(balance, lines, state)

    assert state is None or state >= told
    assert again is None or again < told
