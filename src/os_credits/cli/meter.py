"""Meters: listed, and loaded from a file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict

from os_credits.api.shapes import MeterList, MeterShape
from os_credits.cli import revision
from os_credits.cli.database import with_database
from os_credits.cli.output import Json, examples, print_json, print_table, say
from os_credits.domain.meter import MeterVersion
from os_credits.domain.period import to_ms
from os_credits.flows.meters import MeterFile, load_meters, read_meter_file
from os_credits.flows.prices import read_price_table
from os_credits.settings import Settings
from os_credits.store import batches, meters
from os_credits.store.pool import Pool, snapshot

commands = typer.Typer(
    help="Meters: which metrics are tracked, and what their labels mean.", no_args_is_help=True
)
revision.add_to(commands)
File = Annotated[
    Path, typer.Argument(help="A meter file (TOML).", metavar="FILE", show_default=False)
]


class LoadShape(BaseModel):
    """What loading a meter file did; `new_versions` says from when each changed meter holds."""

    model_config = ConfigDict(from_attributes=True)

    new_meters: tuple[str, ...]
    new_versions: dict[str, datetime]
    seeded_prices: int


@commands.command("list", epilog=examples("os-credits meter list", "os-credits meter list --json"))
def list_(as_json: Json = False) -> None:
    """List the meters as they are defined now, with their prices without a flavor."""
    shown = with_database(_read_meters)
    if as_json:
        print_json(shown)
        return
    print_table(
        ["METER", "METRIC", "KIND", "UNIT", "CREDITS>", "PER", "SINCE"],
        (
            [one.name, one.metric, one.kind, one.unit, one.credits_per_unit, one.priced_unit,
             one.valid_from]
            for one in shown.meters
        ),
        empty="There is no meter yet: start the service, or os-credits meter load FILE",
    )  # fmt: skip


async def _read_meters(pool: Pool, _settings: Settings) -> MeterList:
    async with snapshot(pool) as conn:
        now = await batches.read_now(conn)
        versions = await meters.list_versions(conn)
        prices = (await read_price_table(conn)).own_prices(to_ms(now))
    chosen: dict[int, MeterVersion] = {}
    for version in versions:
        if version.meter_id not in chosen or version.valid_from <= now:
            chosen[version.meter_id] = version
    return MeterList(
        meters=[
            MeterShape(
                **one.definition.model_dump(),
                priced_unit=one.definition.priced_unit,
                valid_from=one.valid_from,
                credits_per_unit=(
                    prices[name].credits_per_unit if (name := one.definition.name) in prices
                    else None
                ),
            )
            for one in sorted(chosen.values(), key=lambda one: one.definition.name)
        ]
    )  # fmt: skip


@commands.command(epilog=examples("os-credits meter check my-meters.toml"))
def check(file: File) -> None:
    """Check a meter file and say what it declares; no database is asked.

    The first mistake is named with its meter and field.
    """
    _describe(read_meter_file(file))


def _describe(content: MeterFile) -> None:
    print_table(
        ["METER", "METRIC", "KIND", "UNIT", "PROJECT", "SITE", "RESOURCE", "FLAVOR", "IDENTITY"],
        (
            [one.name, one.metric, one.kind, one.unit, one.project_id or one.project_name,
             one.site, one.resource, one.flavor, one.identity or None]
            for one in content.meters
        ),
        empty="The file declares no meter.",
    )  # fmt: skip
    print_table(
        ["PRICE OF", "FLAVOR", "CREDITS>"],
        ([one.meter, one.flavor, one.credits_per_unit] for one in content.prices),
        empty="The file has no price.",
    )


@commands.command(
    epilog=examples(
        "os-credits meter check my-meters.toml",
        "os-credits meter load my-meters.toml",
        "OS_CREDITS_METER_FILE=my-meters.toml os-credits serve",
    )
)
def load(file: File, as_json: Json = False) -> None:
    """Bring the database's meters up to a file, as the service does at start with its own.

    New meters hold at once, changed ones from a coming full hour on; prices are seeded where
    there is none. Name the same file in OS_CREDITS_METER_FILE, else the service's next start
    brings back what its own file says.
    """
    content = read_meter_file(file)
    result = with_database(lambda pool, _: load_meters(pool, content))
    if as_json:
        print_json(LoadShape.model_validate(result))
        return
    for name in result.new_meters:
        say(f"{name} is new")
    for name, start in result.new_versions.items():
        say(f"{name} changes at {start:%Y-%m-%d %H:%M} UTC")
    if not result.new_meters and not result.new_versions:
        say("no meter changes")
    say(f"{result.seeded_prices} prices seeded")
