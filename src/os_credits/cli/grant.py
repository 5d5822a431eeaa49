"""Gives credits to a project."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

import typer

from os_credits.api.shapes import BalanceShape, GrantAnswer
from os_credits.cli.database import with_database
from os_credits.cli.operator import author
from os_credits.cli.output import Json, credits_cell, examples, print_json, say
from os_credits.cli.project import Domain, ProjectName, Site, find
from os_credits.domain.amount import credits_of
from os_credits.domain.grant import GrantRequest
from os_credits.domain.project import Project
from os_credits.errors import InvalidInput
from os_credits.flows.book import GrantResult
from os_credits.flows.book import grant as give
from os_credits.settings import Settings
from os_credits.store.pool import Pool, connection

TEXT_LENGTH_MAX = 1024
KEY_LENGTH_MAX = 200


def add_to(program: typer.Typer) -> None:
    """Give the program this command."""
    program.command(
        epilog=examples(
            'os-credits grant biobank 50000 --reason "Budget 2026"',
            "os-credits grant biobank 99.5 --reason Workshop --idempotency-key workshop-7",
            "os-credits grant biobank 1000 --site berlin --reason Trial --json",
        )
    )(grant)


def grant(
    project: ProjectName,
    amount: Annotated[
        str,
        typer.Argument(
            metavar="AMOUNT",
            help="Credits, more than 0, up to six digits after the point.",
            show_default=False,
        ),
    ],
    reason: Annotated[
        str, typer.Option(help="Why, for the account's readers.", show_default=False)
    ],
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="With the same key, the same grant is made once however often it is repeated; "
            "a random one if not given.",
        ),
    ] = None,
    site: Site = None,
    domain: Domain = None,
    as_json: Json = False,
) -> None:
    """Give credits to a project; its balance rises at once.

    A grant cannot be taken back, so mind the amount. The project must exist: it does after its
    first sample, or by os-credits project add.
    """
    given = credits_of(amount, where="AMOUNT")
    if given <= 0:
        raise InvalidInput("must be more than 0", where="AMOUNT")
    key = uuid4().hex if idempotency_key is None else idempotency_key
    _check("--reason", reason, TEXT_LENGTH_MAX)
    _check("--idempotency-key", key, KEY_LENGTH_MAX)

    async def work(pool: Pool, settings: Settings) -> tuple[Project, GrantResult, int]:
        async with connection(pool) as conn:
            found = await find(conn, project, site, domain)
        request = GrantRequest(found.id, given, reason, author(), key)
        result = await give(pool, request, percents=settings.notice_percents)
        return found, result, settings.precision

    found, result, precision = with_database(work)
    if as_json:
        balance = BalanceShape.model_validate(result.balance)
        answer = GrantAnswer(
            entry_id=result.entry_id,
            created=result.created,
            idempotency_key=key,
            balance=balance,
        )
        print_json(answer)
        return
    left = credits_cell(result.balance.current, precision)
    if result.created:
        say(f"{found.name} got {given:f} credits (entry {result.entry_id}); {left} are left")
    else:
        say(f"{found.name} had got these credits already (entry {result.entry_id}); nothing was"
            f" added, {left} are left")  # fmt: skip


def _check(where: str, text: str, length_max: int) -> None:
    if not text.strip() or not text.isprintable() or len(text) > length_max:
        raise InvalidInput(f"1 to {length_max} printable characters", where=where)
