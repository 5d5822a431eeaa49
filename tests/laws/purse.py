"""The account of one project as the oracle of the burn-down keeps it, from hour to hour."""

from collections import Counter

from tests.laws.burn_oracle import Lot, account


class Purse:
    """Lots and usage of a project; `hour` is up to when lots have started and ended."""

    def __init__(self, hour: int) -> None:
        self.hour = hour
        self.lots: list[Lot] = []
        self.used: Counter[int] = Counter()
        self.plain: set[int] = set()
        self._expired: int | None = 0

    @property
    def is_new(self) -> bool:
        """Tell whether nothing was ever given or used."""
        return not self.used and all(lot.start > self.hour for lot in self.lots)

    def use(self, hour: int, amount: int) -> None:
        """Let something be used, or taken away, in an hour."""
        self.used[hour] += amount
        if any(lot.end is not None and hour < lot.end <= self.hour for lot in self.lots):
            self._expired = None

    def give(self, lot: Lot, *, is_granted: bool = True) -> None:
        """Add a lot; per cent are not of those that are no grant."""
        self.lots.append(lot)
        if not is_granted:
            self.plain.add(lot.id)
        self._expired = None

    def pass_to(self, hour: int) -> None:
        """Let lots start and end, up to this hour."""
        if any(self.hour < (lot.end or 0) <= hour for lot in self.lots):
            self._expired = None
        self.hour = hour

    @property
    def balance(self) -> int:
        """Give what is left: what has started, less what expired and what was used."""
        if self._expired is None:
            fates = account(self.lots, self.used, self.hour).fates
            self._expired = sum(fate.expired for fate in fates.values())
        started = sum(lot.amount for lot in self.lots if lot.start <= self.hour)
        return started - self._expired - sum(self.used.values())

    @property
    def granted(self) -> int:
        """Sum the grants that are valid."""
        return sum(
            lot.amount for lot in self.lots if lot.is_valid(self.hour) and lot.id not in self.plain
        )
