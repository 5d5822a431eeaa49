"""Prices: listed, and set from a full hour on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from os_credits.api.prices import price_change_shape, price_shape
from os_credits.api.shapes import PriceChangeShape, PriceList, PriceShape, short_text
from os_credits.cli.database import with_database
from os_credits.cli.decisions import hour as hour_of
from os_credits.cli.operator import author
from os_credits.cli.output import Json, examples, print_json, print_table, say
from os_credits.domain.period import floor_hour, to_ms
from os_credits.domain.price import price_of
from os_credits.errors import InvalidInput
from os_credits.flows.prices import read_price_table, set_price
from os_credits.settings import Settings
from os_credits.store import batches, prices
from os_credits.store.pool import Pool, connection, snapshot

commands = typer.Typer(
    help="Prices: what a unit of a meter costs, per flavor, from which hour on.",
    no_args_is_help=True,
)


@commands.command(
    "list",
    epilog=examples(
        "os-credits price list",
        "os-credits price list --meter project_vcpu_usage --all --json",
    ),
)
def list_(
    meter: Annotated[str | None, typer.Option(help="Only prices of this meter.")] = None,
    flavor: Annotated[str | None, typer.Option(help="Only prices of this flavor.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that no longer count.")] = False,
    as_json: Json = False,
) -> None:
    """List the prices that count now or will count."""
    now, shown = with_database(_read_prices)
    chosen = [
        one
        for one in shown
        if meter in (None, one.meter)
        and flavor in (None, one.flavor or "")
        and (all_ or one.in_effect or one.valid_from > now)
    ]
    if as_json:
        print_json(PriceList(prices=chosen))
        return
    print_table(
        ["METER", "FLAVOR", "CREDITS>", "PER", "FROM", "SET BY", "IN EFFECT"],
        (
            [one.meter, one.flavor,
             "none" if one.credits_per_unit is None else one.credits_per_unit, one.unit,
             one.valid_from, one.author, "yes" if one.in_effect else "no"]
            for one in chosen
        ),
        empty="There is no such price.",
    )  # fmt: skip


async def _read_prices(pool: Pool, _settings: Settings) -> tuple[datetime, list[PriceShape]]:
    async with snapshot(pool) as conn:
        now = await batches.read_now(conn)
        table = await read_price_table(conn)
        stored = await prices.list_prices(conn)
    shown = [price_shape(one, table, to_ms(now)) for one in stored]
    shown.sort(key=lambda one: (one.meter, one.flavor or "", one.valid_from, one.id))
    return now, shown


@commands.command(
    "set",
    epilog=examples(
        "os-credits price set project_vcpu_usage 1.25",
        "os-credits price set project_vcpu_usage 1.25 --from 2026-02-01T00:00Z",
        "os-credits price set openstack_nova_server_status 6.4 --flavor m1.large",
        "os-credits price set project_mb_usage none --dry-run",
    ),
)
def set_(
    meter: Annotated[
        str, typer.Argument(metavar="METER", help="The meter's name.", show_default=False)
    ],
    credits_per_unit: Annotated[
        str,
        typer.Argument(
            metavar="CREDITS",
            help="Credits per unit, up to 12 digits after the point, or none to end a price.",
            show_default=False,
        ),
    ],
    flavor: Annotated[
        str | None,
        typer.Option(help="For this flavor; without it, for all that have no price of their own."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="HOUR",
            help="A full hour like 2026-02-01T14:00Z, UTC if it names no zone; the next one if "
            "not given. Past hours are charged anew, booked ones by corrections.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    as_json: Json = False,
) -> None:
    """Set the price of a meter, or of one of its flavors, from a full hour on."""
    amount = price_of(credits_per_unit, where="CREDITS")
    if flavor == "":
        raise InvalidInput("must not be blank", where="--flavor")
    asked = None if start is None else hour_of(start, "--from")

    async def work(pool: Pool, _settings: Settings) -> tuple[datetime, PriceChangeShape]:
        hour = asked or await _next_hour(pool)
        change = await set_price(
            pool,
            meter=meter,
            flavor=flavor,
            credits_per_unit=amount,
            valid_from=hour,
            author=author(),
            preview=dry_run,
        )
        return hour, await price_change_shape(pool, change)

    hour, change = with_database(work)
    if as_json:
        print_json(change)
        return
    what = meter if flavor is None else f"{meter} {flavor}"
    if amount is None:
        verb = "would have no price" if dry_run else "has no price"
    else:
        verb = f"{'would cost' if dry_run else 'costs'} {short_text(amount)} credits"
    say(f"{what} {verb} from {hour:%Y-%m-%d %H:%M} UTC on")
    say(
        f"{'would change' if dry_run else 'changed'} the charges of {change.hour_count} hours"
        f" of {change.project_count} projects by {change.credits:+f} credits"
    )


async def _next_hour(pool: Pool) -> datetime:
    async with connection(pool) as conn:
        return floor_hour(await batches.read_now(conn)) + timedelta(hours=1)
