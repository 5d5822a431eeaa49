"""Sets prices and brings every affected hour up to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from os_credits.domain.amount import from_micro
from os_credits.domain.period import full_hour
from os_credits.domain.price import Price, PriceList
from os_credits.domain.pricing import Pricing
from os_credits.errors import NotFound
from os_credits.flows.memory import read_pricing
from os_credits.flows.reprice import Repriced, changes_of, write_changes
from os_credits.store import flavors, prices, rating_state, usage
from os_credits.store.pool import Pool, transaction

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
        repriced = await _affected(conn, new, replace(pricing, prices=PriceList([*stored, new])))
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
            await write_changes(conn, repriced)
            await rating_state.raise_epoch(conn)
    return _summary(price_id, repriced)


async def _affected(conn: Connection, new: Price, pricing: Pricing) -> list[Repriced]:
    rows = await usage.read_billable_usage(
        conn, start=new.valid_from, meter_id=new.meter_id, flavor_id=new.flavor_id
    )
    return await changes_of(conn, rows, pricing)


def _summary(price_id: int | None, repriced: list[Repriced]) -> PriceChange:
    return PriceChange(
        price_id,
        hour_count=len({one.charge_key for one in repriced}),
        project_count=len({one.charge_key[0] for one in repriced}),
        credits=from_micro(sum(one.change_micro for one in repriced)),
    )
