"""Sets prices and brings every affected hour up to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from os_credits.domain.amount import from_micro
from os_credits.domain.period import from_ms, full_hour
from os_credits.domain.price import Price, PriceList
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.effect import Effect, checked
from os_credits.flows.memory import read_pricing
from os_credits.flows.reprice import Change, reprice
from os_credits.rating.quote import PriceTable
from os_credits.store import flavor_specs, flavors, meters, prices, rating_state, retention
from os_credits.store.pool import Pool, previewed
from os_credits.store.usage import Chosen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from os_credits.domain.amount import Credits
    from os_credits.store.pool import Connection

# How many of the projects that a price concerns most are named.
PROJECTS_NAMED_MAX = 10


@dataclass(frozen=True, slots=True)
class Priced:
    """Usage that gets a price or loses it: a resource's hours, steps of its meter, projects."""

    row_count: int
    quantity: int
    project_count: int


@dataclass(frozen=True, slots=True)
class PriceChange:
    """What a price changes: hours of usage, projects, and their credits in sum.

    `price_id` is None for a preview, `is_new` false where the same call has set it before.
    `booked_hour_count` hours (of projects) are booked already and get corrections, of
    `booked_credits` in sum. `projects` are those that it concerns most, with their credits.
    `effect` stands for all that changes in hours that were closed, so that a later call can ask
    for just this and nothing else; hours that still run grow meanwhile.
    """

    price_id: int | None
    hour_count: int
    project_count: int
    credits: Credits
    first_hour: datetime | None
    last_hour: datetime | None
    booked_hour_count: int
    booked_credits: Credits
    priced: Priced
    unpriced: Priced
    projects: tuple[tuple[int, Credits], ...]
    effect: str
    is_new: bool = True


async def read_price_table(conn: Connection) -> PriceTable:
    """Read everything that tells what something costs."""
    versions = await meters.list_versions(conn)
    return PriceTable(
        meters={version.meter_id: version.definition for version in versions},
        flavors=await flavors.list_flavors(conn),
        prices=PriceList(await prices.list_prices(conn)),
        specs=await flavor_specs.read_specs(conn),
    )


async def set_price(
    pool: Pool,
    *,
    meter: str,
    flavor: str | None,
    credits_per_unit: Decimal | None,
    valid_from: datetime,
    author: str,
    preview: bool = False,
    effect: str | None = None,
) -> PriceChange:
    """Set the price of a meter (and flavor) from a full hour on, past hours included.

    Hours that were booked get corrections in due course. With `preview`, nothing is changed.
    With `effect`, as a preview gave it, the price is set only if it has that effect still, and
    once: raises Conflict else. Raises NotFound for an unknown meter, InvalidInput for a start
    that is no full hour.
    """
    start = full_hour(valid_from, where="valid_from")
    asked = Effect.read(effect)
    async with previewed(pool, preview=preview) as conn:
        await rating_state.lock(conn)
        await _check_usage_kept(conn, start)
        pricing = await read_pricing(conn)
        meter_id = pricing.meters.find(meter)
        if meter_id is None:
            raise NotFound(f"there is no meter {meter!r}")
        stored = await prices.list_prices(conn)
        last_id = max((one.id for one in stored if one.meter_id == meter_id), default=0)
        flavor_id = await _flavor_id(conn, flavor)
        new = Price(last_id + 1, meter_id, flavor_id, start, credits_per_unit, author)
        if asked is not None and asked.last_id != last_id:
            return _set_before(stored, asked, new)
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
            replace(pricing, prices=PriceList([*stored, replace(new, id=price_id)])),
            preview=preview,
        )
        seen = await checked(conn, change, last_id, asked)
    return _price_change(None if preview else price_id, change, seen)


async def _flavor_id(conn: Connection, flavor: str | None) -> int | None:
    return None if flavor is None else (await flavors.ensure_flavors(conn, [flavor]))[flavor]


async def _check_usage_kept(conn: Connection, start: datetime) -> None:
    """Raise InvalidInput if hours from `start` on lack their usage: it was dropped."""
    kept_from = (await retention.read_retention(conn)).usage_dropped_until
    if start < kept_from:
        raise InvalidInput(
            f"no price may start before {kept_from:%Y-%m-%dT%H:%MZ}: older hours are settled, "
            "their usage is no longer kept",
            where="valid_from",
        )


def _set_before(stored: Sequence[Price], asked: Effect, new: Price) -> PriceChange:
    """Give what a repetition of the same call finds; raises Conflict if others set prices."""
    later = [one for one in stored if one.meter_id == new.meter_id and one.id > asked.last_id]
    if [replace(one, id=new.id, created_at=None) for one in later] != [new]:
        raise Conflict("another price of this meter was set since the preview")
    done = _price_change(later[0].id, Change(), asked)
    return replace(done, is_new=False)


def _price_change(price_id: int | None, change: Change, seen: Effect) -> PriceChange:
    booked = change.before(seen.closed_ms)
    hours = change.hours_ms
    by_project = sorted(change.by_project.items(), key=lambda item: (-abs(item[1]), item[0]))
    return PriceChange(
        price_id,
        hour_count=change.hour_count,
        project_count=change.project_count,
        credits=from_micro(change.micro),
        first_hour=None if hours is None else from_ms(hours[0]),
        last_hour=None if hours is None else from_ms(hours[1]),
        booked_hour_count=len({(project_id, hour_ms) for project_id, hour_ms, *_ in booked}),
        booked_credits=from_micro(sum(booked.values())),
        priced=_priced(change, gets=True),
        unpriced=_priced(change, gets=False),
        projects=tuple(
            (project_id, from_micro(micro)) for project_id, micro in by_project[:PROJECTS_NAMED_MAX]
        ),
        effect=str(seen),
    )


def _priced(change: Change, *, gets: bool) -> Priced:
    moved = change.priced if gets else change.unpriced
    return Priced(moved.row_count, moved.quantity, len(moved.project_ids))
