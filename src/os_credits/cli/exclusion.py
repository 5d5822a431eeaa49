"""Exclusions: samples taken out of the set, listed, and let in again."""

from __future__ import annotations

from typing import Annotated

import typer

from os_credits.api.decision_shapes import ExclusionList, ExclusionShape, LiftedShape
from os_credits.api.exclusions import excluded_shape, exclusion_shape
from os_credits.api.names import read_names
from os_credits.cli.database import with_database
from os_credits.cli.decisions import (
    DryRun,
    MeterOption,
    Reason,
    SeriesOption,
    checked_reason,
    moment,
    say_change,
)
from os_credits.cli.operator import author
from os_credits.cli.output import Json, examples, print_json, print_table, say
from os_credits.cli.project import Domain, ProjectName, Site, find
from os_credits.domain.period import DAY_MS
from os_credits.flows import exclusions as flow
from os_credits.settings import Settings
from os_credits.store.exclusions import list_active_exclusions
from os_credits.store.pool import Pool, connection, snapshot

commands = typer.Typer(
    help="Exclusions: bad samples are taken out, and credits follow exactly.",
    no_args_is_help=True,
)


@commands.command(
    epilog=examples(
        "os-credits exclusion add biobank --from 2026-02-01T09:30Z --until 2026-02-01T11:00Z \\\n"
        '      --meter project_vcpu_usage --reason "exporter counted twice" --dry-run',
    )
)
def add(
    project: ProjectName,
    reason: Reason,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="MOMENT", help="The first moment; since ever if not given."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--until", metavar="MOMENT", help="The moment after; for ever if not given."),
    ] = None,
    meter: MeterOption = None,
    series: SeriesOption = None,
    site: Site = None,
    domain: Domain = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take a project's samples of some time out of the set, as if they had never come.

    Samples that come later are covered too. Booked hours get corrections; nothing is lost, and
    os-credits exclusion lift brings the samples back.
    """
    starts_at = None if start is None else moment(start, "--from")
    ends_at = None if end is None else moment(end, "--until")
    why = checked_reason(reason)

    async def work(pool: Pool, settings: Settings) -> flow.Excluded:
        async with connection(pool) as conn:
            found = await find(conn, project, site, domain)
            meter_id = None if meter is None else (await read_names(conn)).meter_id(meter)
        return await flow.exclude(
            pool,
            flow.ExclusionRequest(
                found.id, why, author(),
                meter_id=meter_id, series_id=series, starts_at=starts_at, ends_at=ends_at,
            ),
            window_ms=settings.acceptance_window_days * DAY_MS,
            preview=dry_run,
        )  # fmt: skip

    shape = excluded_shape(with_database(work))
    if as_json:
        print_json(shape)
        return
    if dry_run:
        say(f"would take {shape.sample_count} samples out")
    else:
        say(f"exclusion {shape.exclusion_id} took {shape.sample_count} samples out")
    say_change(shape.change, dry_run=dry_run)


@commands.command("list", epilog=examples("os-credits exclusion list biobank"))
def list_(
    project: ProjectName, site: Site = None, domain: Domain = None, as_json: Json = False
) -> None:
    """List the exclusions of a project that hold."""

    async def work(pool: Pool, _settings: Settings) -> list[ExclusionShape]:
        async with snapshot(pool) as conn:
            found = await find(conn, project, site, domain)
            names = await read_names(conn)
            return [
                exclusion_shape(one, names)
                for one in await list_active_exclusions(conn)
                if one.project_id == found.id
            ]  # fmt: skip

    shown = with_database(work)
    if as_json:
        print_json(ExclusionList(exclusions=shown))
        return
    print_table(
        ["ID>", "METER", "SERIES>", "FROM", "UNTIL", "REASON", "BY"],
        (
            [one.id, one.meter or "all", one.series_id or "all", one.starts_at, one.ends_at,
             one.reason, one.author]
            for one in shown
        ),
        empty="No samples of this project are excluded.",
    )  # fmt: skip


@commands.command(epilog=examples('os-credits exclusion lift 7 --reason "it was right"'))
def lift(
    exclusion: Annotated[
        int, typer.Argument(metavar="ID", help="The exclusion's id.", show_default=False)
    ],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Let the samples of an exclusion in again; they are rated like samples that come late."""
    why = checked_reason(reason)
    done = with_database(lambda pool, _: flow.lift(pool, exclusion, reason=why, author=author()))
    if as_json:
        print_json(LiftedShape(sample_count=done.sample_count))
        return
    say(f"exclusion {exclusion} is lifted; {done.sample_count} samples are rated again")
