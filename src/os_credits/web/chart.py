"""The numbers behind a page's chart, as plain values for JSON; amounts stay exact text."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from os_credits.domain.period import to_ms
from os_credits.domain.text import legible
from os_credits.web.text import date_text, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.domain.forecast import StoredForecast
    from os_credits.web.history import PageFacts
    from os_credits.web.history_view import HistoryView
    from os_credits.web.steps import Row


# Room for what is to come: as much as for what was; for some days if the span has as many.
AHEAD_DAYS = timedelta(days=7)
# Where a band has no end within what is looked ahead.
LOOKED_AHEAD = timedelta(days=730)


def chart_of(facts: PageFacts, view: HistoryView, percents: Sequence[Decimal]) -> dict[str, Any]:
    """Give the chart's columns: times in seconds since the epoch, credits as text.

    `starts` are where the bars stand, `until` where the last of them ends. `ends` are the
    moments of the balances in `left`: the beginning, then the end of each bar, at last now.
    `expected` stands for `left` before any credits were given: counted back from the first
    known balance, so that the two lines meet there. `forecast` continues the balance: its paths
    are moments and what is left then, up to `until`.
    """
    length = facts.span.step_length
    now = facts.balance.as_of
    ends = [facts.start, *(min(row.start + length, max(now, row.start)) for row in view.steps)]
    return {
        "step": facts.span.step,
        "starts": [_seconds(row.start) for row in view.steps],
        "ends": [_seconds(end) for end in ends],
        "until": _seconds(view.steps[-1].start + length) if view.steps else 0,
        "forecast": _forecast(facts) if view.steps else None,
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
    return facts.balance.granted_now * percent / 100


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


def _forecast(facts: PageFacts) -> dict[str, Any] | None:
    """Continue the balance to the days on which it may be gone, as far as the chart shows them."""
    forecast, now = facts.forecast, facts.balance.as_of
    p10, p50 = forecast.p10, forecast.p50
    is_shown = facts.span.is_live(now) and facts.balance.current > 0
    if not is_shown or p10 is None or p50 is None or p10 <= now:
        return None
    p90 = forecast.p90 or now + LOOKED_AHEAD
    shown = max(now - facts.start, min(facts.span.length, AHEAD_DAYS))
    return {
        "until": _seconds(min(p90 + (p90 - now) / 20, now + shown)),
        "at": _seconds(p50),
        "label": date_text(p50.replace(hour=0, minute=0)),
        "early": _path(facts, forecast, p10),
        "middle": _path(facts, forecast, p50),
        "late": _path(facts, forecast, p90),
    }


def _path(facts: PageFacts, forecast: StoredForecast, end: datetime) -> list[list[float | str]]:
    """Burn evenly to nothing at `end`, with the grants that come before as steps."""
    now, left = facts.balance.as_of, Decimal(facts.balance.current)
    coming = [
        (datetime.fromisoformat(one["at"]), Decimal(one["credits"]))
        for one in forecast.facts["coming"]
    ]
    steps = list(takewhile(lambda one: one[0] < end, coming))
    burned = left + sum(amount for _, amount in steps)
    length = _whole_seconds(end - now)
    path: list[list[float | str]] = [[_seconds(now), str(left)]]
    added = left
    for moment, amount in steps:
        rest = added - burned * _whole_seconds(moment - now) / length
        added += amount
        path += [[_seconds(moment), _micro(rest)], [_seconds(moment), _micro(rest + amount)]]
    return [*path, [_seconds(end), "0"]]


def _whole_seconds(length: timedelta) -> int:
    return max(length // timedelta(seconds=1), 1)


def _micro(amount: Decimal) -> str:
    return f"{amount:.6f}"
