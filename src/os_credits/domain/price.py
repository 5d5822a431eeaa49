"""Since when what costs how much: dated prices per meter and flavor, and the lookup.

A price starts at a full hour and holds until the next one of the same meter and flavor. It is
never edited: of two for the same start the later revision (larger id) wins, and one without
an amount ends the price before it (`docs/rating-rules.md`, rule 5).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.amount import number_of
from os_credits.domain.period import to_ms
from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

PRICE_DIGITS = 12
PRICE_MAX = Decimal(10) ** 15


@dataclass(frozen=True, slots=True)
class Price:
    """Credits per priced unit of a meter, for one flavor or (`flavor_id` None) for all others.

    `created_at` is when it was set, None before it is stored.
    """

    id: int
    meter_id: int
    flavor_id: int | None
    valid_from: datetime
    credits_per_unit: Decimal | None
    author: str
    created_at: datetime | None = None


def price_of(value: Decimal | int | str | None, *, where: str = "price") -> Decimal | None:
    """Read a price: 'none' (or None) ends one, else a number from 0, twelve digits at most."""
    if value is None or (isinstance(value, str) and value.strip().lower() == "none"):
        return None
    if isinstance(value, bool | float):
        raise InvalidInput("a float is no price, send a string", where=where)
    amount = number_of(value, where=where)
    if not amount.is_finite() or amount < 0 or amount >= PRICE_MAX:
        raise InvalidInput("must be a number from 0 to below 10^15", where=where)
    if amount != round(amount, PRICE_DIGITS):
        raise InvalidInput(f"at most {PRICE_DIGITS} digits after the point", where=where)
    return amount


class PriceList:
    """All prices of all times, for looking one up by meter, flavor and hour."""

    def __init__(self, prices: Iterable[Price]) -> None:
        """Sort the prices by start; for one start the largest id is kept."""
        winners: dict[tuple[int, int | None], dict[int, Price]] = defaultdict(dict)
        for price in sorted(prices, key=lambda price: price.id):
            winners[price.meter_id, price.flavor_id][to_ms(price.valid_from)] = price
        self._starts = {key: sorted(by_start) for key, by_start in winners.items()}
        self._prices = {
            key: [by_start[start] for start in self._starts[key]]
            for key, by_start in winners.items()
        }

    def revision_at(self, meter_id: int, flavor_id: int | None, hour_ms: int) -> Price | None:
        """Find the revision that rules exactly this meter and flavor in this hour, ended or not."""
        index = bisect_right(self._starts.get((meter_id, flavor_id), []), hour_ms) - 1
        return self._prices[meter_id, flavor_id][index] if index >= 0 else None

    def counting(self, meter_id: int, flavor_id: int | None) -> list[Price]:
        """Give the revisions of exactly this meter and flavor that count, by their start."""
        return list(self._prices.get((meter_id, flavor_id), ()))

    def coming(self, meter_id: int, flavor_id: int | None, hour_ms: int) -> Price | None:
        """Find the next revision of exactly this meter and flavor that starts after an hour."""
        index = bisect_right(self._starts.get((meter_id, flavor_id), []), hour_ms)
        later = self._prices.get((meter_id, flavor_id), [])[index:]
        return later[0] if later else None

    def flavors_of(self, meter_id: int) -> list[int | None]:
        """Give the flavors for which a meter ever had a price; None: its own."""
        return [flavor_id for of_meter, flavor_id in self._starts if of_meter == meter_id]

    def at(self, meter_id: int, flavor_id: int, hour_ms: int) -> Price | None:
        """Find the price in effect when this hour starts: the flavor's, else the meter's own."""
        for chosen in (flavor_id, None):
            price = self.revision_at(meter_id, chosen, hour_ms)
            if price is not None and price.credits_per_unit is not None:
                return price
        return None
