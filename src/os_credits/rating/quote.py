"""What a set of specs costs for one hour, by the prices of that hour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from os_credits.domain.amount import (
    CREDITS_MAX,
    MICRO_PER_CREDIT,
    Credits,
    divide_half_even,
    from_micro,
    to_micro,
)
from os_credits.domain.flavor import NO_FLAVOR
from os_credits.domain.meter import MeterDefinition, MeterValue
from os_credits.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from os_credits.domain.flavor import FlavorSpec
    from os_credits.domain.price import Price, PriceList


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """What `count` units of a meter (and flavor) cost for an hour, in credits."""

    meter: str
    flavor: str | None
    count: Decimal
    unit: str
    credits_per_unit: Decimal
    valid_from: datetime
    credits: Credits


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Meters and flavors by id, all prices, and what flavors are made of, where it is known."""

    meters: Mapping[int, MeterDefinition]
    flavors: Mapping[int, str]
    prices: PriceList
    specs: Mapping[int, FlavorSpec] = field(default_factory=dict)

    def quote_flavor(self, flavor: str, count: Decimal, hour_ms: int) -> list[QuoteLine]:
        """Price `count` of a flavor, by every meter that has a price for it in this hour.

        A meter's price without a flavor counts only where presence is metered: elsewhere one
        of the flavor need not be one unit. Raises NotFound if nothing prices the flavor.
        """
        flavor_id = next((id_ for id_, name in self.flavors.items() if name == flavor), None)
        if flavor_id is None or not flavor:
            raise NotFound(f"there is no flavor {flavor[:200]!r}")
        lines = []
        for meter_id, definition in self.meters.items():
            price = self.prices.at(meter_id, flavor_id, hour_ms)
            if price is not None and (price.flavor_id == flavor_id or _is_presence(definition)):
                lines.append(_line(definition, flavor, count, price))
        if not lines:
            raise NotFound(f"the flavor {flavor[:200]!r} has no price in this hour")
        return lines

    def quote_meter(self, name: str, count: Decimal, hour_ms: int) -> QuoteLine:
        """Price `count` units of a meter, named as it is or by its metric, without a flavor.

        Raises NotFound if there is no such meter, or none with a price of its own.
        """
        by_name = {definition.name: id_ for id_, definition in self.meters.items()}
        by_metric = {definition.metric: id_ for id_, definition in self.meters.items()}
        meter_id = by_name.get(name, by_metric.get(name))
        if meter_id is None:
            raise NotFound(f"there is no meter {name[:200]!r}")
        price = self.prices.at(meter_id, NO_FLAVOR, hour_ms)
        if price is None:
            raise NotFound(f"the meter {name[:200]!r} has no price without a flavor in this hour")
        return _line(self.meters[meter_id], None, count, price)

    def own_prices(self, hour_ms: int) -> dict[str, Price]:
        """Give the price without a flavor of each meter that has one in this hour, by name."""
        found = {
            definition.name: self.prices.at(meter_id, NO_FLAVOR, hour_ms)
            for meter_id, definition in self.meters.items()
        }
        return {name: price for name, price in found.items() if price is not None}


def _is_presence(definition: MeterDefinition) -> bool:
    return definition.value is MeterValue.ONE and definition.flavor is not None


def _line(
    definition: MeterDefinition, flavor: str | None, count: Decimal, price: Price
) -> QuoteLine:
    per_unit = price.credits_per_unit
    assert per_unit is not None  # noqa: S101 - PriceList.at gives no ended prices
    count_top, count_bottom = count.as_integer_ratio()
    top, bottom = per_unit.as_integer_ratio()
    micro = divide_half_even(count_top * top * MICRO_PER_CREDIT, count_bottom * bottom)
    if micro >= to_micro(CREDITS_MAX):
        raise InvalidInput("would cost 10^18 credits or more", where=flavor or definition.name)
    return QuoteLine(
        meter=definition.name,
        flavor=flavor,
        count=count,
        unit=definition.unit,
        credits_per_unit=per_unit,
        valid_from=price.valid_from,
        credits=from_micro(micro),
    )
