"""Which moves of a series change with its samples; places are numbers, 0 is nowhere."""

import numpy as np
import pytest

from os_credits.domain.period import HOUR_MS
from os_credits.rating.whereabouts import (
    Touched,
    moves_of,
    moves_without,
    place_at,
    touched_hours,
)

KNOWN = [(10, 1), (12, 2), (20, 1)]


@pytest.mark.parametrize(
    "touched,expected",
    [
        ([Touched(25, 1, None)], {}),
        ([Touched(25, 3, None)], {25: 3}),
        ([Touched(20, 2, None)], {20: None}),
        ([Touched(11, 1, 12)], {}),
        ([Touched(11, 2, 12)], {11: 2, 12: None}),
        ([Touched(11, 3, 12)], {11: 3}),
        ([Touched(12, 1, 13)], {12: None, 13: 2}),
        ([Touched(9, 1, 10)], {9: 1, 10: None}),
        ([Touched(5, 0, 10)], {}),
        ([Touched(14, 3, 15), Touched(15, 2, 20)], {14: 3, 15: 2}),
        ([Touched(14, 3, 15), Touched(15, 3, 20)], {14: 3}),
        ([Touched(14, 3, 16), Touched(18, 3, 20)], {14: 3, 16: 2, 18: 3}),
    ],
)
def test_a_touched_hour_moves_itself_and_the_next_one(
    touched: list[Touched], expected: dict[int, int | None]
) -> None:
    assert expected == moves_of(KNOWN, touched)


def test_a_series_without_moves_is_nowhere() -> None:
    assert {3: 1} == moves_of([], [Touched(3, 1, None)])
    assert {} == moves_of([], [Touched(3, 0, None)])


@pytest.mark.parametrize(
    "first,before,following,expected",
    [
        (12, None, 20, {12: None, 20: None}),
        (12, None, None, {12: None, 20: None}),
        (12, Touched(12, 3, 20), 20, {12: 3}),
        (11, None, 15, {12: None, 15: 2}),
        (10, None, None, {10: None, 12: None, 20: None}),
        (20, None, 20, {}),
    ],
)
def test_hours_without_samples_are_where_the_hour_before_was(
    first: int,
    before: Touched | None,
    following: int | None,
    expected: dict[int, int | None],
) -> None:
    assert expected == moves_without(KNOWN, first, before, following)


def test_the_place_of_an_hour_is_that_of_the_last_move() -> None:
    assert [0, 1, 1, 2, 1] == [place_at(KNOWN, hour) for hour in (9, 10, 11, 19, 99)]


def test_series_that_stay_are_left_out_and_others_by_their_latest_sample() -> None:
    rows = [
        # Series, minute, place, new, where it was last.
        (1, 0, 1, False, 1),
        (1, 5, 1, True, 1),
        (2, 0, 1, False, 1),
        (2, 30, 2, True, 1),
        (2, 40, 3, True, 1),
        (2, 70, 3, True, 1),
        (3, 10, 1, True, 0),
    ]
    series, minutes, places, new, last = (np.array(column) for column in zip(*rows, strict=True))
    times = 5 * HOUR_MS + minutes * 60_000

    assert {
        2: [Touched(5, 3, 6), Touched(6, 3, None)],
        3: [Touched(5, 1, None)],
    } == touched_hours(series, times, places, new, last)


def test_no_samples_touch_nothing() -> None:
    nothing = np.array([], np.int64)

    assert {} == touched_hours(nothing, nothing, nothing, np.array([], np.bool_), nothing)
