"""Suspect and unmetered usage: what waits for a verdict, and giving one."""

from __future__ import annotations

from typing import Annotated

import typer

from os_credits.api.decision_shapes import UnsettledList
from os_credits.api.exclusions import change_shape
from os_credits.api.names import read_names
from os_credits.api.settlements import settled_shape, unsettled_list
from os_credits.cli.database import with_database
from os_credits.cli.decisions import (
    DryRun,
    MeterOption,
    Reason,
    SeriesOption,
    checked_reason,
    hour,
    say_change,
)
from os_credits.cli.operator import author
from os_credits.cli.output import Json, examples, print_json, print_table, say
from os_credits.cli.project import Domain, ProjectName, Site, find
from os_credits.domain.settlement import Verdict
from os_credits.domain.usage import UsageKind
from os_credits.errors import InvalidInput
from os_credits.flows import settle as flow
from os_credits.settings import Settings
from os_credits.store.pool import Pool, connection, snapshot

KINDS = {"suspect": UsageKind.SUSPECT, "unmetered": UsageKind.UNMETERED}


def add_to(program: typer.Typer) -> None:
    """Give the program these commands."""
    program.command(epilog=examples("os-credits unsettled biobank"))(unsettled)
    program.command(
        epilog=examples(
            "os-credits settle biobank suspect bill --from 2026-02-01T09:00Z \\\n"
            '      --until 2026-02-01T11:00Z --reason "a burst that was real" --dry-run',
            "os-credits settle biobank unmetered waive --from 2026-02-01 --until 2026-02-02 \\\n"
            '      --reason "our Prometheus was down"',
        )
    )(settle)


def unsettled(
    project: ProjectName, site: Site = None, domain: Domain = None, as_json: Json = False
) -> None:
    """Show a project's suspect and unmetered usage that waits for a verdict.

    Neither is billed by itself: suspect is what went above the meter's max_rate, unmetered a gap
    in a gauge's samples that is longer than its max_gap_seconds.
    """

    async def work(pool: Pool, _settings: Settings) -> UnsettledList:
        async with snapshot(pool) as conn:
            found = await find(conn, project, site, domain)
            names = await read_names(conn)
            return unsettled_list(await flow.list_unsettled(conn, found.id), names)

    shown = with_database(work)
    if as_json:
        print_json(shown)
        return
    print_table(
        ["KIND", "SERIES>", "METER", "RESOURCE", "FLAVOR", "FROM", "UNTIL", "HOURS>",
         "QUANTITY>", "UNIT", "CREDITS IF BILLED>"],
        (
            [one.kind, one.series_id, one.meter, one.resource or None, one.flavor,
             one.first_hour, one.end_hour, one.hour_count, one.quantity, one.unit,
             one.credits_if_billed]
            for one in shown.unsettled
        ),
        empty="Nothing waits for a verdict.",
    )  # fmt: skip


def settle(
    project: ProjectName,
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="suspect or unmetered.", show_default=False)
    ],
    verdict: Annotated[
        Verdict,
        typer.Argument(metavar="VERDICT", help="bill, waive or reopen.", show_default=False),
    ],
    reason: Reason,
    start: Annotated[
        str, typer.Option("--from", metavar="HOUR", help="The first hour.", show_default=False)
    ],
    end: Annotated[
        str,
        typer.Option("--until", metavar="HOUR", help="The hour after.", show_default=False),
    ],
    meter: MeterOption = None,
    series: SeriesOption = None,
    site: Site = None,
    domain: Domain = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Bill suspect or unmetered usage of some hours, or waive it.

    The verdict holds for such usage that is found in these hours later, too. Of several, the
    latest counts; reopen undoes them.
    """
    if kind not in KINDS:
        raise InvalidInput("must be suspect or unmetered", where="KIND")
    first, until, why = hour(start, "--from"), hour(end, "--until"), checked_reason(reason)

    async def work(pool: Pool, _settings: Settings) -> flow.Settled:
        async with connection(pool) as conn:
            found = await find(conn, project, site, domain)
            meter_id = None if meter is None else (await read_names(conn)).meter_id(meter)
        request = flow.SettlementRequest(
            found.id, KINDS[kind], first, until, verdict, why, author(),
            meter_id=meter_id, series_id=series,
        )  # fmt: skip
        return await flow.settle(pool, request, preview=dry_run)

    done = with_database(work)
    change = change_shape(done.change)
    if as_json:
        print_json(settled_shape(done))
        return
    if not dry_run:
        say(f"settlement {done.settlement_id} is stored")
    say_change(change, dry_run=dry_run)
