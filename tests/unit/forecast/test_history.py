"""Which hours can be a history."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from os_credits.errors import InvalidInput
from os_credits.forecast.history import History, hour_of_week
from tests.unit.forecast.projects import END


@pytest.mark.parametrize(
    "hourly",
    [
        np.array([1.0, np.nan]),
        np.array([np.inf, 1.0]),
        np.array([1.0, -1e-9]),
        np.array([2e15]),
        np.array([[1.0]]),
        np.array([1, 2]),
        np.array([1.0], dtype=np.float32),
    ],
)
def test_what_is_no_row_of_numbers_is_refused(hourly: Any) -> None:
    with pytest.raises(InvalidInput, match="hourly"):
        History(END, hourly)


@pytest.mark.parametrize("end", [END + timedelta(minutes=1), END.replace(tzinfo=None)])
def test_an_end_that_is_no_full_hour_of_utc_is_refused(end: datetime) -> None:
    with pytest.raises(InvalidInput, match="end"):
        History(end, np.zeros(3))


def test_hours_are_known_since_the_first_usage() -> None:
    assert History(END, np.array([0.0, 0.0, 1.0, 0.0])).known_hours == 2
    assert History(END, np.zeros(4)).known_hours == 0


def test_whole_days_since_the_first_usage_are_looked_at() -> None:
    hourly = np.append(np.zeros(100), np.arange(1.0, 60.0))

    assert hourly[-48:].tolist() == History(END, hourly).recent().tolist()


def test_a_week_begins_on_monday() -> None:
    assert hour_of_week(END) == 2 * 24 + 12
