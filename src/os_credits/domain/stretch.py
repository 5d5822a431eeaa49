"""Hours of a project cut into the longest pieces for which sums are stored."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.allowance import floor_month, next_month
from os_credits.domain.period import DAY_MS, floor_day, from_ms, to_ms
from os_credits.domain.tree import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from os_credits.domain.tree import Span

# The longest first: each is made of whole ones of the next.
LENGTHS = ("month", "day", "hour")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whole months, days or hours (`length`) of some projects from `start` up to `end`.

    `sum_id` says into which sum they go, `group` which projects they are.
    """

    sum_id: int
    group: int
    length: str
    start: datetime
    end: datetime


class Stretches:
    """All stretches that are to be summed, and the projects of each group.

    Projects whose hours are the same make one group: mostly there are many.
    """

    def __init__(self, lengths: tuple[str, ...] = LENGTHS) -> None:
        """Begin without any; `lengths` are those to cut into, the longest first."""
        self._lengths = lengths
        self.pieces: list[Stretch] = []
        self.members: list[tuple[int, int]] = []
        self._group_count = 0
        self._sum_count = 0

    def add(self, spans: Iterable[Span], moments: Sequence[datetime]) -> range:
        """Cut spans at moments that rise; gives the `sum_id` of each moment up to the next one.

        The first moment lies before every span.
        """
        first = self._sum_count
        self._sum_count += len(moments)
        groups: dict[tuple[datetime, datetime], list[int]] = defaultdict(list)
        for span in spans:
            groups[span.start, span.end].append(span.project_id)
        for hours, project_ids in groups.items():
            self.members += [(self._group_count, one) for one in project_ids]
            self._cut(first, moments, *hours)
            self._group_count += 1
        return range(first, self._sum_count)

    def add_hours(self, start: datetime, end: datetime, project_ids: Iterable[int]) -> None:
        """Add hours of some projects to the sum that was begun last (`begin_sum`)."""
        self.members += [(self._group_count, one) for one in project_ids]
        for piece in cut(start, end, self._lengths):
            self.pieces.append(Stretch(self._sum_count - 1, self._group_count, *piece))
        self._group_count += 1

    def begin_sum(self) -> int:
        """Begin another sum, and give its `sum_id`."""
        self._sum_count += 1
        return self._sum_count - 1

    def _cut(self, first: int, moments: Sequence[datetime], start: datetime, end: datetime) -> None:
        for place, (since, until) in enumerate(zip(moments, [*moments[1:], FOREVER], strict=True)):
            for piece in cut(max(since, start), min(until, end), self._lengths):
                self.pieces.append(Stretch(first + place, self._group_count, *piece))


def cut(
    start: datetime, end: datetime, lengths: tuple[str, ...] = LENGTHS
) -> Iterator[tuple[str, datetime, datetime]]:
    """Cut full hours into whole months, whole days around these, and hours around those."""
    yield from _cut(start, end, lengths)


def _cut(
    start: datetime, end: datetime, lengths: tuple[str, ...]
) -> Iterator[tuple[str, datetime, datetime]]:
    if start >= end:
        return
    length, *smaller = lengths
    first, last = (start, end) if not smaller else (_ceil(start, length), _floor(end, length))
    if first >= last:
        yield from _cut(start, end, tuple(smaller))
        return
    yield from _cut(start, first, tuple(smaller))
    yield length, first, last
    yield from _cut(last, end, tuple(smaller))


def _floor(moment: datetime, length: str) -> datetime:
    return floor_month(moment) if length == "month" else floor_day(moment)


def _ceil(moment: datetime, length: str) -> datetime:
    if _floor(moment, length) == moment:
        return moment
    if length == "month":
        return next_month(floor_month(moment))
    return from_ms(to_ms(floor_day(moment)) + DAY_MS)
