"""Flavors: listed with what they are made of, and described."""

from __future__ import annotations

from typing import Annotated

import typer

from os_credits.api.flavors import FlavorList, shape_of
from os_credits.cli.database import with_database
from os_credits.cli.operator import author
from os_credits.cli.output import Json, examples, print_json, print_table, say
from os_credits.domain.flavor import FlavorSpec, size_of
from os_credits.flows.flavors import set_spec
from os_credits.settings import Settings
from os_credits.store import flavor_specs
from os_credits.store.flavor_specs import StoredSpec
from os_credits.store.pool import Pool, snapshot

commands = typer.Typer(
    help="Flavors: how many virtual CPUs, how much memory and disk they have.",
    no_args_is_help=True,
)


@commands.command(
    "list", epilog=examples("os-credits flavor list", "os-credits flavor list --json")
)
def list_(as_json: Json = False) -> None:
    """List all flavors that were ever seen, priced or described."""
    stored = with_database(_read)
    if as_json:
        print_json(FlavorList(flavors=[shape_of(one) for one in stored]))
        return
    print_table(
        ["FLAVOR", "VCPUS>", "RAM GIB>", "DISK GIB>", "SET BY"],
        (
            [one.flavor, one.spec.vcpus, one.spec.ram_gib, one.spec.disk_gib, one.author]
            for one in stored
        ),
        empty="There is no flavor yet.",
    )


async def _read(pool: Pool, _settings: Settings) -> list[StoredSpec]:
    async with snapshot(pool) as conn:
        return await flavor_specs.list_specs(conn)


@commands.command(
    "set",
    epilog=examples(
        "os-credits flavor set m1.large --vcpus 4 --ram-gib 8 --disk-gib 80",
        "os-credits flavor set t.nano --vcpus 0.5 --ram-gib 0.5",
    ),
)
def set_(
    flavor: Annotated[
        str, typer.Argument(metavar="FLAVOR", help="The flavor's name.", show_default=False)
    ],
    vcpus: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Virtual CPUs; unknown if left out.")
    ] = None,
    ram_gib: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Memory in GiB; unknown if left out.")
    ] = None,
    disk_gib: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Disk in GiB; unknown if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what a flavor is made of, for all hours; it changes no credit."""
    spec = FlavorSpec(
        size_of(vcpus, where="--vcpus"),
        size_of(ram_gib, where="--ram-gib"),
        size_of(disk_gib, where="--disk-gib"),
    )
    stored = with_database(lambda pool, _: set_spec(pool, flavor, spec, author=author()))
    if as_json:
        print_json(shape_of(stored))
        return
    say(f"{stored.flavor} is described")
