"""Lets a meter be rated otherwise from a past hour on."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from os_credits.api.revisions import revision_shape
from os_credits.cli.database import with_database
from os_credits.cli.decisions import DryRun, Reason, checked_reason, hour, say_change
from os_credits.cli.operator import author
from os_credits.cli.output import Json, examples, print_json, say
from os_credits.domain.meter import OnReset
from os_credits.domain.period import DAY_MS
from os_credits.errors import InvalidInput
from os_credits.flows import revise as flow
from os_credits.settings import Settings
from os_credits.store.pool import Pool


def add_to(commands: typer.Typer) -> None:
    """Give a group of commands this one."""
    commands.command(
        epilog=examples(
            "os-credits meter revise openstack_nova_server_status --from 2026-02-01T00:00Z \\\n"
            '      --max-gap-seconds 7200 --reason "scraped every 90 minutes" --dry-run',
        )
    )(revise)


def revise(
    meter: Annotated[
        str, typer.Argument(metavar="METER", help="The meter's name.", show_default=False)
    ],
    start: Annotated[
        str,
        typer.Option("--from", metavar="HOUR", help="An hour that has begun.", show_default=False),
    ],
    reason: Reason,
    max_gap_seconds: Annotated[
        int | None, typer.Option(help="Gauges: the longest gap between samples that is billed.")
    ] = None,
    max_rate: Annotated[
        str | None,
        typer.Option(help="Units per hour above which usage is suspect, or none.", metavar="RATE"),
    ] = None,
    on_reset: Annotated[
        OnReset | None, typer.Option(help="Counters: what a value that falls means.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Rate a meter otherwise from a past hour on; booked hours get corrections.

    Change the meter file too, or the service's next start brings its values back for the hours
    to come. What labels mean can change for hours to come only: by the meter file.
    """
    changes: dict[str, object] = {}
    if max_gap_seconds is not None:
        changes["max_gap_seconds"] = max_gap_seconds
    if max_rate is not None:
        changes["max_rate"] = _rate(max_rate)
    if on_reset is not None:
        changes["on_reset"] = on_reset
    if not changes:
        raise InvalidInput("name what is to change: --max-gap-seconds, --max-rate, --on-reset")
    first, why = hour(start, "--from"), checked_reason(reason)

    async def work(pool: Pool, settings: Settings) -> flow.Revision:
        return await flow.revise(
            pool,
            meter=meter,
            changes=changes,
            valid_from=first,
            reason=why,
            author=author(),
            window_ms=settings.acceptance_window_days * DAY_MS,
            preview=dry_run,
        )

    shape = revision_shape(meter, with_database(work))
    if as_json:
        print_json(shape)
        return
    until = "on" if shape.valid_until is None else f"until {shape.valid_until:%Y-%m-%d %H:%M} UTC"
    verb = "would be" if dry_run else "is"
    say(f"{meter} {verb} rated so from {shape.valid_from:%Y-%m-%d %H:%M} UTC {until}")
    say_change(shape.change, dry_run=dry_run)


def _rate(text: str) -> Decimal | None:
    if text.strip().lower() == "none":
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InvalidInput("must be a number or none", where="--max-rate") from None
