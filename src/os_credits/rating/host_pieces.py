"""Days cut into the longest pieces for which usage by host is summed: months, thirds, days.

A third of a month is its days 1 to 10, 11 to 20, and 21 to its end.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from os_credits.domain.allowance import floor_month, next_month
from os_credits.domain.stretch import cut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_THIRD = timedelta(days=10)


def third_of(day: datetime) -> tuple[datetime, datetime]:
    """Give start and end of the third of a month in which a day lies."""
    month = floor_month(day)
    number = min((day - month) // _THIRD, 2)
    start = month + number * _THIRD
    return start, next_month(month) if number == 2 else start + _THIRD  # noqa: PLR2004 - the last


def pieces_of(start: datetime, end: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    """Cut whole UTC days into whole months, whole thirds around these, and days around those."""
    for length, first, last in cut(start, end):
        if length == "month":
            yield length, first, last
            continue
        while first < last:
            third_start, third_end = third_of(first)
            piece_end = min(third_end, last)
            is_whole = first == third_start and piece_end == third_end
            yield "third" if is_whole else "day", first, piece_end
            first = piece_end  # noqa: PLW2901 - what is left of the piece
