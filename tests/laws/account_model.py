"""What is known of accounts on the way: lots, debits, usage and prices, for the burn oracle."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.laws import burn_oracle

HOUR_MS = 3_600_000
UNKNOWN = 10**9


@dataclass
class ModelLot:
    """Credits given on terms, in millionths and hours; `key` is the same for both twins."""

    key: str
    kind: str
    id: int
    micro: int
    start: int
    end: int | None
    priority: int
    is_void: bool = False

    def as_told(self) -> burn_oracle.Lot:
        return burn_oracle.Lot(self.id, self.micro, self.start, self.end, self.priority)


@dataclass
class ModelAllowance:
    """A lot for each of these months (by their first hours), as far as they have begun."""

    key: str
    id: int
    micro: int
    months: tuple[int, ...]
    carries_over: bool
    priority: int
    is_ended: bool = False

    def lots(self, now: int) -> Iterator[ModelLot]:
        """Give what it has given by now, without numbers."""
        for month, following in zip(self.months[:-1], self.months[1:], strict=True):
            if month <= now:
                end = None if self.carries_over else following
                key = f"{self.key} {month}"
                yield ModelLot(key, "grant", 0, self.micro, month, end, self.priority)


@dataclass(frozen=True)
class Used:
    """An amount (units of the twin's flavor) at a moment."""

    time_ms: int
    units: int


@dataclass
class ModelAccount:
    """One project of a twin."""

    lots: dict[str, ModelLot] = field(default_factory=dict)
    allowances: dict[str, ModelAllowance] = field(default_factory=dict)
    used: set[Used] = field(default_factory=set)
    excluded: dict[str, tuple[int, int]] = field(default_factory=dict)
    # Adjustments downwards and transfers out: kind, hour, millionths.
    debits: list[tuple[str, int, int]] = field(default_factory=list)

    def charged(self, prices: dict[int, int]) -> Counter[int]:
        """Give millionths by hour; of prices the one that started last counts."""
        result: Counter[int] = Counter()
        for one in self.used:
            if not any(start <= one.time_ms < end for start, end in self.excluded.values()):
                hour = one.time_ms // HOUR_MS
                result[hour] += one.units * prices[max(s for s in prices if s <= hour)]
        return result

    def account(self, prices: dict[int, int], now: int) -> burn_oracle.Account:
        """Ask the oracle, for the lots whose hour has come."""
        used = self.charged(prices)
        for _, hour, micro in self.debits:
            used[hour] += micro
        return burn_oracle.account([lot.as_told() for lot in self.standing(now)], used, now)

    def standing(self, now: int) -> Iterator[ModelLot]:
        """Give the lots whose hour has come, but for those taken back.

        Months that an allowance is about to give have numbers that nobody knows yet.
        """
        yield from (lot for lot in self.lots.values() if lot.start <= now and not lot.is_void)
        for allowance in self.allowances.values():
            for number, lot in enumerate(allowance.lots(now)):
                if lot.key not in self.lots:
                    yield replace(lot, id=UNKNOWN + number)

    def granted_now(self, now: int) -> int:
        """Give what per cent are of."""
        return sum(
            lot.micro
            for lot in self.standing(now)
            if lot.kind != "adjustment" and (lot.end is None or lot.end > now)
        )

    def sums(self, prices: dict[int, int], now: int) -> Counter[str]:
        """Give what the entries of each kind must come to, once everything is booked."""
        result: Counter[str] = Counter(usage=-self.charged(prices).total())
        for lot in self.standing(now):
            result[lot.kind] += lot.micro
        for kind, _, micro in self.debits:
            result[kind] -= micro
        fates = self.account(prices, now).fates
        result["expiry"] = -sum(fate.expired for fate in fates.values())
        return result
