"""Sets prices and brings every affected hour up to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from os_credits.domain.amount import from_micro
from os_credits.domain.period import full_hour
from os_credits.domain.price import Price, PriceList
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows.memory import read_pricing
from os_credits.flows.reprice import reprice
from os_credits.store import flavors, prices, rating_state, retention
from os_credits.store.pool import Pool, transaction
from os_credits.store.usage import Chosen

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection


@dataclass(frozen=True, slots=True)
class PriceChange:
    """What a price changes: hours of usage, projects, and their credits in sum.

    `price_id` is None for a preview.
    """

    price_id: int | None
    hour_count: int
    project_count: int
    credits: Credits


async def set_price(
    pool: Pool,
    *,
    meter: str,
    flavor: str | None,
    credits_per_unit: Decimal | None,
    valid_from: datetime,
    author: str,
    preview: bool = False,
) -> PriceChange:
    """Set the price of a meter (and flavor) from a full hour on, past hours included.

    Hours that were booked get corrections in due course. With `preview`, nothing is changed.
    Raises NotFound for an unknown meter, InvalidInput for a start that is no full hour.
    """
    start = full_hour(valid_from, where="valid_from")
    async with transaction(pool) as conn:
        await rating_state.lock(conn)
        await _check_usage_kept(conn, start)
        pricing = await read_pricing(conn)
        meter_id = pricing.meters.find(meter)
        if meter_id is None:
            raise NotFound(f"there is no meter {meter!r}")
        flavor_id = None
        if flavor is not None:
            flavor_id = await flavors.find_flavor(conn, flavor)
            if flavor_id is None and preview:
                return PriceChange(None, 0, 0, from_micro(0))  # never seen: nothing to change
            if flavor_id is None:
                flavor_id = (await flavors.ensure_flavors(conn, [flavor]))[flavor]
        stored = await prices.list_prices(conn)
        new = Price(
            max((price.id for price in stored), default=0) + 1,
            meter_id, flavor_id, start, credits_per_unit, author,
        )  # fmt: skip
        price_id = None
        if not preview:
            price_id = await prices.insert_price(
                conn,
                meter_id=meter_id,
                flavor_id=flavor_id,
                valid_from=start,
                credits_per_unit=credits_per_unit,
                author=author,
            )
            await rating_state.raise_epoch(conn)
        change = await reprice(
            conn,
            Chosen(start, meter_id=meter_id, flavor_id=flavor_id),
            replace(pricing, prices=PriceList([*stored, new])),
            preview=preview,
        )
    return PriceChange(
        price_id,
        hour_count=change.hour_count,
        project_count=change.project_count,
        credits=from_micro(change.micro),
    )


async def _check_usage_kept(conn: Connection, start: datetime) -> None:
    """Raise InvalidInput if hours from `start` on lack their usage: it was dropped."""
    kept_from = (await retention.read_retention(conn)).usage_dropped_until
    if start < kept_from:
        raise InvalidInput(
            f"no price may start before {kept_from:%Y-%m-%dT%H:%MZ}: older hours are settled, "
            "their usage is no longer kept",
            where="valid_from",
        )
