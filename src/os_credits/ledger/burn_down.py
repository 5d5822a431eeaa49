"""Which lot pays for what: the burn-down of an account, a pure function of lots and debits.

Rule 12 of `docs/rating-rules.md`. At each moment at which a lot ends or starts, first the lots
that end lose their rest, then the lots that start pay the debt; then what was used up to the
next such moment burns by priority, expiry, start and id. Between two of them the valid lots are
the same, so only the sum that was used matters, and neither its order nor its hours.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from typing import TYPE_CHECKING

from os_credits.domain.lot import Burned, Lot, LotSpan, LotState, event_times
from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime


class _Account:
    """What is left of each lot while time passes."""

    def __init__(self, lots: Iterable[Lot]) -> None:
        self.left: dict[int, int] = {}
        self.expired: dict[int, int] = {}
        self.debt = 0
        # The valid lots that are not used up, in the order in which they burn.
        self._valid: list[Lot] = []
        self._starts: defaultdict[datetime, list[Lot]] = defaultdict(list)
        self._ends: defaultdict[datetime | None, list[Lot]] = defaultdict(list)
        for lot in lots:
            self._starts[lot.valid_from].append(lot)
            self._ends[lot.expires_at].append(lot)

    def pass_event(self, moment: datetime) -> None:
        """Let lots lose their rest at a moment, then let others start and pay the debt."""
        for lot in self._ends[moment]:
            self.expired[lot.id] = self.left[lot.id]
            self.left[lot.id] = 0
        for lot in self._starts[moment]:
            self.left[lot.id] = lot.micro
            insort(self._valid, lot, key=lambda lot: lot.place)
        owed, self.debt = self.debt, 0
        self.burn(owed)

    def burn(self, micro: int) -> None:
        """Take what was used from the valid lots, and what they do not cover as debt."""
        used_up = 0
        for lot in self._valid:
            taken = min(micro, self.left[lot.id])
            self.left[lot.id] -= taken
            micro -= taken
            if self.left[lot.id]:
                break
            used_up += 1
        del self._valid[:used_up]
        self.debt += micro

    def state_of(self, lot: Lot) -> LotState:
        """Say what became of a lot that has started."""
        expired, left = self.expired.get(lot.id, 0), self.left[lot.id]
        return LotState(lot, lot.micro - expired - left, expired, left)


def burn_down(lots: Sequence[Lot], debits_micro: Sequence[int], now: datetime) -> Burned:
    """Give what became of each lot up to `now`, included, in the order in which lots burn.

    `debits_micro` are what was used between each of `event_times(lots)` and the next one, and
    after the last; raises InvalidInput where one is missing or negative. Lots that start later
    are left out of the result.
    """
    moments = _checked(lots, debits_micro)
    account = _Account(lots)
    for moment, micro in zip(moments, debits_micro, strict=True):
        if moment <= now:
            account.pass_event(moment)
        # What is ahead of the clock by minutes burns what is valid now.
        account.burn(micro)
    started = (lot for lot in lots if lot.valid_from <= now)
    states = (account.state_of(lot) for lot in sorted(started, key=lambda lot: lot.place))
    return Burned(tuple(states), account.debt)


def life_of(
    lot: Lot, lots: Sequence[Lot], debits_micro: Sequence[int], now: datetime
) -> tuple[LotSpan, ...]:
    """Tell the life of one of these lots up to `now`; all else is as in `burn_down`."""
    moments = _checked(lots, debits_micro)
    account = _Account(lots)
    spans = []
    for place, (moment, micro) in enumerate(zip(moments, debits_micro, strict=True)):
        before = lot.micro if moment == lot.valid_from else account.left.get(lot.id, 0)
        if moment <= now:
            account.pass_event(moment)
        account.burn(micro)
        end = moments[place + 1] if place + 1 < len(moments) else None
        is_valid = lot.valid_from <= moment and (lot.expires_at is None or moment < lot.expires_at)
        if is_valid and moment <= now:
            left = account.left[lot.id]
            spans.append(LotSpan(moment, end, micro, before - left, left))
    return tuple(spans)


def _checked(lots: Sequence[Lot], debits_micro: Sequence[int]) -> tuple[datetime, ...]:
    moments = event_times(tuple(lots))
    if len(debits_micro) != len(moments):
        raise InvalidInput(f"{len(moments)} sums are needed, not {len(debits_micro)}")
    if min(debits_micro) < 0:
        raise InvalidInput(f"what was used is never negative: {min(debits_micro)}")
    return moments
