"""A project's time in steps: what each cost, what was given, and what was left at its end; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits, from_micro
from os_credits.store.spending import Moved
from os_credits.web.span import RowStep, floor_step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from os_credits.web.history import PageFacts

NOTHING = from_micro(0)
ItemKey = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Row:
    """An hour, day or month: what each column of items cost, in all, and left at its end.

    `given` and `taken` (both positive) are what changed the balance besides usage; `left` is
    None before any credits were given.
    """

    start: datetime
    used_by_item: tuple[Credits, ...]
    used: Credits
    given: Credits
    taken: Credits
    left: Credits | None


def steps_of(
    facts: PageFacts, place: Mapping[ItemKey, int], column_count: int
) -> tuple[Credits | None, list[Row]]:
    """Give what was left at the start, and every step from there to the end, oldest first.

    The balance is counted back from the end, so that the last step ends with it exactly.
    """
    length = facts.span.step_length
    used = _used_by_step(facts, place, column_count)
    moved = {one.start: one for one in facts.moved}
    left = facts.left + sum(map(sum, used.values()))
    left += sum(one.taken - one.given for one in facts.moved)
    opening = _known(facts, left, facts.start)
    last = max([_last_step(facts), *used, *moved])
    rows = []
    start = facts.start
    while start <= last:
        parts = used.get(start, [NOTHING] * column_count)
        change = moved.get(start, Moved(start, NOTHING, NOTHING))
        left += change.given - change.taken - sum(parts)
        rows.append(
            Row(
                start=start,
                used_by_item=tuple(Credits(part) for part in parts),
                used=Credits(sum(parts, NOTHING)),
                given=change.given,
                taken=change.taken,
                left=_known(facts, left, start + length),
            )
        )
        start += length
    return opening, rows


def _last_step(facts: PageFacts) -> datetime:
    now, until = facts.balance.as_of, facts.span.until
    end = now if until is None or facts.span.is_live(now) else until - facts.span.step_length
    return floor_step(end, facts.span.step)


def _used_by_step(
    facts: PageFacts, place: Mapping[ItemKey, int], column_count: int
) -> dict[datetime, list[Decimal]]:
    used: dict[datetime, list[Decimal]] = {}
    for spent in facts.charges:
        row = used.setdefault(spent.start, [NOTHING] * column_count)
        row[place[spent.meter_id, spent.flavor_id]] += spent.credits
    return used


def _known(facts: PageFacts, left: Decimal, moment: datetime) -> Credits | None:
    """Give a balance only if any credits had been given before this moment."""
    first = facts.first_given[0]
    return Credits(left) if first is not None and first < moment else None


def merged(steps: Sequence[Row], row_step: RowStep) -> list[Row]:
    """Sum steps up to the table's rows; what is left is what the last of them leaves."""
    rows = []
    for start, together in groupby(steps, key=lambda row: floor_step(row.start, row_step)):
        parts = list(together)
        columns = zip(*(part.used_by_item for part in parts), strict=True)
        rows.append(
            Row(
                start=start,
                used_by_item=tuple(Credits(sum(column, NOTHING)) for column in columns),
                used=Credits(sum((part.used for part in parts), NOTHING)),
                given=Credits(sum((part.given for part in parts), NOTHING)),
                taken=Credits(sum((part.taken for part in parts), NOTHING)),
                left=parts[-1].left,
            )
        )
    return rows
