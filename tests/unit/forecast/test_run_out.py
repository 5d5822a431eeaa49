"""When a project has nothing left, by what it used."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from os_credits.errors import InvalidInput
from os_credits.forecast.credit import Credit
from os_credits.forecast.history import History
from os_credits.forecast.run_out import Forecast, State, forecast
from tests.unit.forecast.projects import DAY, END, NOW, days, flat, lot, office, told


def test_steady_usage_runs_out_when_the_balance_divided_by_it_says() -> None:
    result = told(flat(), 4800)

    assert result.state is State.OK
    assert days(result.p50) == pytest.approx(20, abs=0.2)
    assert 15 < days(result.p10) < days(result.p50) < days(result.p90) < 26
    assert result.burn_per_day == pytest.approx(240, rel=0.02)


def test_the_same_history_gives_the_same_dates_to_the_last_bit() -> None:
    hourly = np.random.default_rng(3).gamma(2.0, 5.0, 90 * 24)

    assert told(hourly, 4800) == told(hourly.copy(), 4800)


def test_seventy_one_hours_are_too_short() -> None:
    assert told(np.full(71, 3.0), 1000) == Forecast(State.SHORT, burn_per_day=72, needs_days=1)
    assert told(np.full(5, 3.0), 1000) == Forecast(State.SHORT, burn_per_day=15, needs_days=3)
    assert told(np.append(flat(0), np.full(30, 3.0)), 1000).needs_days == 2


def test_three_days_are_enough() -> None:
    result = told(np.full(72, 3.0), 720)

    assert result.state is State.OK
    assert days(result.p50) == pytest.approx(10, abs=0.5)


def test_less_history_gives_a_wider_band() -> None:
    noise = np.random.default_rng(4).gamma(6.0, 1.5, 90 * 24)
    short, long = told(noise[-96:], 4800), told(noise, 4800)

    assert days(short.p90) - days(short.p10) > 1.5 * (days(long.p90) - days(long.p10))


def test_a_project_that_used_nothing_for_a_week_does_not_run_out() -> None:
    hourly = flat()
    hourly[-7 * 24 :] = 0

    assert told(hourly, 100) == Forecast(State.IDLE)


@pytest.mark.parametrize("hours", [0, 1, 500])
def test_a_project_that_never_used_anything_does_not_run_out(hours: int) -> None:
    assert told(np.zeros(hours), 100) == Forecast(State.IDLE)


@pytest.mark.parametrize("balance", ["0", "-5.000001"])
def test_nothing_left_is_told_as_such(balance: str) -> None:
    result = told(flat(), balance)

    assert result == Forecast(State.OUT, burn_per_day=result.burn_per_day)
    assert result.burn_per_day == pytest.approx(240, rel=0.02)


def test_what_lasts_longer_than_two_years_has_no_date() -> None:
    result = told(flat(), 240 * 1000)

    assert (result.state, result.p50, result.p90) == (State.BEYOND, None, None)


def test_a_late_date_may_be_missing_where_the_middle_one_is_told() -> None:
    result = told(flat(), 240 * 690)

    assert (result.state, result.p90) == (State.OK, None)
    assert days(result.p50) == pytest.approx(690, rel=0.02)


def test_a_weekend_without_usage_is_not_counted_as_workdays() -> None:
    """Three workdays' credits on a Wednesday at noon last until Monday noon, not Saturday."""
    result = told(office(), 200 * 3)

    assert days(result.p50) == pytest.approx(5, abs=0.1)
    assert days(result.p90) - days(result.p10) < 0.5


def test_the_hour_of_the_day_is_told() -> None:
    """What lasts one more working hour lasts until one o'clock, and all eight until next noon."""
    assert days(told(office(), 20).p50) == pytest.approx(1 / 24, abs=0.03)
    assert days(told(office(), 20 * 10).p50) == pytest.approx(1, abs=0.06)


def test_fifty_servers_started_three_hours_ago_burn_from_now_on() -> None:
    hourly = flat()
    hourly[-3:] += 50
    noisy = hourly + np.random.default_rng(5).normal(0, 1, hourly.size)

    assert days(told(hourly, 60 * 24 * 10).p50) == pytest.approx(10, rel=0.1)
    assert days(told(noisy, 60 * 24 * 10).p50) == pytest.approx(10, rel=0.15)
    # They may also end: the band says so.
    assert days(told(hourly, 60 * 24 * 10).p90) > 20


def test_hours_whose_usage_is_late_do_not_put_the_date_off() -> None:
    hourly = flat()
    hourly[-3:] = 0

    assert days(told(hourly, 4800).p50) < 25


def test_a_growing_project_runs_out_before_the_straight_line() -> None:
    hourly = 10 * 1.03 ** (np.arange(90 * 24) / 24)
    straight = 30_000 / (hourly[-7 * 24 :].mean() * 24)

    assert days(told(hourly, 30_000).p50) < 0.95 * straight


def test_credits_that_expire_bring_the_date_forward() -> None:
    expiring = lot(1, 2400, end=5), lot(2, 2400)

    assert days(told(flat(), 4800, *expiring).p50) == pytest.approx(15, abs=0.2)


def test_an_allowance_to_come_puts_the_date_off() -> None:
    assert days(told(flat(), 2400, lot(1, 2400, start=5)).p50) == pytest.approx(20, abs=0.3)
    # Too late: the credits are gone before.
    assert days(told(flat(), 2400, lot(1, 2400, start=30)).p50) == pytest.approx(10, abs=0.2)


def test_an_idle_project_loses_its_last_credits_when_they_expire() -> None:
    result = told(np.append(flat(), np.zeros(7 * 24)), 100, lot(1, 100, end=9))

    assert (result.state, result.burn_per_day) == (State.OK, 0)
    assert {result.p10, result.p50, result.p90} == {END + 9 * DAY}


def test_only_a_quarter_is_looked_at() -> None:
    assert told(np.append(flat(999), flat()), 4800) == told(flat(), 4800)


def test_a_history_that_ends_after_now_is_refused() -> None:
    with pytest.raises(InvalidInput, match="ends before"):
        forecast(History(END, flat()), Credit(Decimal(1)), END - timedelta(seconds=1))


@pytest.mark.parametrize("per_hour", [1e-6, 1e15])
def test_the_least_and_the_largest_usage_have_a_date(per_hour: float) -> None:
    result = told(flat(per_hour), f"{per_hour * 240:.6f}")

    assert days(result.p50) == pytest.approx(10, abs=0.2)


def test_a_date_is_in_utc_and_after_now() -> None:
    result = told(flat(), "0.000001")

    assert result.p10 is not None
    assert NOW <= result.p10 < NOW + timedelta(seconds=2)
    assert result.p10.utcoffset() == timedelta(0)
