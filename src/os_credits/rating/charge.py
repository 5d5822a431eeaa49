"""What a quantity costs: rules 5 and 6 of `docs/rating-rules.md`."""

from __future__ import annotations

from decimal import Decimal
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from os_credits.domain.amount import (
    MICRO_PER_CREDIT,
    Credits,
    divide_each_half_even,
    divide_half_even,
    from_micro,
    to_micro,
)
from os_credits.domain.settlement import Verdict
from os_credits.domain.usage import WELL_WITHIN, CostColumns, UsageKind, whole
from os_credits.rating.groups import groups_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from os_credits.domain.meter import MeterDefinition
    from os_credits.domain.pricing import Pricing
    from os_credits.domain.usage import Owners, UsageColumns

NOT_BILLED = from_micro(0)
# A charge beyond this cannot be true; a thousand million of them still fit their columns.
CHARGE_MAX = Decimal(10) ** 15
_CHARGE_MAX_MICRO = int(CHARGE_MAX) * MICRO_PER_CREDIT


def charge_of(quantity: int, credits_per_unit: Decimal, definition: MeterDefinition) -> Credits:
    """Price a quantity (in the meter's smallest steps) and round once, half-even, to 1e-6."""
    top, bottom = _ratio(credits_per_unit, definition)
    return from_micro(divide_half_even(quantity * top, bottom))


def charges_of(
    quantities: NDArray[Any], credits_per_unit: Decimal, definition: MeterDefinition
) -> NDArray[Any]:
    """Price many quantities as `charge_of` prices one; gives millionths of a credit."""
    top, bottom = _ratio(credits_per_unit, definition)
    if quantities.dtype != np.int64 or not _fit(quantities, top, bottom):
        return whole([divide_half_even(one * top, bottom) for one in quantities.tolist()])
    return divide_each_half_even(quantities * top, bottom)


def _ratio(credits_per_unit: Decimal, definition: MeterDefinition) -> tuple[int, int]:
    """Give millionths of a credit per smallest step as a fraction in lowest terms."""
    numerator, denominator = credits_per_unit.as_integer_ratio()
    top, bottom = numerator * MICRO_PER_CREDIT, denominator * definition.quantity_per_unit
    common = gcd(top, bottom)
    return top // common, bottom // common


def _fit(quantities: NDArray[np.int64], top: int, bottom: int) -> bool:
    """Tell whether nothing can overflow on the way."""
    largest = max(int(quantities.max()), -int(quantities.min())) if len(quantities) else 0
    return max(largest, 1) * top < WELL_WITHIN and bottom < WELL_WITHIN


def costs_of_usage(
    usage: UsageColumns,
    owners: Owners,
    pricing: Pricing,
    names: Mapping[int, tuple[str, ...]],
) -> CostColumns:
    """Price many rows as `credits_of_usage` prices one; `names` are those of each project.

    Rows of one meter, flavor and hour have one price; those that are judged one by one are
    suspect and unmetered ones, and all where only some projects are billed.
    """
    costs = CostColumns(np.zeros(len(usage), object), np.zeros(len(usage), np.bool_))
    is_plain = usage.kinds == UsageKind.BILLED
    if pricing.whitelist.limits_anyone:
        is_plain[:] = False
    plain = np.flatnonzero(is_plain)
    columns = owners.meter_ids[plain], usage.flavor_ids[plain], usage.hours_ms[plain]
    for rows in groups_of(*columns):
        _price_group(costs, plain[rows], usage, owners, pricing)
    for row in np.flatnonzero(~is_plain).tolist():
        project_id = int(owners.project_ids[row])
        charge = credits_of_usage(
            pricing,
            project_id=project_id,
            meter_id=int(owners.meter_ids[row]),
            series_id=int(usage.series_ids[row]),
            flavor_id=int(usage.flavor_ids[row]),
            hour_ms=int(usage.hours_ms[row]),
            kind=int(usage.kinds[row]),
            quantity=int(usage.quantities[row]),
            project_names=names.get(project_id, ()),
        )
        if charge is not None:
            costs.micro[row], costs.is_priced[row] = to_micro(charge), True
    return CostColumns(whole(costs.micro.tolist()), costs.is_priced)


def _price_group(
    costs: CostColumns,
    rows: NDArray[np.intp],
    usage: UsageColumns,
    owners: Owners,
    pricing: Pricing,
) -> None:
    """Price rows of one meter, flavor and hour."""
    meter_id, hour_ms = int(owners.meter_ids[rows[0]]), int(usage.hours_ms[rows[0]])
    price = pricing.prices.at(meter_id, int(usage.flavor_ids[rows[0]]), hour_ms)
    if price is None or price.credits_per_unit is None:
        return
    charges = charges_of(
        usage.quantities[rows], price.credits_per_unit, pricing.meters.latest(meter_id)
    )
    believed = charges <= _CHARGE_MAX_MICRO
    costs.micro[rows[believed]] = charges[believed]
    costs.is_priced[rows[believed]] = True


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
