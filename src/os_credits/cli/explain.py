"""Explains an entry, or an hour of a project, down to the raw samples."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from os_credits.api.explain import place_of
from os_credits.api.explain_shapes import ExplanationShape
from os_credits.api.explanation import shape_of, text_of
from os_credits.api.names import read_names
from os_credits.api.reading import moment_of
from os_credits.cli.database import with_database
from os_credits.cli.explanation import drawn
from os_credits.cli.output import Json, complain, examples, print_drawing, print_json
from os_credits.cli.project import Domain, Site, find
from os_credits.domain.explanation import Explanation
from os_credits.errors import InvalidInput
from os_credits.flows.explain import explain_entry, explain_hour
from os_credits.flows.explain_samples import View
from os_credits.settings import Settings
from os_credits.store.pool import Pool, snapshot

DAY_MS = 86_400_000
ID_DIGITS_MAX = 18
DIFFERS = 1


def add_to(program: typer.Typer) -> None:
    """Give the program this command."""
    program.command(
        epilog=examples(
            "os-credits explain '#4711'",
            "os-credits explain biobank 2026-02-01T14:00Z",
            "os-credits explain biobank 2026-02-01T14 --meter project_vcpu_usage --each",
            "os-credits explain 4711 --json | jq .charges",
        )
    )(explain)


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ENTRY|PROJECT",
            help="An entry's number; or with HOUR a project: its name, its cloud's id, or #number.",
            show_default=False,
        ),
    ],
    hour: Annotated[
        str | None,
        typer.Argument(
            metavar="HOUR",
            help="The hour, or a moment in it, UTC if it names no zone.",
            show_default=False,
        ),
    ] = None,
    meter: Annotated[str | None, typer.Option(help="Of the hour, only this meter.")] = None,
    flavor: Annotated[str | None, typer.Option(help="Of the hour, only this flavor.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, help="How many series to show; the rest is counted.")
    ] = 20,
    after: Annotated[
        str | None, typer.Option(help="Go on where an earlier answer says so.", metavar="PLACE")
    ] = None,
    pairs: Annotated[
        int, typer.Option(min=0, max=10_000, help="How many calculations to show of each series.")
    ] = 30,
    each: Annotated[
        bool,
        typer.Option(
            "--each", help="Every pair of samples by itself, even if one calculation covers many."
        ),
    ] = False,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Show where credits come from: charge, bookings, price, and the samples, with the arithmetic.

    An entry by its number, or all charges of an hour of a project, booked or not. Every figure
    can be worked out again by hand. Status 1 if stored figures do not follow from each other.
    """
    entry_id, moment = _asked(what, hour)
    if entry_id is not None and (meter is not None or flavor is not None):
        raise InvalidInput("--meter and --flavor choose from an hour, not from an entry")
    place = (0, 0, 0, -1) if after is None else place_of(after)
    view = View(limit, pairs, each, place)

    async def work(pool: Pool, settings: Settings) -> tuple[Explanation, ExplanationShape]:
        window_ms = settings.acceptance_window_days * DAY_MS
        async with snapshot(pool) as conn:
            if entry_id is not None or moment is None:
                told = await explain_entry(conn, entry_id or 0, view, window_ms=window_ms)
            else:
                project = await find(conn, what, site, domain)
                told = await explain_hour(
                    conn, project, moment, view, window_ms=window_ms, meter=meter, flavor=flavor
                )
            return told, shape_of(told, await read_names(conn))

    told, shape = with_database(work)
    if as_json:
        print_json(shape)
    else:
        print_drawing(drawn(told))
        if told.next_place is not None:
            complain(f"There is more: go on with --after {text_of(told.next_place)}")
    if told.problems:
        raise typer.Exit(DIFFERS)


def _asked(what: str, hour: str | None) -> tuple[int | None, datetime | None]:
    """Tell an entry from the hour of a project."""
    if hour is not None:
        try:
            return None, moment_of(hour)
        except ValueError as error:
            raise InvalidInput(str(error), where="HOUR") from None
    number = what.removeprefix("#")
    if not (number.isascii() and number.isdecimal() and len(number) <= ID_DIGITS_MAX):
        raise InvalidInput("is no entry's number; a project needs an HOUR as well", where="ENTRY")
    return int(number), None
