"""How well the forecast tells what then happens: the small sibling of `make backtest`."""

from functools import cache

import numpy as np
import pytest

from benchmarks.backtest.cases import NEVER, Outcome, Series, outcomes
from benchmarks.backtest.score import score
from benchmarks.backtest.synthetic import FAMILIES, ask
from tests.unit.forecast.projects import flat

# Neither those by which the numbers of the forecast were chosen nor those of `make backtest`.
SEEDS = range(100, 104)
ASKED = 8


@cache
def asked(family: str) -> list[Outcome]:
    return [each for seed in SEEDS for each in ask(family, seed, ASKED)]


def every() -> list[Outcome]:
    return [each for family in FAMILIES for each in asked(family)]


def test_the_band_holds_what_happens_as_often_as_it_says() -> None:
    result = score(every())

    assert result.cases > 250
    assert 0.7 <= result.coverage <= 0.9
    assert result.before_p10 < 0.15
    assert result.after_p90 < 0.15


def test_the_middle_date_beats_the_straight_line() -> None:
    result = score(every())

    assert result.median < 0.9 * result.straight_median
    assert result.mean < 0.95 * result.straight_mean
    assert result.log < 0.95 * result.straight_log


@pytest.mark.parametrize("family", FAMILIES)
def test_no_kind_of_project_is_told_wrong_as_a_rule(family: str) -> None:
    assert score(asked(family)).coverage > 0.6


@pytest.mark.parametrize("family", ["office_hours", "weekend_batch"])
def test_the_rhythm_of_a_week_is_worth_half_of_the_error(family: str) -> None:
    result = score(asked(family))

    assert result.median < 0.7 * result.straight_median


def outcome(truth: float, p10: float, p50: float, p90: float, known: float = 90.0) -> Outcome:
    return Outcome("", truth, known, p10, p50, p90, straight=50.0)


def test_shares_are_counted() -> None:
    found = [
        outcome(20, 15, 25, 30),
        outcome(10, 15, 25, 30),
        outcome(40, 15, 25, 30),
        outcome(20, 15, 25, 30),
    ]

    result = score(found)

    assert (0.25, 0.25, 0.5) == (result.before_p10, result.after_p90, result.coverage)
    assert result.median == pytest.approx((0.25 + 0.375) / 2)
    assert result.straight_mean == pytest.approx((1.5 + 3 + 0.25 + 1.5) / 4)


def test_a_truth_behind_the_data_is_a_miss_only_if_the_band_ended_before() -> None:
    result = score([outcome(NEVER, 15, 25, 30), outcome(NEVER, 80, 95, 120)])

    # The second says nothing of P90, and is cut for the errors: 90 of 90 days are right.
    assert (0, 1.0) == (result.before_p10, result.after_p90)
    assert result.mean == pytest.approx((65 / 90 + 0) / 2)


def test_a_case_is_asked_without_a_look_ahead() -> None:
    """What comes after the moment of asking changes the truth and nothing that is told."""
    series = Series("", np.append(flat(), flat()))
    other = Series("", np.append(flat(), flat(20)))
    chance = np.random.default_rng

    first = [each for each in outcomes(series, 40, chance(1)) if each.known == 90]
    second = [each for each in outcomes(other, 40, chance(1)) if each.known == 90]
    pairs = [(a, b) for a in first for b in second if (a.p10, a.p50) == (b.p10, b.p50)]

    assert pairs
    assert any(a.truth > b.truth for a, b in pairs)
    assert all(a.truth >= b.truth for a, b in pairs)
