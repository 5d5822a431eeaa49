"""Says why a quantity costs what it costs; the credits themselves are `charge.py`'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.explanation import Outcome
from os_credits.domain.settlement import Verdict
from os_credits.domain.usage import UsageKind
from os_credits.rating.charge import credits_of_usage

if TYPE_CHECKING:
    from os_credits.domain.amount import Credits
    from os_credits.domain.price import Price
    from os_credits.domain.pricing import Pricing
    from os_credits.domain.settlement import Settlement


@dataclass(frozen=True, slots=True)
class MeteredHour:
    """A quantity (in smallest steps) of a kind, and whom and what it concerns."""

    project_id: int
    project_names: tuple[str, ...]
    meter_id: int
    series_id: int
    flavor_id: int
    hour_ms: int
    kind: UsageKind
    quantity: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What a quantity must cost, why, by which price, and what people decided about it."""

    credits: Credits | None
    outcome: Outcome
    price: Price | None
    settlement: Settlement | None


def judge(pricing: Pricing, metered: MeteredHour) -> Judged:
    """Work out the credits as rating does, and say which of its rules decided."""
    settlement = None
    if metered.kind is not UsageKind.BILLED:
        settlement = pricing.settlements.find(
            project_id=metered.project_id,
            meter_id=metered.meter_id,
            series_id=metered.series_id,
            kind=metered.kind,
            hour_ms=metered.hour_ms,
        )
    price = pricing.prices.at(metered.meter_id, metered.flavor_id, metered.hour_ms)
    credits_ = credits_of_usage(
        pricing,
        project_id=metered.project_id,
        meter_id=metered.meter_id,
        series_id=metered.series_id,
        flavor_id=metered.flavor_id,
        hour_ms=metered.hour_ms,
        kind=metered.kind,
        quantity=metered.quantity,
        project_names=metered.project_names,
    )
    outcome = _outcome(pricing, metered, price, settlement, is_charged=credits_ is not None)
    return Judged(credits_, outcome, price, settlement)


def _outcome(
    pricing: Pricing,
    metered: MeteredHour,
    price: Price | None,
    settlement: Settlement | None,
    *,
    is_charged: bool,
) -> Outcome:
    if metered.kind is not UsageKind.BILLED:
        if settlement is None:
            return Outcome.OPEN
        if settlement.verdict is Verdict.WAIVE:
            return Outcome.WAIVED
    if not pricing.whitelist.bills(metered.project_names, metered.hour_ms):
        return Outcome.NOT_BILLED
    if price is None:
        return Outcome.UNPRICED
    return Outcome.PRICED if is_charged else Outcome.ABSURD
