"""Allowances: grants that come again every month."""

from __future__ import annotations

from typing import Annotated

import typer

from os_credits.api.account_shapes import AllowanceList, AllowanceShape
from os_credits.cli.database import with_database
from os_credits.cli.decisions import Reason, checked_reason
from os_credits.cli.instructing import Amount, Key, Priority, carry_out, key_of, positive, say_done
from os_credits.cli.operator import author
from os_credits.cli.output import Json, credits_cell, examples, print_json, print_table
from os_credits.cli.project import Domain, ProjectName, Site, find
from os_credits.domain.allowance import (
    AllowanceEnd,
    AllowanceRequest,
    floor_month,
    month_of,
    month_text,
)
from os_credits.domain.instruction import Instruction
from os_credits.domain.project import Project
from os_credits.settings import Settings
from os_credits.store import allowances, batches
from os_credits.store.pool import Connection, Pool, snapshot

commands = typer.Typer(
    help="Allowances: credits that a project gets every month.", no_args_is_help=True
)


@commands.command(
    epilog=examples(
        'os-credits allowance add biobank 1000 --reason "Basic supply"',
        "os-credits allowance add biobank 1000 --reason Course --from 2026-03 --until 2026-07",
        "os-credits allowance add biobank 1000 --reason Project --carry-over",
    )
)
def add(
    project: ProjectName,
    amount: Amount,
    reason: Reason,
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MONTH",
            help="The first month, like 2026-03; the current one if not given. Past months are "
            "given at once.",
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="MONTH", help="The first month that gets none; never if not given."
        ),
    ] = None,
    carry_over: Annotated[
        bool, typer.Option("--carry-over", help="The rest of a month stays for the next ones.")
    ] = False,
    priority: Priority = 0,
    idempotency_key: Key = None,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Give credits with every month (UTC); the rest of a month expires when the next begins."""
    given, key, why = positive(amount), key_of(idempotency_key), checked_reason(reason)
    asked = None if first is None else month_of(first, where="--from")
    end_month = None if end is None else month_of(end, where="--until")

    async def make(conn: Connection, found: Project) -> Instruction:
        return AllowanceRequest(
            project_id=found.id,
            amount=given,
            first_month=asked or floor_month(await batches.read_now(conn)),
            end_month=end_month,
            carries_over=carry_over,
            reason=why,
            author=author(),
            idempotency_key=key,
            priority=priority,
        )

    carried = carry_out(project, site, domain, make)
    sentence = f"{carried.project.name} gets {given:f} credits every month"
    say_done(carried, sentence, as_json=as_json)


@commands.command("list", epilog=examples("os-credits allowance list biobank"))
def list_(
    project: ProjectName, site: Site = None, domain: Domain = None, as_json: Json = False
) -> None:
    """List what a project gets, or got, every month."""

    async def work(pool: Pool, settings: Settings) -> tuple[list[AllowanceShape], int]:
        async with snapshot(pool) as conn:
            found = await find(conn, project, site, domain)
            stored = await allowances.list_allowances(conn, [found.id])
        return [AllowanceShape.model_validate(one) for one in stored], settings.precision

    shapes, digits = with_database(work)
    if as_json:
        print_json(AllowanceList(allowances=shapes))
        return
    print_table(
        ["ALLOWANCE>", "AMOUNT>", "FROM", "UNTIL", "REST", "PRIORITY>", "REASON", "BY"],
        (
            [one.id, credits_cell(one.amount, digits), month_text(one.first_month),
             None if one.end_month is None else month_text(one.end_month),
             "carries over" if one.carries_over else "expires", one.priority, one.reason,
             one.author]
            for one in shapes
        ),
        empty="This project gets nothing every month.",
    )  # fmt: skip


@commands.command(
    epilog=examples("os-credits allowance end biobank 3 --from 2026-07 --reason 'Course is over'")
)
def end(
    project: ProjectName,
    allowance: Annotated[
        int, typer.Argument(metavar="ALLOWANCE", help="Its number.", show_default=False)
    ],
    first_without: Annotated[
        str,
        typer.Option(
            "--from", metavar="MONTH", help="The first month that gets none.", show_default=False
        ),
    ],
    reason: Reason,
    idempotency_key: Key = None,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Let an allowance give nothing from a month on; what it gave stays."""
    key, why = key_of(idempotency_key), checked_reason(reason)
    month = month_of(first_without, where="--from")

    async def make(_conn: Connection, found: Project) -> Instruction:
        return AllowanceEnd(found.id, allowance, month, why, author(), key)

    carried = carry_out(project, site, domain, make)
    sentence = f"{carried.project.name} gets nothing from {month_text(month)} on"
    say_done(carried, sentence, as_json=as_json)
