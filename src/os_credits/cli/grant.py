"""Grants: given, topped up, taken back, listed."""

from __future__ import annotations

from typing import Annotated

import typer

from os_credits.api.account_shapes import GrantPage, GrantShape
from os_credits.api.grants import grant_shapes
from os_credits.cli.database import with_database
from os_credits.cli.decisions import Reason, checked_reason
from os_credits.cli.decisions import hour as hour_of
from os_credits.cli.instructing import (
    Amount,
    GrantId,
    Key,
    Priority,
    carry_out,
    key_of,
    positive,
    say_done,
    shown_hour,
)
from os_credits.cli.operator import author
from os_credits.cli.output import Json, credits_cell, examples, print_json, print_table
from os_credits.cli.project import Domain, ProjectName, Site, find
from os_credits.domain.grant import GrantRequest, Terms
from os_credits.domain.instruction import Instruction, TopUp, Void
from os_credits.domain.project import Project
from os_credits.settings import Settings
from os_credits.store import grants as store
from os_credits.store.pool import Connection, Pool, snapshot

# How many grants are read at once.
PAGE_GRANTS_MAX = 1000


def add_to(program: typer.Typer) -> None:
    """Give the program these commands."""
    program.command(
        epilog=examples(
            'os-credits grant biobank 50000 --reason "Budget 2026"',
            "os-credits grant biobank 99.5 --reason Workshop --idempotency-key workshop-7",
            "os-credits grant biobank 1000 --reason Trial --valid-from 2026-02-01T00:00Z \\\n"
            "      --expires-at 2026-05-01T00:00Z --priority -1",
        )
    )(grant)
    program.command(epilog=examples("os-credits grants biobank"))(grants)
    program.command(
        "top-up", epilog=examples('os-credits top-up biobank 7 500 --reason "More samples"')
    )(top_up)
    program.command(epilog=examples('os-credits void biobank 7 --reason "Wrong project"'))(void)


def grant(
    project: ProjectName,
    amount: Amount,
    reason: Reason,
    valid_from: Annotated[
        str | None,
        typer.Option(
            metavar="HOUR",
            help="From when they count: a full hour like 2026-02-01T14:00Z, UTC if it names no "
            "zone; the current one if not given. Past hours are allowed.",
        ),
    ] = None,
    expires_at: Annotated[
        str | None,
        typer.Option(metavar="HOUR", help="When the rest is gone; never if not given."),
    ] = None,
    priority: Priority = 0,
    idempotency_key: Key = None,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Give credits to a project; debt is paid first.

    The project must exist: it does after its first sample, or by os-credits project add. As
    long as nothing of it is burned, os-credits void takes a grant back.
    """
    given, key, why = positive(amount), key_of(idempotency_key), checked_reason(reason)
    terms = Terms(
        None if valid_from is None else hour_of(valid_from, "--valid-from"),
        None if expires_at is None else hour_of(expires_at, "--expires-at"),
        priority,
    )

    async def make(_conn: Connection, found: Project) -> Instruction:
        return GrantRequest(found.id, given, why, author(), key, terms)

    carried = carry_out(project, site, domain, make)
    sentence = f"{carried.project.name} got {given:f} credits"
    if carried.done.effect.entry_id is None and terms.valid_from is not None:
        start = shown_hour(terms.valid_from)
        sentence = f"{carried.project.name} gets {given:f} credits at {start}"
    say_done(carried, sentence, as_json=as_json)


def grants(
    project: ProjectName, site: Site = None, domain: Domain = None, as_json: Json = False
) -> None:
    """List what a project was given, and what of each grant is burned, expired and left."""

    async def work(pool: Pool, settings: Settings) -> tuple[list[GrantShape], int]:
        shapes: list[GrantShape] = []
        async with snapshot(pool) as conn:
            found = await find(conn, project, site, domain)
            while True:
                page = await store.list_grants(
                    conn,
                    found.id,
                    after_id=shapes[-1].id if shapes else 0,
                    limit=PAGE_GRANTS_MAX,
                )
                shapes += await grant_shapes(conn, found.id, page)
                if len(page) < PAGE_GRANTS_MAX:
                    return shapes, settings.precision

    shapes, digits = with_database(work)
    if as_json:
        print_json(GrantPage(grants=shapes, next=None))
        return
    print_table(
        ["GRANT>", "KIND", "STATE", "FROM", "UNTIL", "PRIORITY>", "AMOUNT>", "BURNED>", "EXPIRED>",
         "LEFT>", "REASON", "BY"],
        (
            [one.id, one.kind.value, one.state.value, one.valid_from, one.expires_at, one.priority,
             *(credits_cell(value, digits)
               for value in (one.amount, one.burned, one.expired, one.left)),
             one.reason, one.author]
            for one in shapes
        ),
        empty="This project was given nothing.",
    )  # fmt: skip


def top_up(
    project: ProjectName,
    grant: GrantId,
    amount: Amount,
    reason: Reason,
    idempotency_key: Key = None,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Add credits on the terms of a grant: they burn and expire with it."""
    given, key, why = positive(amount), key_of(idempotency_key), checked_reason(reason)

    async def make(_conn: Connection, found: Project) -> Instruction:
        return TopUp(found.id, grant, given, why, author(), key)

    carried = carry_out(project, site, domain, make)
    sentence = f"grant {grant} of {carried.project.name} is topped up by {given:f} credits"
    say_done(carried, sentence, as_json=as_json)


def void(
    project: ProjectName,
    grant: GrantId,
    reason: Reason,
    idempotency_key: Key = None,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Take back a grant of which nothing is burned.

    What burns already is put right by os-credits adjust.
    """
    key, why = key_of(idempotency_key), checked_reason(reason)

    async def make(_conn: Connection, found: Project) -> Instruction:
        return Void(found.id, grant, why, author(), key)

    carried = carry_out(project, site, domain, make)
    sentence = f"{carried.project.name} has its grant no more"
    say_done(carried, sentence, as_json=as_json)
