"""What is left to be used, and when it is gone: the account of a project, simply, for paths."""

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

    from numpy.typing import NDArray

    from os_credits.domain.lot import Lot


@dataclass(frozen=True, slots=True)
class Credit:
    """The balance now, and the lots of which something is left or which are to come.

    `lots[].micro` is what is left of a lot now. Balance that is in no lot burns last and never
    expires; where the balance is less than the lots, the difference is burned from them first.
    """

    balance: Decimal
    lots: tuple[Lot, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a balance that is no number, and lots of less than nothing."""
        if not self.balance.is_finite():
            raise InvalidInput("a balance is a finite number", where="balance")
        if any(lot.micro < 0 for lot in self.lots):
            raise InvalidInput("what is left of a lot is not negative", where="lots")


class Account:
    """The rests of all lots on every path, while time passes; amounts in credits."""

    def __init__(self, credit: Credit, now: datetime, paths: int) -> None:
        self.lots = sorted(credit.lots, key=lambda lot: lot.place)
        self.now = now
        running = [lot for lot in self.lots if lot.valid_from <= now and not _ended(lot, now)]
        balance = float(credit.balance)
        in_lots = sum(lot.micro for lot in running) / MICRO_PER_CREDIT
        self.free = np.full(paths, max(balance - in_lots, 0.0))
        self.rests = {lot: np.full(paths, lot.micro / MICRO_PER_CREDIT) for lot in running}
        if balance < in_lots:
            self.burn(np.full(paths, in_lots - balance))
        coming = {lot.valid_from for lot in self.lots if lot.valid_from > now}
        ends = {lot.expires_at for lot in self.lots if lot.expires_at and lot.expires_at > now}
        self.events = sorted(coming | ends)

    def total(self) -> NDArray[np.float64]:
        """Give what is left on each path."""
        return self.free + sum(self.rests.values())

    def burn(self, used: NDArray[np.float64]) -> None:
        """Take what was used from the lots in their order, then from what is in no lot."""
        for lot in self.lots:
            if lot in self.rests:
                taken = np.minimum(used, self.rests[lot])
                self.rests[lot] = self.rests[lot] - taken
                used = used - taken
        self.free = np.maximum(self.free - used, 0)

    def pass_event(self, moment: datetime) -> None:
        """Let lots that end lose their rest, and lots that start add theirs."""
        for lot in self.lots:
            if lot.expires_at == moment:
                self.rests.pop(lot, None)
            if lot.valid_from == moment:
                self.rests[lot] = np.full(self.free.size, lot.micro / MICRO_PER_CREDIT)


def _ended(lot: Lot, now: datetime) -> bool:
    return lot.expires_at is not None and lot.expires_at <= now


def empty_after(credit, now, usage) -> NDArray[np.float64]:
    """Hours from now until each path's balance is first nothing; infinite: not on the path."""
    account = Account(credit, now, usage.paths)
    empty = np.full(usage.paths, np.inf)
    start = 0.0
    used_before = np.zeros(usage.paths)
    ends = [(moment - now) / HOUR for moment in account.events]
    for moment, end in zip([*account.events, None], [*ends, usage.hours], strict=True):
        end = min(end, usage.hours)
        target = used_before + account.total()
        hit = usage.reach(target)
        gone = np.isinf(empty) & (hit <= end)
        empty[gone] = hit[gone]
        if moment is None or end >= usage.hours or not np.isinf(empty).any():
            break
        used = usage.until(end)
        account.burn(used - used_before)
        account.pass_event(moment)
        used_before = used
        lost = np.isinf(empty) & (account.total() <= 0)
        empty[lost] = end
    return empty
