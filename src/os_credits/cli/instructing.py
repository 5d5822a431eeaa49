"""What the commands that change an account have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import uuid4

import typer

from os_credits.api.instructions import KEY_LENGTH_MAX, answer_of
from os_credits.cli.database import with_database
from os_credits.cli.output import credits_cell, print_json, say
from os_credits.cli.project import find
from os_credits.domain.amount import Credits, credits_of
from os_credits.domain.instruction import Instruction
from os_credits.domain.project import Project
from os_credits.errors import InvalidInput
from os_credits.flows.accounts import Done, instruct
from os_credits.settings import Settings
from os_credits.store.pool import Connection, Pool, connection

Amount = Annotated[
    str,
    typer.Argument(
        metavar="AMOUNT",
        help="Credits, more than 0, up to six digits after the point.",
        show_default=False,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        help="With the same key, the same is done once however often it is repeated; a random "
        "one if not given.",
    ),
]
Priority = Annotated[int, typer.Option(help="The smaller, the earlier these credits burn.")]
GrantId = Annotated[
    int, typer.Argument(metavar="GRANT", help="The grant's number.", show_default=False)
]


@dataclass(frozen=True, slots=True)
class Carried:
    """An instruction that was carried out, on whose account, and how many digits to show."""

    project: Project
    key: str
    done: Done
    digits: int


def positive(amount: str) -> Credits:
    """Read an amount that must be more than 0."""
    given = credits_of(amount, where="AMOUNT")
    if given <= 0:
        raise InvalidInput("must be more than 0", where="AMOUNT")
    return given


def key_of(key: str | None) -> str:
    """Take the key that was given, or make one."""
    if key is None:
        return uuid4().hex
    if not key.strip() or not key.isprintable() or len(key) > KEY_LENGTH_MAX:
        raise InvalidInput(f"1 to {KEY_LENGTH_MAX} printable characters", where="--idempotency-key")
    return key


def carry_out(
    project: str,
    site: str | None,
    domain: str | None,
    make: Callable[[Connection, Project], Awaitable[Instruction]],
) -> Carried:
    """Find the project, make the instruction for it, and carry that out."""

    async def work(pool: Pool, settings: Settings) -> Carried:
        from os_credits.jobs import watch_of  # it takes a while to load

        async with connection(pool) as conn:
            found = await find(conn, project, site, domain)
            instruction = await make(conn, found)
        done = await instruct(pool, instruction, watch_of(settings))
        return Carried(found, instruction.idempotency_key, done, settings.precision)

    return with_database(work)


def say_done(carried: Carried, sentence: str, *, as_json: bool) -> None:
    """Say what was done, with the numbers of what it made and what is left."""
    answer = answer_of(carried.done, carried.key)
    if as_json:
        print_json(answer)
        return
    numbers = ", ".join(
        f"{what} {number}"
        for what, number in (
            ("transfer", answer.transfer_id),
            ("allowance", answer.allowance_id),
            ("grant", answer.grant_id),
            ("entry", answer.entry_id),
        )
        if number is not None
    )
    left = credits_cell(carried.done.balance.current, carried.digits)
    if answer.created:
        say(f"{sentence} ({numbers}); {left} are left")
    else:
        say(f"{carried.project.name}: the same was done before ({numbers}); nothing was added,"
            f" {left} are left")  # fmt: skip


def shown_hour(moment: datetime) -> str:
    """Write a full hour in a sentence."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
