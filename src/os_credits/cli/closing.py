"""The end of a project: closing, reopening, and its statement."""

from __future__ import annotations

from typing import Annotated

import typer

from os_credits.api.closing import closing_answer, read_statement_shape, statement_csv
from os_credits.api.closing_shapes import ClosingAnswer, StatementShape
from os_credits.cli.database import with_database
from os_credits.cli.decisions import Reason, checked_reason
from os_credits.cli.decisions import hour as hour_of
from os_credits.cli.operator import author
from os_credits.cli.output import Json, credits_cell, examples, print_json, print_table, say
from os_credits.cli.project import Domain, ProjectName, Site, find
from os_credits.domain.closing import ClosingRequest
from os_credits.flows import closing as flow
from os_credits.settings import Settings
from os_credits.store import batches
from os_credits.store.pool import Pool, connection, snapshot


def add_to(commands: typer.Typer) -> None:
    """Give the commands on projects these three."""
    commands.command(
        epilog=examples(
            'os-credits project close biobank --reason "End of the grant"',
            "os-credits project close biobank --from 2026-03-01T00:00Z --reason Ended",
        )
    )(close)
    commands.command(epilog=examples("os-credits project reopen biobank --reason Extended"))(reopen)
    commands.command(
        epilog=examples(
            "os-credits project statement biobank",
            "os-credits project statement biobank --csv > statement.csv",
        )
    )(statement)


def close(
    project: ProjectName,
    reason: Reason,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="HOUR",
            help="From which full hour on; if not given, from the next one.",
        ),
    ] = None,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Close a project: nothing new is granted, and its owners get a final statement.

    What is still used is booked, shown beside the statement, and told once. A past hour is
    allowed, and one at most 31 days ahead.
    """
    hour = None if start is None else hour_of(start, "--from")
    why = checked_reason(reason)

    async def work(pool: Pool, _settings: Settings) -> ClosingAnswer:
        async with connection(pool) as conn:
            found = await find(conn, project, site, domain)
        done = await flow.close(pool, ClosingRequest(found.id, hour, why, author()))
        return await _answer(pool, done)

    _show(with_database(work), as_json=as_json)


def reopen(
    project: ProjectName,
    reason: Reason,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Let a closed project go on; its final statement stays on record."""
    why = checked_reason(reason)

    async def work(pool: Pool, _settings: Settings) -> ClosingAnswer:
        async with connection(pool) as conn:
            found = await find(conn, project, site, domain)
        return await _answer(pool, await flow.reopen(pool, found.id, reason=why, author=author()))

    _show(with_database(work), as_json=as_json)


async def _answer(pool: Pool, done: flow.Decided) -> ClosingAnswer:
    async with connection(pool) as conn:
        return closing_answer(done, await batches.read_now(conn))


def _show(answer: ClosingAnswer, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    before = "" if answer.created else ", as it was before"
    say(f"{answer.state.value}, from {answer.closing.hour:%Y-%m-%d %H:%M}Z on{before}")


def statement(
    project: ProjectName,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table for spreadsheets.")] = False,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Show a project's account in sums: an interim statement, or the final one of its end."""

    async def work(pool: Pool, settings: Settings) -> tuple[StatementShape, int]:
        async with snapshot(pool) as conn:
            found = await find(conn, project, site, domain)
            return await read_statement_shape(conn, found), settings.precision

    shape, digits = with_database(work)
    if as_json:
        print_json(shape)
    elif as_csv:
        typer.echo(statement_csv(shape), nl=False)
    else:
        _show_statement(shape, digits)


def _show_statement(shape: StatementShape, digits: int) -> None:
    after = shape.after_closing
    lines = [("", row) for row in shape.rows]
    lines += [("after the end", row) for row in (after.rows if after is not None else [])]
    rows: list[list[object]] = [
        [part, row.kind.value, row.meter or "", row.flavor or "", credits_cell(row.credits, digits)]
        for part, row in lines
    ]
    place = len(shape.rows)
    rows.insert(place, ["", "balance", "", "", credits_cell(shape.balance, digits)])
    if len(rows) > place + 1:
        rows.append(["after the end", "left now", "", "", credits_cell(shape.current, digits)])
    print_table(["", "WHAT", "METER", "FLAVOR", "CREDITS>"], rows, empty="")
    kind = "final statement" if shape.is_final else "interim statement"
    say(f"{kind}; the project is {shape.state.value}; entry {shape.head_sequence} is the last one")
