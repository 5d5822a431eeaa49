"""Small charts that the server draws: bars of an SVG, scaled to the largest one; pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_ZERO = Decimal(0)
# The part of a column of time that stays empty.
_GAP = Decimal("0.15")
# Less than this of the height cannot be seen.
_SEEN_MIN = Decimal("0.02")


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of a chart, in its own units; `color` counts from 0 (None: without)."""

    x: Decimal
    y: Decimal
    width: Decimal
    height: Decimal
    color: int | None = None


def stacked(
    columns: Sequence[Sequence[Decimal]], *, width: int, height: int, gap: Decimal
) -> list[list[Bar]]:
    """Give the bars of each column, from the bottom up; what is below zero is not drawn.

    `gap` is the part of a column that stays empty.
    """
    highest = max((sum(_positive(parts), _ZERO) for parts in columns), default=_ZERO)
    if not highest:
        return [[] for _ in columns]
    step = Decimal(width) / len(columns)
    return [
        _column(parts, height / highest, step * number, step * (1 - gap), height)
        for number, parts in enumerate(columns)
    ]


def _positive(parts: Sequence[Decimal]) -> list[Decimal]:
    return [max(part, _ZERO) for part in parts]


def _column(
    parts: Sequence[Decimal], scale: Decimal, x: Decimal, width: Decimal, height: int
) -> list[Bar]:
    heights = [
        max(part * scale, _SEEN_MIN * height) if part else _ZERO for part in _positive(parts)
    ]
    tops = [_ZERO]
    for one in heights:
        tops.append(tops[-1] + one)
    return [
        Bar(_short(x), _short(height - top), _short(width), _short(top - bottom), color)
        for color, (bottom, top) in enumerate(pairwise(tops))
        if top > bottom
    ]


def _short(number: Decimal) -> Decimal:
    return round(number, 2)


@dataclass(frozen=True, slots=True)
class Column:
    """A moment of a chart of time: what it stands for, its bars, and the room that it has."""

    start: datetime
    credits: Decimal
    x: Decimal
    width: Decimal
    bars: Sequence[Bar]


def over_time(
    moments: Sequence[datetime], parts: Sequence[Sequence[Decimal]], *, size: tuple[int, int]
) -> list[Column]:
    """Draw what each moment consists of as one column of stacked bars."""
    if not moments:
        return []
    width = Decimal(size[0]) / len(moments)
    drawn = stacked(parts, width=size[0], height=size[1], gap=_GAP)
    return [
        Column(start, sum(own, _ZERO), _short(width * number), _short(width), tuple(bars))
        for number, (start, own, bars) in enumerate(zip(moments, parts, drawn, strict=True))
    ]
