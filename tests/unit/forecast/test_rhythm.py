"""The rhythm of a week, and when it is only chance."""

import numpy as np
import pytest

from os_credits.forecast.history import WEEK_HOURS, hour_of_week
from os_credits.forecast.rhythm import weekly_rhythm
from tests.unit.forecast.projects import END, flat, office

FIRST = (hour_of_week(END) - 90 * 24) % WEEK_HOURS


def test_office_hours_are_found() -> None:
    rhythm = weekly_rhythm(office(), FIRST).reshape(7, 24)

    assert rhythm.mean() == pytest.approx(1)
    assert rhythm[:5, 8:18] == pytest.approx(168 / 50, rel=0.05)
    assert rhythm[5:].max() < 0.05
    assert rhythm[:5, :8].max() < 0.05


def test_steady_usage_has_no_rhythm() -> None:
    assert weekly_rhythm(flat(), FIRST) == pytest.approx(1)


def test_chance_is_no_rhythm() -> None:
    noise = np.random.default_rng(6).gamma(2.0, 5.0, 90 * 24)

    assert np.abs(weekly_rhythm(noise, FIRST) - 1).max() < 0.1


def test_growth_is_no_rhythm() -> None:
    growing = np.repeat(1.02 ** np.arange(90.0), 24)

    assert np.abs(weekly_rhythm(growing, FIRST) - 1).max() < 0.05


def test_days_of_a_week_are_not_told_apart_before_a_week_is_over() -> None:
    rhythm = weekly_rhythm(office()[-6 * 24 :], hour_of_week(END) + 24).reshape(7, 24)

    assert rhythm.mean(axis=1) == pytest.approx(1)


def test_half_a_day_of_usage_a_week_ago_makes_no_rhythm_of_nothing() -> None:
    hourly = np.zeros(168)
    hourly[:12] = [13, 20, 27, 23, 17, 10, 27, 26, 10, 15, 13, 12]

    rhythm = weekly_rhythm(hourly, first=11)

    assert np.isfinite(rhythm).all()
    assert rhythm.mean() == pytest.approx(1)
