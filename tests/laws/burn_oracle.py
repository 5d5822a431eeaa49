"""Which lot pays for what, by rule 12 of `docs/rating-rules.md` alone, without the product's code.

Goes through time hour by hour: what an hour owes is the debt of the hour before it and what was
used in it, and every unit of that is paid by the lot that comes first just then. Hours count
from the epoch, credits are in units of any size.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Lot(NamedTuple):
    """Credits given on terms; `end` None: they never expire."""

    id: int
    amount: int
    start: int
    end: int | None = None
    priority: int = 0

    def is_valid(self, hour: int) -> bool:
        return self.start <= hour and (self.end is None or hour < self.end)

    def is_over(self, hour: int) -> bool:
        return self.end is not None and self.end <= hour

    def before(self, other: "Lot") -> bool:
        """Tell whether this lot burns before another one that is valid with it."""
        if self.priority != other.priority:
            return self.priority < other.priority
        if self.end != other.end:
            return other.end is None or (self.end is not None and self.end < other.end)
        return (self.start, self.id) < (other.start, other.id)


class Fate(NamedTuple):
    """What became of a lot."""

    burned: int
    expired: int
    left: int


class Account(NamedTuple):
    """The fate of each lot that has started, by its id, and the debt."""

    fates: dict[int, Fate]
    debt: int

    @property
    def balance(self) -> int:
        return sum(fate.left for fate in self.fates.values()) - self.debt


def account(lots: Iterable[Lot], used: Mapping[int, int], now: int) -> Account:
    """Give the account in the hour `now`; `used` is by hour, and what is ahead counts as now."""
    lots = list(lots)
    paid: Counter[int] = Counter()
    owed = 0
    hours = [*used, *(lot.start for lot in lots), now]
    for hour in range(min(hours), now + 1):
        owed += used.get(hour, 0) if hour < now else sum(used[one] for one in used if one >= now)
        while owed:
            payer = None
            for lot in lots:
                able = lot.is_valid(hour) and paid[lot.id] < lot.amount
                if able and (payer is None or lot.before(payer)):
                    payer = lot
            if payer is None:
                break
            units = min(owed, payer.amount - paid[payer.id])
            paid[payer.id] += units
            owed -= units
    fates = {}
    for lot in lots:
        if lot.start <= now:
            rest = lot.amount - paid[lot.id]
            over = lot.is_over(now)
            fates[lot.id] = Fate(paid[lot.id], rest if over else 0, 0 if over else rest)
    return Account(fates, owed)
