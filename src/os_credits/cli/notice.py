"""What people were told of projects, at which lines, and what other lines would have told."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

import typer

from os_credits.api.preview import PreviewShape, preview_shape
from os_credits.api.read import notice_shape
from os_credits.api.shapes import NoticeList, NoticeShape, short_text
from os_credits.api.thresholds import (
    ProjectThresholds,
    ThresholdsShape,
    shape_of,
    told_shapes,
)
from os_credits.cli.database import with_database
from os_credits.cli.decisions import checked_reason
from os_credits.cli.operator import author
from os_credits.cli.output import Json, credits_cell, examples, print_json, print_table, say
from os_credits.cli.project import Domain, ProjectName, Site, find
from os_credits.domain.amount import number_of
from os_credits.domain.threshold import LineRule
from os_credits.errors import InvalidInput
from os_credits.flows.organisations import resolve_organisation
from os_credits.flows.preview import preview as play
from os_credits.flows.threshold_rules import (
    put_organisation_rule,
    put_project_rule,
    read_organisation_lines,
    read_project_lines,
)
from os_credits.settings import Settings
from os_credits.store import mails, notices
from os_credits.store.pool import Pool, connection, snapshot

NOTICES_MAX = 1000
NO_LINES = "none"
UNITS = {"percent": " %", "credits": " credits", "days": " days", "burn": " credits per day"}
_LENGTH = re.compile(r"([0-9]{1,5})([dh])")

commands = typer.Typer(
    help="Of what people were told, at which lines, and what other lines would have told.",
    no_args_is_help=True,
)

_LIST = f"separated by commas, or {NO_LINES}"
Percents = Annotated[
    str | None, typer.Option("--percents", help=f"Per cent of the valid grants left, {_LIST}.")
]
CreditLines = Annotated[str | None, typer.Option("--credits", help=f"Credits left, {_LIST}.")]
Days = Annotated[str | None, typer.Option("--days", help=f"Days until credits run out, {_LIST}.")]
Burn = Annotated[str | None, typer.Option("--burn", help=f"Credits used per day, {_LIST}.")]
Hysteresis = Annotated[
    str | None,
    typer.Option("--hysteresis", help="How far above a line credits must be lifted, in per cent."),
]
CoolDown = Annotated[
    int | None,
    typer.Option("--cool-down", help="For how many hours a line is not told again."),
]


@commands.command("list", epilog=examples("os-credits notices list biobank"))
def list_(
    project: ProjectName, site: Site = None, domain: Domain = None, as_json: Json = False
) -> None:
    """List of what a project's people were told, the latest first."""

    async def work(pool: Pool, settings: Settings) -> tuple[list[NoticeShape], int]:
        async with snapshot(pool) as conn:
            one = await find(conn, project, site, domain)
            found = await notices.list_notices(conn, one.id, limit=NOTICES_MAX)
            counts = await mails.count_by_notice(conn, [notice.id for notice in found])
        return [notice_shape(notice, counts) for notice in found], settings.precision

    found, digits = with_database(work)
    if as_json:
        print_json(NoticeList(notices=found))
        return
    print_table(
        ["TIME", "WHAT", "LINE>", "WAS>", "LEFT>", "GRANTED>", "SENT>", "PENDING>", "REFUSED>"],
        (
            [one.created_at, one.kind.value, one.line, one.value,
             credits_cell(one.balance, digits), credits_cell(one.granted, digits),
             one.mails.sent, one.mails.pending, one.mails.refused]
            for one in found
        ),
        empty="Nobody was told anything of this project.",
    )  # fmt: skip


@commands.command(
    epilog=examples(
        "os-credits notices thresholds biobank",
        'os-credits notices thresholds biobank --credits 500 --percents none --reason "asked for"',
        "os-credits notices thresholds --organisation Biology --days 14,3 --reason Policy",
        "os-credits notices thresholds biobank --default --reason Ended",
    )
)
def thresholds(
    project: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROJECT]", help="Its name, its cloud's id, or #number.", show_default=False
        ),
    ] = None,
    organisation: Annotated[
        str | None, typer.Option(help="An organisation instead: for all projects beneath it.")
    ] = None,
    percents: Percents = None,
    credit_lines: CreditLines = None,
    days: Days = None,
    burn: Burn = None,
    hysteresis: Hysteresis = None,
    cool_down: CoolDown = None,
    to_default: Annotated[
        bool, typer.Option("--default", help="Take back what was said before.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Why; needed for a change.")] = None,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Show at which lines people are told, or say which lines shall hold.

    What is named replaces all that was said before for this project or organisation; what is
    not named is looked for in the organisations above, and last in the settings.
    """
    if (project is None) == (organisation is None):
        raise InvalidInput("name either a project or --organisation", where="PROJECT")
    rule = _rule(percents, credit_lines, days, burn, hysteresis, cool_down)
    is_change = to_default or bool(rule.named())
    if to_default and rule.named():
        raise InvalidInput("names lines beside it", where="--default")
    why = checked_reason(reason or "") if is_change else ""

    async def work(pool: Pool, settings: Settings) -> ThresholdsShape:
        said = None if to_default else rule
        if organisation is not None:
            async with connection(pool) as conn:
                number = (await resolve_organisation(conn, organisation)).id
            if is_change:
                await put_organisation_rule(pool, number, said, reason=why, author=author())
            async with snapshot(pool) as conn:
                return shape_of(await read_organisation_lines(conn, number, settings.lines))
        async with connection(pool) as conn:
            number = (await find(conn, project or "", site, domain)).id
        if is_change:
            await put_project_rule(pool, number, said, reason=why, author=author())
        async with snapshot(pool) as conn:
            found = await read_project_lines(conn, number, settings.lines)
            told = (await notices.read_told(conn, [number]))[number]
        return ProjectThresholds(**dict(shape_of(found)), told=told_shapes(told))

    shown = with_database(work)
    if as_json:
        print_json(shown)
        return
    print_table(["WHAT", "LINES", "FROM"], _rows(shown), empty="")
    if isinstance(shown, ProjectThresholds):
        print_table(
            ["TOLD", "LINE>", "AT", "ARMED AGAIN"],
            ([one.kind.value, one.line, one.told_at, one.rearmed_at] for one in shown.told),
            empty="Nobody was told of a line.",
        )


def _rows(shown: ThresholdsShape) -> list[list[str]]:
    lines = shown.lines
    named = {
        "percents": ("per cent left", lines.percents),
        "credits": ("credits left", lines.credits),
        "days": ("days until run-out", lines.days),
        "burn_per_day": ("credits per day", lines.burn_per_day),
        "hysteresis_percent": ("hysteresis in per cent", [lines.hysteresis_percent]),
        "cool_down_hours": ("cool-down in hours", [Decimal(lines.cool_down_hours)]),
    }
    return [
        [what, ", ".join(map(short_text, values)) or NO_LINES, shown.sources[name]]
        for name, (what, values) in named.items()
    ]


def _rule(
    percents: str | None,
    credit_lines: str | None,
    days: str | None,
    burn: str | None,
    hysteresis: str | None,
    cool_down: int | None,
) -> LineRule:
    return LineRule(
        percents=_figures(percents, "--percents"),
        credits=_figures(credit_lines, "--credits"),
        days=_figures(days, "--days"),
        burn_per_day=_figures(burn, "--burn"),
        hysteresis_percent=(
            None if hysteresis is None else number_of(hysteresis, where="--hysteresis")
        ),
        cool_down_hours=cool_down,
    )


def _figures(text: str | None, where: str) -> tuple[Decimal, ...] | None:
    if text is None:
        return None
    if text.strip() in (NO_LINES, ""):
        return ()
    return tuple(number_of(part.strip(), where=where) for part in text.split(","))


@commands.command(
    epilog=examples(
        "os-credits notices preview --since 30d",
        "os-credits notices preview --since 90d --percents 50,10 --credits 1000 --cool-down 72",
        "os-credits notices preview --project biobank --days 14,3 --json",
    )
)
def preview(
    since: Annotated[
        str, typer.Option(metavar="LENGTH", help="How far back: 30d are days, 12h hours.")
    ] = "30d",
    percents: Percents = None,
    credit_lines: CreditLines = None,
    days: Days = None,
    burn: Burn = None,
    hysteresis: Hysteresis = None,
    cool_down: CoolDown = None,
    project: Annotated[
        str | None,
        typer.Option(metavar="PROJECT", help="Only this one; all open ones if not given."),
    ] = None,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Show which notices and mails the past would have caused with these lines.

    What is not named is as the settings say; projects and organisations keep their own lines.
    The past is played hour by hour as it is known now, and nothing is written. Lines that were
    crossed at its start count as told. Lines of days and burn are held against forecasts made
    anew at the start of each day.
    """
    length = _length(since)
    rule = _rule(percents, credit_lines, days, burn, hysteresis, cool_down)

    async def work(pool: Pool, settings: Settings) -> tuple[PreviewShape, int]:
        number = None
        if project is not None:
            async with connection(pool) as conn:
                number = (await find(conn, project, site, domain)).id
        played = await play(
            pool,
            rule.over(settings.lines),
            length,
            digest_hour=settings.digest_hour,
            project_id=number,
        )
        return preview_shape(played), settings.precision

    shown, digits = with_database(work)
    if as_json:
        print_json(shown)
        return
    print_table(
        ["TIME", "PROJECT", "LINE", "WAS>", "LEFT>", "GRANTED>", "MAILS>"],
        (
            [one.created_at, one.project.name, f"{short_text(one.line)}{UNITS[one.kind.value]}",
             one.value, credits_cell(one.balance, digits), credits_cell(one.granted, digits),
             one.mails]
            for one in shown.notices
        ),
        empty="There would have been no notice.",
    )  # fmt: skip
    say(
        f"{len(shown.notices)} notices of {shown.projects} projects since"
        f" {shown.start:%Y-%m-%d %H:%M} UTC: {shown.mails} mails at once, {shown.digests} digests"
    )
    if shown.left_out:
        say(
            f"Lines of days and burn were left out for {shown.left_out} projects, since each takes"
            " seconds: name one by --project."
        )


def _length(text: str) -> timedelta:
    found = _LENGTH.fullmatch(text.strip())
    if found is None:
        raise InvalidInput("must be a number of days or hours like 30d or 12h", where="--since")
    count = int(found[1])
    return timedelta(days=count) if found[2] == "d" else timedelta(hours=count)
