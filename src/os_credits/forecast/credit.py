"""What is left to be used and on which terms, and when each path has used it up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.amount import MICRO_PER_CREDIT
from os_credits.domain.period import HOUR
from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from os_credits.domain.lot import Lot
    from os_credits.forecast.history import Floats
    from os_credits.forecast.paths import Paths


@dataclass(frozen=True, slots=True)
class Credit:
    """The balance now, and the lots of which something is left or which are to come.

    `micro` of a lot is what is left of it now. Balance that is in no lot burns last and never
    expires; a balance below the sum of the lots has already burned from them in their order.
    Raises InvalidInput for a balance that is no number, and for less than nothing in a lot.
    """

    balance: Decimal
    lots: tuple[Lot, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no account can hold."""
        if not self.balance.is_finite():
            raise InvalidInput("a balance is a finite number", where="balance")
        if any(lot.micro < 0 for lot in self.lots):
            raise InvalidInput("less than nothing is left of a lot", where="lots")


class _Account:
    """What is left of all lots on every path while time passes, in credits."""

    def __init__(self, credit: Credit, now: datetime, path_count: int) -> None:
        self._path_count = path_count
        self._lots = sorted(credit.lots, key=lambda lot: lot.place)
        valid = [lot for lot in self._lots if lot.valid_from <= now and not _has_ended(lot, now)]
        in_lots = sum(lot.micro for lot in valid) / MICRO_PER_CREDIT
        balance = float(credit.balance)
        self._free = self._everywhere(max(balance - in_lots, 0.0))
        self._left = {lot.id: self._everywhere(lot.micro / MICRO_PER_CREDIT) for lot in valid}
        if in_lots > balance:
            self.burn(self._everywhere(in_lots - balance))

    def _everywhere(self, credits: float) -> Floats:
        return np.full(self._path_count, credits)

    def left(self) -> Floats:
        """Give what is left on each path."""
        return np.asarray(self._free + sum(self._left.values()))

    def burn(self, used: Floats) -> None:
        """Take what was used from the lots in their order, then from what is in no lot."""
        for lot in self._lots:
            if lot.id in self._left:
                taken = np.minimum(used, self._left[lot.id])
                self._left[lot.id] = self._left[lot.id] - taken
                used = used - taken
        self._free = np.maximum(self._free - used, 0)

    def pass_event(self, moment: datetime) -> None:
        """Let lots that end lose their rest, and lots that start add theirs."""
        for lot in self._lots:
            if lot.expires_at == moment:
                self._left.pop(lot.id, None)
            if lot.valid_from == moment:
                self._left[lot.id] = self._everywhere(lot.micro / MICRO_PER_CREDIT)


def hours_until_empty(credit: Credit, now: datetime, paths: Paths) -> Floats:
    """Give the hours from now until nothing is left on each path; infinite: not on the path."""
    account = _Account(credit, now, paths.count)
    empty = np.full(paths.count, np.inf)
    used = np.zeros(paths.count)
    for moment in _events(credit, now):
        hours = (moment - now) / HOUR
        if hours >= paths.hours:
            break
        used_then = paths.until(hours)
        enough = used + account.left()
        # What is used up at the very moment of a grant was never missing.
        gone = np.isinf(empty) & (used_then > enough)
        if gone.any():
            empty = np.where(gone, paths.hours_until(enough), empty)
        account.burn(used_then - used)
        account.pass_event(moment)
        used = used_then
        empty = np.where(np.isinf(empty) & (account.left() <= 0), hours, empty)
        if not np.isinf(empty).any():
            return empty
    return np.where(np.isinf(empty), paths.hours_until(used + account.left()), empty)


def _events(credit: Credit, now: datetime) -> list[datetime]:
    starts = {lot.valid_from for lot in credit.lots}
    ends = {lot.expires_at for lot in credit.lots if lot.expires_at is not None}
    return sorted(moment for moment in starts | ends if moment > now)


def _has_ended(lot: Lot, now: datetime) -> bool:
    return lot.expires_at is not None and lot.expires_at <= now
