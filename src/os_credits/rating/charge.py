"""What a quantity costs: rules 5 and 6 of `docs/rating-rules.md`."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.amount import MICRO_PER_CREDIT, Credits, divide_half_even, from_micro
from os_credits.domain.settlement import Verdict
from os_credits.domain.usage import UsageKind

if TYPE_CHECKING:
    from os_credits.domain.meter import MeterDefinition
    from os_credits.domain.pricing import Pricing

NOT_BILLED = from_micro(0)
# A charge beyond this cannot be true; a thousand million of them still fit their columns.
CHARGE_MAX = Decimal(10) ** 15


def charge_of(quantity: int, credits_per_unit: Decimal, definition: MeterDefinition) -> Credits:
    """Price a quantity (in the meter's smallest steps) and round once, half-even, to 1e-6."""
    numerator, denominator = credits_per_unit.as_integer_ratio()
    return from_micro(
        divide_half_even(
            quantity * numerator * MICRO_PER_CREDIT, denominator * definition.quantity_per_unit
        )
    )


def credits_of_usage(
    pricing: Pricing,
    *,
    project_id: int,
    meter_id: int,
    series_id: int,
    flavor_id: int,
    hour_ms: int,
    kind: int,
    quantity: int,
    project_names: tuple[str, ...],
) -> Credits | None:
    """Give what a quantity costs: zero outside the whitelist, None without a price.

    Suspect and unmetered usage costs what its settlement says, None while it has none. None
    also where it would cost more than `CHARGE_MAX`: one absurd sample must neither take
    everything from a project nor stop the account of all others.
    """
    if kind != UsageKind.BILLED:
        settled = pricing.settlements.find(
            project_id=project_id,
            meter_id=meter_id,
            series_id=series_id,
            kind=kind,
            hour_ms=hour_ms,
        )
        if settled is None:
            return None
        if settled.verdict is Verdict.WAIVE:
            return NOT_BILLED
    if not pricing.whitelist.bills(project_names, hour_ms):
        return NOT_BILLED
    price = pricing.prices.at(meter_id, flavor_id, hour_ms)
    if price is None or price.credits_per_unit is None:
        return None
    charge = charge_of(quantity, price.credits_per_unit, pricing.meters.latest(meter_id))
    return charge if charge <= CHARGE_MAX else None


def units_of(quantity: int, definition: MeterDefinition) -> str:
    """Write a quantity in priced units with at most nine digits after the point, for people."""
    scaled = divide_half_even(quantity * 10**9, definition.quantity_per_unit)
    whole, part = divmod(scaled, 10**9)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".")
