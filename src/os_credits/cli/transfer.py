"""Adjustments by hand, and transfers between projects."""

from __future__ import annotations

from typing import Annotated

import typer

from os_credits.api.account_shapes import TransferPage, TransferShape
from os_credits.api.transfers import transfer_shapes
from os_credits.cli.database import with_database
from os_credits.cli.decisions import Reason, checked_reason
from os_credits.cli.decisions import hour as hour_of
from os_credits.cli.instructing import Amount, Key, carry_out, key_of, positive, say_done
from os_credits.cli.operator import author
from os_credits.cli.output import Json, credits_cell, examples, print_json, print_table
from os_credits.cli.project import Domain, ProjectName, Site, find
from os_credits.domain.access import Access, Scope
from os_credits.domain.amount import credits_of
from os_credits.domain.instruction import Adjustment, Instruction, Transfer
from os_credits.domain.project import Project
from os_credits.errors import InvalidInput
from os_credits.settings import Settings
from os_credits.store import transfers as store
from os_credits.store.pool import Connection, Pool, snapshot

# How many transfers are read at once.
PAGE_TRANSFERS_MAX = 1000
_OPERATOR = Access("cli", frozenset({Scope.ADMIN}))


def add_to(program: typer.Typer) -> None:
    """Give the program these commands."""
    program.command(
        # Else an amount below zero would be taken for an option.
        context_settings={"ignore_unknown_options": True},
        epilog=examples('os-credits adjust biobank -12.5 --reason "Counted twice in May"'),
    )(adjust)
    program.command(
        epilog=examples(
            "os-credits transfer biobank imaging 500 --reason 'Joint work'",
            "os-credits transfer biobank imaging 500 --reason Loan --expires-at 2026-07-01T00:00Z",
        )
    )(transfer)
    program.command(epilog=examples("os-credits transfers biobank"))(transfers)


def adjust(
    project: ProjectName,
    amount: Annotated[
        str,
        typer.Argument(
            metavar="AMOUNT",
            help="Credits to add, or with a minus to take off; up to six digits after the point.",
            show_default=False,
        ),
    ],
    reason: Reason,
    idempotency_key: Key = None,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Put an account right by hand, in the current hour.

    What is added never expires and counts for no per cent; what is taken off burns like usage.
    """
    change = credits_of(amount, where="AMOUNT")
    if change == 0:
        raise InvalidInput("must not be 0", where="AMOUNT")
    key, why = key_of(idempotency_key), checked_reason(reason)

    async def make(_conn: Connection, found: Project) -> Instruction:
        return Adjustment(found.id, change, why, author(), key)

    carried = carry_out(project, site, domain, make)
    sentence = f"{carried.project.name} is adjusted by {change:+f} credits"
    say_done(carried, sentence, as_json=as_json)


def transfer(
    project: ProjectName,
    receiver: Annotated[
        str,
        typer.Argument(
            metavar="RECEIVER", help="The project that gets the credits.", show_default=False
        ),
    ],
    amount: Amount,
    reason: Reason,
    expires_at: Annotated[
        str | None,
        typer.Option(
            metavar="HOUR", help="When the receiver loses what is left; never if not given."
        ),
    ] = None,
    idempotency_key: Key = None,
    site: Site = None,
    domain: Domain = None,
    to_site: Annotated[
        str | None, typer.Option(help="Where several receivers have this name: the site.")
    ] = None,
    to_domain: Annotated[
        str | None, typer.Option(help="Where several receivers have this name: the domain.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Move credits from a project to another one, as far as they are left.

    For the project that gives them they burn as usage does; the other one gets a grant.
    """
    moved, key, why = positive(amount), key_of(idempotency_key), checked_reason(reason)
    end = None if expires_at is None else hour_of(expires_at, "--expires-at")

    async def make(conn: Connection, found: Project) -> Instruction:
        to = await find(conn, receiver, to_site, to_domain)
        return Transfer(found.id, to.id, moved, end, why, author(), key)

    carried = carry_out(project, site, domain, make)
    sentence = f"{carried.project.name} gave {moved:f} credits to {receiver}"
    say_done(carried, sentence, as_json=as_json)


def transfers(
    project: ProjectName, site: Site = None, domain: Domain = None, as_json: Json = False
) -> None:
    """List the credits that a project gave to others and got from them."""

    async def work(pool: Pool, settings: Settings) -> tuple[list[TransferShape], int]:
        shapes: list[TransferShape] = []
        async with snapshot(pool) as conn:
            found = await find(conn, project, site, domain)
            while True:
                page = await store.list_transfers(
                    conn,
                    found.id,
                    after_id=shapes[-1].id if shapes else 0,
                    limit=PAGE_TRANSFERS_MAX,
                )
                shapes += await transfer_shapes(conn, page, _OPERATOR)
                if len(page) < PAGE_TRANSFERS_MAX:
                    return shapes, settings.precision

    shapes, digits = with_database(work)
    if as_json:
        print_json(TransferPage(transfers=shapes, next=None))
        return
    print_table(
        ["TRANSFER>", "FROM", "TO", "AMOUNT>", "UNTIL", "AT", "REASON", "BY"],
        (
            [one.id, one.sender.name if one.sender else None,
             one.receiver.name if one.receiver else None, credits_cell(one.amount, digits),
             one.expires_at, one.created_at, one.reason, one.author]
            for one in shapes
        ),
        empty="This project gave nothing to others, and got nothing from them.",
    )  # fmt: skip
