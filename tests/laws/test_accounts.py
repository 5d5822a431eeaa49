"""Accounts are a function of what was told to them, in any order of arrival, by any number."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from os_credits.domain.allowance import AllowanceEnd, AllowanceRequest, next_month
from os_credits.domain.amount import credits_of
from os_credits.domain.grant import GrantRequest, Terms
from os_credits.domain.instruction import Adjustment, Instruction, TopUp, Transfer, Void
from os_credits.errors import Conflict, InvalidInput
from os_credits.flows.accounts import instruct
from os_credits.flows.burn import read_burned
from os_credits.store.batches import read_now
from os_credits.store.pool import Pool, connection, open_pool
from tests.core import Core, opened_core
from tests.frozen_clock import freeze
from tests.laws.account_soak import AccountTally, soak
from tests.laws.account_world import ACCOUNTS, FILE, METER, TRANSFERS, WATCH
from tests.laws.tally import say

# Sequences that are played on every run; among them are those that noticed mutations.
SEEDS = (11, 12, 13)
WRITERS = 20
MONTH = datetime(2031, 5, 1, tzinfo=UTC)
YEAR_END = datetime(2032, 1, 1, tzinfo=UTC)
# What a key does not stand for: itself, and who repeats it.
UNBOUND = {"author", "idempotency_key"}


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as one:
        yield one


@pytest.fixture
async def pools(core: Core, database_url: str) -> AsyncIterator[list[Pool]]:
    """Give the pools of two copies of the service."""
    other = await open_pool(database_url, connections_max=8, statement_timeout_seconds=60)
    try:
        yield [core.pool, other]
    finally:
        await other.close()


async def projects(core: Core) -> list[int]:
    """Let the service hear of two projects, each of which uses one thing."""
    now = await core.now_ms()
    names = ("ada", "bob")
    await core.push(
        [({"__name__": METER, "project": name, "flavor": "f"}, now, 1) for name in names]
    )
    await core.rate()
    async with connection(core.pool) as conn:
        rows = await conn.fetch("SELECT id FROM project WHERE name = ANY($1) ORDER BY name", names)
    return [row[0] for row in rows]


async def each_action(core: Core) -> list[Instruction]:
    """Give one instruction of each kind that the account allows."""
    ada, bob = await projects(core)
    ten, soon = credits_of(10), datetime(2031, 1, 1, tzinfo=UTC)
    base = await instruct(core.pool, GrantRequest(ada, credits_of(100), "", "op", "base"), WATCH)
    terms = Terms(None, soon, 7)
    spare = await instruct(
        core.pool, GrantRequest(ada, ten, "", "op", "spare", Terms(None, soon, 9)), WATCH
    )
    monthly = AllowanceRequest(ada, ten, MONTH, None, True, "m", "op", "monthly")
    allowed = await instruct(core.pool, monthly, WATCH)
    assert base.effect.grant_id
    assert spare.effect.grant_id
    assert allowed.effect.allowance_id
    later = next_month(MONTH)
    return [
        GrantRequest(ada, ten, "g", "op", "k-grant", terms),
        GrantRequest(ada, ten, "g", "op", "k-future", Terms(soon, None, 0)),
        TopUp(ada, base.effect.grant_id, ten, "t", "op", "k-top"),
        Adjustment(ada, ten, "a", "op", "k-up"),
        Adjustment(ada, credits_of(-10), "a", "op", "k-down"),
        Transfer(ada, bob, ten, soon, "m", "op", "k-transfer"),
        Void(ada, spare.effect.grant_id, "v", "op", "k-void"),
        AllowanceRequest(ada, ten, MONTH, YEAR_END, False, "l", "op", "k-allow", 3),
        AllowanceEnd(ada, allowed.effect.allowance_id, later, "e", "op", "k-end"),
    ]


async def counts(pool: Pool) -> dict[str, int]:
    """Count what instructions leave behind."""
    tables = ("entry", "project_grant", "transfer", "allowance", "allowance_end", "grant_void",
              "pending_grant", "instruction")  # fmt: skip
    async with connection(pool) as conn:
        return {name: await conn.fetchval(f"SELECT count(*) FROM {name}") for name in tables}


LEFT: dict[str, dict[str, int]] = {
    "k-grant": {"entry": 1, "project_grant": 1},
    "k-future": {"project_grant": 1, "pending_grant": 1},
    "k-top": {"entry": 1, "project_grant": 1},
    "k-up": {"entry": 1, "project_grant": 1},
    "k-down": {"entry": 1},
    "k-transfer": {"entry": 2, "project_grant": 1, "transfer": 1},
    "k-void": {"entry": 1, "grant_void": 1},
    "k-allow": {"allowance": 1},
    "k-end": {"allowance_end": 1},
}


def test_accounts_are_a_function_of_what_happened(database_url: str) -> None:
    """The same as `make soak-accounts`, which tries hundreds."""
    tally = AccountTally()

    asyncio.run(soak(database_url, SEEDS, tally))

    say(f"{tally}, {tally.rate:.1f} sequences/s, {dict(tally.entries)}")
    assert (len(SEEDS), 0) == (tally.sets, tally.mismatches)


async def test_twenty_who_tell_the_same_have_one_effect(core: Core, pools: list[Pool]) -> None:
    for instruction in await each_action(core):
        before = await counts(core.pool)

        answers = await asyncio.gather(
            *(instruct(pools[one % 2], instruction, WATCH) for one in range(WRITERS))
        )

        after = await counts(core.pool)
        left = {name: after[name] - before[name] for name in after if after[name] > before[name]}
        assert 1 == sum(answer.created for answer in answers)
        assert 1 == len({answer.effect for answer in answers})
        assert LEFT[instruction.idempotency_key] | {"instruction": 1} == left


async def test_twenty_who_tell_different_things_at_once_lose_nothing(
    core: Core, pools: list[Pool]
) -> None:
    ada, bob = await projects(core)
    for one in (ada, bob):
        await instruct(
            pools[0], GrantRequest(one, credits_of(1000), "", "op", f"base {one}"), WATCH
        )

    def told(number: int) -> Instruction:
        here, there = (ada, bob) if number % 2 else (bob, ada)
        amount, key = credits_of(number + 1), f"k{number}"
        if number % 3 == 0:
            return GrantRequest(here, amount, "g", "op", key)
        if number % 3 == 1:
            return Adjustment(here, credits_of(-number - 1), "a", "op", key)
        return Transfer(here, there, amount, None, "m", "op", key)

    await asyncio.gather(
        *(instruct(pools[number % 2], told(number), WATCH) for number in range(WRITERS)),
        *(core.rate() for _ in range(3)),
        *(core.book(grace=timedelta(0)) for _ in range(3)),
        *(core.pass_time() for _ in range(3)),
    )

    async with connection(core.pool) as conn:
        rows = await conn.fetch(ACCOUNTS, [ada, bob])
        transfers = await conn.fetchval(TRANSFERS)
    given = sum(number + 1 for number in range(0, WRITERS, 3))
    taken = sum(number + 1 for number in range(1, WRITERS, 3))
    assert Decimal(2000 + given - taken) == sum(row["booked"] for row in rows)
    assert 0 == transfers


def others(instruction: Any) -> Iterator[Instruction]:
    """Give the same instruction with each of its fields changed."""
    for field in fields(instruction):
        value = getattr(instruction, field.name)
        if field.name == "terms":
            yield from (replace(instruction, terms=terms) for terms in other_terms(value))
        elif field.name not in UNBOUND:
            yield replace(instruction, **{field.name: other(value)})


def other_terms(terms: Terms) -> Iterator[Terms]:
    start, end = datetime(2030, 1, 1, tzinfo=UTC), datetime(2032, 1, 1, tzinfo=UTC)
    yield replace(terms, valid_from=start)
    yield replace(terms, expires_at=end)
    yield replace(terms, priority=terms.priority + 1)


def other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | Decimal():
            return value + 10
        case str():
            return f"{value} "
        case datetime():
            return next_month(next_month(value))
        case None:
            return datetime(2033, 1, 1, tzinfo=UTC)
    raise TypeError(value)


async def test_a_key_with_other_content_is_refused_for_every_action_and_field(core: Core) -> None:
    told = await each_action(core)
    for instruction in told:
        await instruct(core.pool, instruction, WATCH)
    before = await counts(core.pool)

    tried = 0
    for instruction in told:
        of_others = [replace(one, idempotency_key=instruction.idempotency_key)  # type: ignore[type-var]
                     for one in told if one.action != instruction.action]  # fmt: skip
        for different in [*others(instruction), *of_others]:
            with pytest.raises(Conflict, match=instruction.idempotency_key):
                await instruct(core.pool, different, WATCH)
            tried += 1
        by_another: Any = replace(instruction, author="another")  # type: ignore[type-var]
        assert not (await instruct(core.pool, by_another, WATCH)).created

    assert before == await counts(core.pool)
    assert tried > 90


async def test_no_text_makes_two_contents_one(core: Core) -> None:
    ada, _ = await projects(core)
    forged = GrantRequest(ada, credits_of(1), "x\x1fpriority=5", "op", "k")

    with pytest.raises(InvalidInput):
        await instruct(core.pool, forged, WATCH)


async def test_what_ended_a_moment_ago_cannot_be_given_away(database_url: str) -> None:
    """Even if the clock's own step has not come by since."""
    end = datetime(2026, 3, 1, 12, tzinfo=UTC)
    freeze(database_url, end - timedelta(minutes=30))
    async with opened_core(database_url, FILE) as core:
        ada, bob = await projects(core)
        request = GrantRequest(ada, credits_of(10), "", "op", "k1", Terms(None, end, 0))
        await instruct(core.pool, request, WATCH)
        freeze(database_url, end)

        with pytest.raises(Conflict, match="only 0"):
            await instruct(
                core.pool, Transfer(ada, bob, credits_of(1), None, "", "op", "k2"), WATCH
            )


async def test_an_allowance_is_ended_once(core: Core) -> None:
    ada, _ = await projects(core)
    monthly = AllowanceRequest(ada, credits_of(10), MONTH, None, True, "m", "op", "k1")
    allowance_id = (await instruct(core.pool, monthly, WATCH)).effect.allowance_id or 0
    await instruct(core.pool, AllowanceEnd(ada, allowance_id, YEAR_END, "e", "op", "k2"), WATCH)

    with pytest.raises(Conflict, match="once"):
        await instruct(core.pool, AllowanceEnd(ada, allowance_id, MONTH, "e", "op", "k3"), WATCH)


async def test_a_grant_that_was_taken_back_pays_for_nothing(core: Core) -> None:
    ada, _ = await projects(core)
    first = GrantRequest(ada, credits_of(5), "", "op", "k1", Terms(None, None, -1))
    wrong = (await instruct(core.pool, first, WATCH)).effect.grant_id or 0
    right = await instruct(core.pool, GrantRequest(ada, credits_of(10), "", "op", "k2"), WATCH)
    await instruct(core.pool, Void(ada, wrong, "", "op", "k3"), WATCH)
    await instruct(core.pool, Adjustment(ada, credits_of(-4), "", "op", "k4"), WATCH)

    async with connection(core.pool) as conn:
        burned = await read_burned(conn, [ada], await read_now(conn))

    assert [(right.effect.grant_id, 4_000_000, 6_000_000)] == [
        (one.lot.id, one.burned_micro, one.left_micro) for one in burned[ada].states
    ]
