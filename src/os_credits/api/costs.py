"""GET and POST /cost_per_hour: what flavors, or amounts of meters, cost for an hour."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, TypeAlias

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

from os_credits.api.context import context_of
from os_credits.api.reading import Count, Moment, Name
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import CostLine, CostShape, ErrorShape
from os_credits.domain.amount import Credits, from_micro
from os_credits.domain.period import floor_hour, to_ms
from os_credits.flows.prices import read_price_table
from os_credits.rating.quote import PriceTable, QuoteLine
from os_credits.store import batches
from os_credits.store.pool import snapshot

SPECS_MAX = 1000
# What the de.NBI service called its two metrics in its versions 1.x.
FRIENDLY_NAMES = {"cpu": "project_vcpu_usage", "ram": "project_mb_usage"}

routes = Routes("Costs")

Counts: TypeAlias = Annotated[dict[Name, Count], Field(max_length=SPECS_MAX)]


class AtQuery(BaseModel):
    """For which hour to tell."""

    at: Moment | None = Field(None, description="By the prices of this hour; now if not given")


class FlavorQuery(AtQuery):
    """How many of which flavor."""

    flavor: Name
    count: Count = Decimal(1)


def _with_flat_form(schema: dict[str, Any]) -> None:
    """Let the document tell that a plain object of meters is understood too."""
    full = dict(schema)
    full["examples"] = [{"flavors": {"m1.large": 2}, "meters": {"project_vcpu_usage": 16}}]
    flat = {
        "type": "object",
        "description": "Only meters; `cpu` and `ram` mean the two of the de.NBI service",
        "additionalProperties": full["properties"]["meters"]["additionalProperties"],
        "examples": [{"project_vcpu_usage": 16}],
    }
    schema.clear()
    schema.update({"title": "Specs", "anyOf": [full, flat]})


class Specs(BaseModel):
    """Flavors and meters, each with how much of it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_with_flat_form)

    flavors: Counts = Field(default_factory=dict, description="How many of each flavor")
    meters: Counts = Field(
        default_factory=dict, description="Units of each meter, used in an hour without a flavor"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_flat_form(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            # A ValueError, since pydantic lets other exceptions pass.
            raise ValueError('must be an object like {"flavors": {"m1.large": 2}}')  # noqa: TRY004
        nested = any(isinstance(body.get(name), dict) for name in cls.model_fields)
        return body if nested else {"meters": body}

    @model_validator(mode="after")
    def _asks_something(self) -> Specs:
        if not self.flavors and not self.meters:
            raise ValueError("must name at least one flavor or meter")
        return self


def quote_meters(table: PriceTable, counts: Counts, hour_ms: int) -> list[QuoteLine]:
    """Price amounts of meters; the de.NBI service's friendly names are understood."""
    known = {definition.name for definition in table.meters.values()}
    return [
        table.quote_meter(
            FRIENDLY_NAMES[name] if name in FRIENDLY_NAMES and name not in known else name,
            count,
            hour_ms,
        )
        for name, count in counts.items()
    ]


_ANSWERS = {
    200: Answer("Credits per hour, and how they come about", CostShape),
    404: Answer("A flavor or meter that is unknown, or has no price in that hour", ErrorShape),
}


@routes.add(
    "GET",
    "/cost_per_hour",
    gate=Gate.READ,
    summary="What a flavor costs per hour",
    answers=_ANSWERS,
)
async def cost_of_flavor(request: web.Request, query: FlavorQuery) -> CostShape:
    """Every meter that has a price for the flavor is a line of the breakdown."""
    specs = Specs(flavors={query.flavor: query.count})
    return await _cost(request, specs, query)


@routes.add(
    "POST",
    "/cost_per_hour",
    gate=Gate.READ,
    summary="What a set of specs costs per hour",
    answers=_ANSWERS,
)
async def cost_of_specs(request: web.Request, query: AtQuery, body: Specs) -> CostShape:
    """Flavors and amounts of meters, or only the latter in the flat form."""
    return await _cost(request, body, query)


async def _cost(request: web.Request, specs: Specs, query: AtQuery) -> CostShape:
    async with snapshot(context_of(request).pool) as conn:
        hour = floor_hour(query.at or await batches.read_now(conn))
        table = await read_price_table(conn)
    lines = [
        line
        for flavor, count in specs.flavors.items()
        for line in table.quote_flavor(flavor, count, to_ms(hour))
    ]
    lines += quote_meters(table, specs.meters, to_ms(hour))
    return CostShape(
        credits_per_hour=sum_of(lines),
        hour=hour,
        breakdown=[CostLine.model_validate(line) for line in lines],
    )


def sum_of(lines: list[QuoteLine]) -> Credits:
    """Sum what lines cost, in credits."""
    return Credits(sum((line.credits for line in lines), from_micro(0)))
