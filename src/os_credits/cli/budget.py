"""Budgets of organisations: given, taken back, listed, and what they have left."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

import typer

from os_credits.api.budgets import balance_shape, budget_shapes
from os_credits.api.organisation_shapes import (
    BudgetAnswer,
    BudgetPage,
    BudgetShape,
    OrganisationBalance,
)
from os_credits.cli.database import with_database
from os_credits.cli.decisions import Reason, checked_reason
from os_credits.cli.decisions import hour as hour_of
from os_credits.cli.operator import author
from os_credits.cli.organisation import OrganisationName, find
from os_credits.cli.output import (
    Json,
    credits_cell,
    examples,
    print_facts,
    print_json,
    print_table,
    say,
)
from os_credits.domain.amount import credits_of
from os_credits.domain.budget import BudgetRequest
from os_credits.domain.grant import Terms
from os_credits.errors import InvalidInput
from os_credits.flows.budgets import give_budget, void_budget
from os_credits.settings import Settings
from os_credits.store import budgets
from os_credits.store.pool import Pool, connection, snapshot

KEY_LENGTH_MAX = 200
# How many budgets of one organisation are listed.
BUDGETS_MAX = 1000

budget_commands = typer.Typer(
    help="Budgets: credits for all projects beneath an organisation together.",
    no_args_is_help=True,
)


def add_to(commands: typer.Typer) -> None:
    """Give the commands on organisations these."""
    commands.command(epilog=examples("os-credits organisation balance Sciences"))(balance)
    commands.add_typer(budget_commands, name="budget")


def balance(organisation: OrganisationName, as_json: Json = False) -> None:
    """Show what an organisation's budgets have left."""

    async def work(pool: Pool, settings: Settings) -> tuple[OrganisationBalance, int]:
        async with snapshot(pool) as conn:
            return await balance_shape(conn, await find(conn, organisation)), settings.precision

    shape, digits = with_database(work)
    if as_json:
        print_json(shape)
        return
    if shape.balance is None or shape.used is None or shape.debt is None:
        say(f"{shape.organisation.name} has no budget that has started: it limits nothing.")
        return
    print_facts(
        ("organisation", shape.organisation.name),
        ("used", credits_cell(shape.used, digits)),
        ("debt", credits_cell(shape.debt, digits)),
        ("left", credits_cell(shape.balance, digits)),
    )


@budget_commands.command(
    epilog=examples(
        'os-credits organisation budget give Sciences 50000 --reason "Budget 2026" \\\n'
        "      --from 2026-01-01T00:00Z --until 2027-01-01T00:00Z",
    )
)
def give(
    organisation: OrganisationName,
    amount: Annotated[
        str,
        typer.Argument(
            metavar="AMOUNT",
            help="Credits, more than 0, up to six digits after the point.",
            show_default=False,
        ),
    ],
    reason: Reason,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="HOUR", help="A full hour, past ones too; this one if not given."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="HOUR", help="A full hour; never if not given."),
    ] = None,
    priority: Annotated[int, typer.Option(help="The smaller, the earlier it burns.")] = 0,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="With the same key it is given once however often it is repeated; a random one "
            "if not given.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Give an organisation a budget, which all projects beneath it burn together.

    It burns by what they use from its start on, past hours included; a project's own credits
    stay what they are.
    """
    given = credits_of(amount, where="AMOUNT")
    why = checked_reason(reason)
    key = uuid4().hex if idempotency_key is None else idempotency_key
    if not key.strip() or not key.isprintable() or len(key) > KEY_LENGTH_MAX:
        raise InvalidInput(f"1 to {KEY_LENGTH_MAX} characters", where="--idempotency-key")
    terms = Terms(
        None if start is None else hour_of(start, "--from"),
        None if until is None else hour_of(until, "--until"),
        priority,
    )

    async def work(pool: Pool, _settings: Settings) -> tuple[str, BudgetAnswer]:
        async with connection(pool) as conn:
            found = await find(conn, organisation)
        request = BudgetRequest(found.id, given, why, author(), key, terms)
        budget, created = await give_budget(pool, request)
        async with snapshot(pool) as conn:
            [shape] = await budget_shapes(conn, found, [budget])
        return found.name, BudgetAnswer(created=created, idempotency_key=key, **dict(shape))

    name, answer = with_database(work)
    if as_json:
        print_json(answer)
        return
    got = "got" if answer.created else "had got already"
    say(f"{name} {got} {answer.amount:f} credits (budget {answer.id})")


@budget_commands.command("list", epilog=examples("os-credits organisation budget list Sciences"))
def list_(organisation: OrganisationName, as_json: Json = False) -> None:
    """List an organisation's budgets, and what became of each."""

    async def work(pool: Pool, settings: Settings) -> tuple[list[BudgetShape], int]:
        async with snapshot(pool) as conn:
            found = await find(conn, organisation)
            listed = await budgets.list_budgets(conn, found.id, limit=BUDGETS_MAX)
            return await budget_shapes(conn, found, listed), settings.precision

    shapes, digits = with_database(work)
    if as_json:
        print_json(BudgetPage(budgets=shapes, next=None))
        return
    print_table(
        ["NUMBER>", "AMOUNT>", "BURNED>", "LEFT>", "FROM", "UNTIL", "STATE", "REASON"],
        (
            [one.id,
             *(credits_cell(amount, digits) for amount in (one.amount, one.burned, one.left)),
             one.valid_from, one.expires_at, one.state.value, one.reason]
            for one in shapes
        ),
        empty="It has no budget.",
    )  # fmt: skip


@budget_commands.command(
    epilog=examples('os-credits organisation budget void Sciences 7 --reason "given twice"')
)
def void(
    organisation: OrganisationName,
    budget: Annotated[
        int,
        typer.Argument(
            metavar="NUMBER", help="Its number (see list).", show_default=False, min=1, max=10**18
        ),
    ],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Take back a budget of which nothing is burned."""
    why = checked_reason(reason)

    async def work(pool: Pool, _settings: Settings) -> tuple[str, BudgetShape, bool]:
        async with connection(pool) as conn:
            found = await find(conn, organisation)
        done, is_new = await void_budget(pool, found.id, budget, reason=why, author=author())
        async with snapshot(pool) as conn:
            [shape] = await budget_shapes(conn, found, [done])
        return found.name, shape, is_new

    name, shape, is_new = with_database(work)
    if as_json:
        print_json(shape)
        return
    said = "is" if is_new else "was already"
    say(f"budget {shape.id} of {name} ({shape.amount:f} credits) {said} taken back")
