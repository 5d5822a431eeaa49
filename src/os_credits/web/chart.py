"""The numbers behind a page's chart, as plain values for JSON; amounts stay exact text."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from os_credits.domain.period import to_ms
from os_credits.domain.text import legible
from os_credits.web.text import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.web.history import PageFacts
    from os_credits.web.history_view import HistoryView
    from os_credits.web.steps import Row


def chart_of(facts: PageFacts, view: HistoryView, percents: Sequence[Decimal]) -> dict[str, Any]:
    """Give the chart's columns: times in seconds since the epoch, credits as text.

    `starts` are where the bars stand, `until` where the last of them ends. `ends` are the
    moments of the balances in `left`: the beginning, then the end of each bar, at last now.
    `expected` stands for `left` before any credits were given: counted back from the first
    known balance, so that the two lines meet there.
    """
    length = facts.span.step_length
    now = facts.balance.as_of
    ends = [facts.start, *(min(row.start + length, max(now, row.start)) for row in view.steps)]
    return {
        "step": facts.span.step,
        "starts": [_seconds(row.start) for row in view.steps],
        "ends": [_seconds(end) for end in ends],
        "until": _seconds(view.steps[-1].start + length) if view.steps else 0,
        "labels": [shortened(legible(label)) for label in view.labels],
        "used": [[str(part) for part in column] for column in _columns(view.steps)],
        "left": _texts(view.opening, *(row.left for row in view.steps)),
        "expected": _expected(view),
        "percents": [
            {"percent": f"{percent.normalize():f}", "credits": str(_share(facts, percent))}
            for percent in percents
            if percent > 0
        ],
    }


def _seconds(moment: datetime) -> float:
    return to_ms(moment) / 1000


def _columns(steps: Sequence[Row]) -> list[tuple[Decimal, ...]]:
    return list(zip(*(row.used_by_item for row in steps), strict=True))


def _share(facts: PageFacts, percent: Decimal) -> Decimal:
    return facts.balance.granted * percent / 100


def _texts(*amounts: Decimal | None) -> list[str | None]:
    return [None if amount is None else str(amount) for amount in amounts]


def _expected(view: HistoryView) -> list[str | None]:
    lefts: list[Decimal | None] = [view.opening, *(row.left for row in view.steps)]
    known = next((place for place, left in enumerate(lefts) if left is not None), 0)
    left = lefts[known]
    expected: list[Decimal | None] = [None] * len(lefts)
    if known == 0 or left is None:
        return _texts(*expected)
    expected[known] = left
    for place in range(known - 1, -1, -1):
        left += view.steps[place].used
        expected[place] = left
    return _texts(*expected)
