"""Hours of a project cut into the longest pieces for which sums are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.allowance import floor_month, next_month
from os_credits.domain.period import DAY_MS, floor_day, from_ms, to_ms
from os_credits.domain.tree import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from os_credits.domain.tree import Span

# The longest first: each is made of whole ones of the next.
LENGTHS = ("month", "day", "hour")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whole months, days or hours (`length`) of a project from `start` up to `end`.

    `sum_id` says into which sum they go.
    """

    sum_id: int
    project_id: int
    length: str
    start: datetime
    end: datetime


def stretches(
    spans: Sequence[Span], moments: Sequence[datetime], first_id: int
) -> Iterator[Stretch]:
    """Cut spans at moments that rise; what begins at the i-th has the `sum_id` first_id + i.

    The first moment lies before every span.
    """
    for place, (start, end) in enumerate(zip(moments, [*moments[1:], FOREVER], strict=True)):
        for span in spans:
            for length, first, last in cut(max(start, span.start), min(end, span.end)):
                yield Stretch(first_id + place, span.project_id, length, first, last)


def cut(start: datetime, end: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    """Cut full hours into whole months, whole days around these, and hours around those."""
    yield from _cut(start, end, LENGTHS)


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
