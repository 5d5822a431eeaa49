"""Meters, and what their units cost since when."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.reading import Moment, Name, PriceText, Text
from os_credits.api.routes import Answer, Gate, Routes, json_response
from os_credits.api.shapes import (
    ErrorShape,
    MeterList,
    MeterShape,
    PriceChangeShape,
    PricedShape,
    PriceList,
    PriceShape,
    ProjectCredits,
    ProjectShape,
)
from os_credits.domain import price as domain
from os_credits.domain.flavor import NO_FLAVOR, FlavorSpec
from os_credits.domain.meter import MeterDefinition, MeterVersion
from os_credits.domain.period import HOUR, floor_hour, to_ms
from os_credits.flows.prices import PriceChange, read_price_table, set_price
from os_credits.rating.quote import PriceTable
from os_credits.store import batches, meters, prices, projects
from os_credits.store.pool import Pool, connection, snapshot

routes = Routes("Meters and prices")


class PricesQuery(BaseModel):
    """Which prices to list."""

    meter: Text | None = None
    flavor: Text | None = Field(None, description="'' lists prices without a flavor")


class NewPrice(BaseModel):
    """A price from a full hour on; hours that are past already are charged anew by it."""

    model_config = ConfigDict(extra="forbid")

    meter: Name
    flavor: Name | None = Field(None, description="null: for all flavors without their own")
    credits_per_unit: PriceText
    valid_from: Moment | None = Field(None, description="A full hour; the next one if not given")
    preview: bool = Field(False, description="Only tell what would change")
    effect: str | None = Field(
        None,
        max_length=100,
        description="As a preview gave it: set the price only if it still has just this effect on "
        "closed hours, and if nobody has set another one of this meter since; else 409. The same "
        "call again sets it once",
    )


@routes.add(
    "GET",
    "/api/v1/meters",
    gate=Gate.READ,
    summary="What is tracked, and how",
    answers={200: Answer("All meters", MeterList)},
)
async def list_meters(request: web.Request) -> MeterList:
    """Meters are declared in the meter file; a change there holds from a full hour on."""
    async with snapshot(context_of(request).pool) as conn:
        now = await batches.read_now(conn)
        versions = await meters.list_versions(conn)
        table = await read_price_table(conn)
    own = table.own_prices(to_ms(now))
    shown = sorted(_in_effect(versions, now), key=lambda version: version.definition.name)
    return MeterList(
        meters=[
            MeterShape(
                **version.definition.model_dump(),
                priced_unit=version.definition.priced_unit,
                valid_from=version.valid_from,
                credits_per_unit=_amount(own.get(version.definition.name)),
            )
            for version in shown
        ]
    )


def _in_effect(versions: list[MeterVersion], now: datetime) -> list[MeterVersion]:
    """Choose of each meter the version of this moment, else its first one."""
    chosen: dict[int, MeterVersion] = {}
    for version in versions:
        if version.meter_id not in chosen or version.valid_from <= now:
            chosen[version.meter_id] = version
    return list(chosen.values())


def _amount(price: domain.Price | None) -> object:
    return None if price is None else price.credits_per_unit


@routes.add(
    "GET",
    "/api/v1/prices",
    gate=Gate.READ,
    summary="All prices that were ever set",
    answers={200: Answer("Prices by meter, flavor and start", PriceList)},
)
async def list_prices(request: web.Request, query: PricesQuery) -> PriceList:
    """Prices are never edited: of two for the same start, the one set later counts."""
    async with snapshot(context_of(request).pool) as conn:
        now_ms = to_ms(await batches.read_now(conn))
        table = await read_price_table(conn)
        stored = await prices.list_prices(conn)
    shown = [price_shape(price, table, now_ms) for price in stored]
    return PriceList(
        prices=sorted(
            (
                price
                for price in shown
                if query.meter in (None, price.meter) and query.flavor in (None, price.flavor or "")
            ),
            key=lambda price: (price.meter, price.flavor or "", price.valid_from, price.id),
        )
    )


def price_shape(price: domain.Price, table: PriceTable, now_ms: int) -> PriceShape:
    """Show a price and whether it counts."""
    definition: MeterDefinition = table.meters[price.meter_id]
    now = table.prices.revision_at(price.meter_id, price.flavor_id, now_ms)
    own = table.prices.revision_at(price.meter_id, price.flavor_id, to_ms(price.valid_from))
    assert price.created_at is not None  # noqa: S101 - what is stored has its moment
    spec = table.specs.get(price.flavor_id or NO_FLAVOR, FlavorSpec())
    return PriceShape(
        vcpus=spec.vcpus,
        ram_gib=spec.ram_gib,
        disk_gib=spec.disk_gib,
        id=price.id,
        meter=definition.name,
        flavor=None if price.flavor_id is None else table.flavors[price.flavor_id],
        credits_per_unit=price.credits_per_unit,
        unit=definition.priced_unit,
        valid_from=price.valid_from,
        author=price.author,
        set_at=price.created_at,
        in_effect=now is not None and now.id == price.id,
        superseded=own is None or own.id != price.id,
    )


async def price_change_shape(pool: Pool, change: PriceChange) -> PriceChangeShape:
    """Show what a price changes, its projects by their names."""
    async with connection(pool) as conn:
        ids = [project_id for project_id, _ in change.projects]
        named = {one.id: one for one in await projects.list_projects_by_id(conn, ids)}
    return PriceChangeShape(
        price_id=change.price_id,
        hour_count=change.hour_count,
        project_count=change.project_count,
        credits=change.credits,
        first_hour=change.first_hour,
        last_hour=change.last_hour,
        booked_hour_count=change.booked_hour_count,
        booked_credits=change.booked_credits,
        priced=PricedShape.model_validate(change.priced),
        unpriced=PricedShape.model_validate(change.unpriced),
        projects=[
            ProjectCredits(project=ProjectShape.model_validate(named[project_id]), credits=credits)
            for project_id, credits in change.projects
        ],
        effect=change.effect,
        is_new=change.is_new,
    )


@routes.add(
    "POST",
    "/api/v1/prices",
    gate=Gate.ADMIN,
    summary="Set a price",
    answers={
        200: Answer("What it would change (`preview`), or it was set before", PriceChangeShape),
        201: Answer("It is set; this is what it changed", PriceChangeShape),
        404: Answer("There is no such meter", ErrorShape),
        409: Answer("It has another effect than `effect` says", ErrorShape),
    },
)
async def add_price(request: web.Request, body: NewPrice) -> web.Response:
    """Hours that are already booked get corrections."""
    pool = context_of(request).pool
    start = body.valid_from
    if start is None:
        async with connection(pool) as conn:
            start = floor_hour(await batches.read_now(conn)) + HOUR
    change = await set_price(
        pool,
        meter=body.meter,
        flavor=body.flavor,
        credits_per_unit=body.credits_per_unit,
        valid_from=start,
        author=access_of(request).name,
        preview=body.preview,
        effect=body.effect,
    )
    is_done = change.is_new and not body.preview
    return json_response(await price_change_shape(pool, change), status=201 if is_done else 200)
