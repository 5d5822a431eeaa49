"""Time is cut into whole months, days and hours without a gap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from os_credits.domain.period import HOUR
from os_credits.domain.stretch import LENGTHS, Stretches, cut
from os_credits.domain.tree import Span

START = datetime(2023, 11, 28, tzinfo=UTC)
moments = st.integers(0, 24 * 130).map(lambda hours: START + hours * HOUR)


def is_whole(moment: datetime, length: str) -> bool:
    return {
        "month": (moment.day, moment.hour) == (1, 0),
        "day": moment.hour == 0,
        "hour": True,
    }[length]


@given(moments, moments)
def test_the_pieces_are_whole_and_follow_each_other(one: datetime, other: datetime) -> None:
    start, end = sorted((one, other))

    pieces = list(cut(start, end))

    assert [start, *(last for _, _, last in pieces)] == [*(first for _, first, _ in pieces), end]
    for length, first, last in pieces:
        assert first < last
        assert is_whole(first, length)
        assert is_whole(last, length)


@given(moments, moments)
def test_no_piece_holds_a_whole_of_a_longer_length(one: datetime, other: datetime) -> None:
    start, end = sorted((one, other))
    for length, first, last in cut(start, end):
        longer = LENGTHS[: LENGTHS.index(length)]
        inside = [first + count * HOUR for count in range((last - first) // HOUR + 1)]
        for one_longer in longer:
            assert len([moment for moment in inside if is_whole(moment, one_longer)]) <= 1


@given(st.lists(moments, min_size=1, max_size=4, unique=True), moments, moments)
def test_each_hour_of_a_span_goes_into_the_sum_of_the_moment_before_it(
    rising: list[datetime], one: datetime, other: datetime
) -> None:
    start, end = sorted((one, other + HOUR))
    rising = sorted([START - timedelta(days=400), *rising])

    wanted = Stretches()
    wanted.add([], [START, end])
    ids = wanted.add([Span(7, None, start, end), Span(8, 3, start, end)], rising)

    assert range(2, 2 + len(rising)) == ids
    assert [(0, 7), (0, 8)] == wanted.members
    found = {
        piece.start + count * HOUR: piece.sum_id
        for piece in wanted.pieces
        for count in range((piece.end - piece.start) // HOUR)
    }
    hours = [start + count * HOUR for count in range((end - start) // HOUR)]
    expected = {
        hour: 2 + max(place for place, moment in enumerate(rising) if moment <= hour)
        for hour in hours
    }
    assert expected == found
