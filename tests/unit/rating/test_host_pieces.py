"""Days are cut into months, thirds and days without a gap or an overlap."""

from datetime import UTC, datetime, timedelta
from random import Random

from os_credits.rating.host_pieces import pieces_of, third_of

DAY = timedelta(days=1)


def day(month: int, number: int) -> datetime:
    return datetime(2027, month, number, tzinfo=UTC)


def test_a_month_has_three_thirds() -> None:
    thirds = {third_of(day(2, number)) for number in range(1, 29)}

    assert {(day(2, 1), day(2, 11)), (day(2, 11), day(2, 21)), (day(2, 21), day(3, 1))} == thirds


def test_the_longest_pieces_are_taken() -> None:
    assert [
        ("day", day(1, 9), day(1, 11)),
        ("third", day(1, 11), day(1, 21)),
        ("third", day(1, 21), day(2, 1)),
        ("month", day(2, 1), day(3, 1)),
        ("third", day(3, 1), day(3, 11)),
        ("day", day(3, 11), day(3, 13)),
    ] == list(pieces_of(day(1, 9), day(3, 13)))


def test_pieces_are_every_day_once() -> None:
    chance = Random("pieces")
    for _ in range(500):
        start = day(1, 1) + chance.randrange(400) * DAY
        end = start + chance.randrange(1, 200) * DAY
        pieces = list(pieces_of(start, end))
        edges = [pieces[0][1], *(last for _, _, last in pieces)]

        assert (start, end) == (edges[0], edges[-1])
        assert [first for _, first, _ in pieces] == edges[:-1]
