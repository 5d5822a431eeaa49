"""Flavors: what they are made of."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from os_credits.api.auth import access_of
from os_credits.api.context import context_of
from os_credits.api.reading import ours
from os_credits.api.routes import Answer, Gate, Routes
from os_credits.api.shapes import NumberText, Shape
from os_credits.domain.flavor import FlavorSpec, size_of
from os_credits.flows.flavors import set_spec
from os_credits.store import flavor_specs
from os_credits.store.flavor_specs import StoredSpec
from os_credits.store.pool import snapshot

routes = Routes("Meters and prices")


class FlavorShape(Shape):
    """A flavor, and what it is made of; null: nobody has said so."""

    flavor: str
    vcpus: NumberText | None
    ram_gib: NumberText | None
    disk_gib: NumberText | None
    author: str | None
    set_at: datetime | None


class FlavorList(Shape):
    """All flavors that were ever seen, priced or described, by name."""

    flavors: list[FlavorShape]


def _size(where: str) -> Any:
    return BeforeValidator(ours(lambda value: size_of(value, where=where)))


class NewSpec(BaseModel):
    """What a flavor is made of, as numbers without a point or as texts."""

    model_config = ConfigDict(extra="forbid")

    vcpus: Annotated[Decimal | None, _size("vcpus")] = Field(None, description="Virtual CPUs")
    ram_gib: Annotated[Decimal | None, _size("ram_gib")] = Field(None, description="Memory in GiB")
    disk_gib: Annotated[Decimal | None, _size("disk_gib")] = Field(None, description="Disk in GiB")


@routes.add(
    "GET",
    "/api/v1/flavors",
    gate=Gate.READ,
    summary="What flavors are made of",
    answers={200: Answer("All flavors", FlavorList)},
)
async def list_flavors(request: web.Request) -> FlavorList:
    """Sizes say nothing about credits: prices do.

    A caller that is limited to some projects sees what is described or priced, not what only
    the samples of others name.
    """
    is_limited = access_of(request).projects is not None
    async with snapshot(context_of(request).pool) as conn:
        stored = await flavor_specs.list_specs(conn, are_offered=is_limited)
    return FlavorList(flavors=[shape_of(one) for one in stored])


def shape_of(stored: StoredSpec) -> FlavorShape:
    """Show a flavor."""
    spec = stored.spec
    return FlavorShape(
        flavor=stored.flavor,
        vcpus=spec.vcpus,
        ram_gib=spec.ram_gib,
        disk_gib=spec.disk_gib,
        author=stored.author,
        set_at=stored.set_at,
    )


@routes.add(
    "PUT",
    "/api/v1/flavors/{flavor}",
    gate=Gate.ADMIN,
    summary="Say what a flavor is made of",
    answers={200: Answer("The flavor as it is now", FlavorShape)},
)
async def put_flavor(request: web.Request, body: NewSpec) -> FlavorShape:
    """Sizes hold for all hours, past ones too, and change no credit; left out: unknown."""
    stored = await set_spec(
        context_of(request).pool,
        request.match_info["flavor"],
        FlavorSpec(body.vcpus, body.ram_gib, body.disk_gib),
        author=access_of(request).name,
    )
    return shape_of(stored)
