"""Once an hour the heads of all accounts enter one chain."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.entry import CHAIN_START
from os_credits.ledger.chain import seal_hash
from os_credits.store.accounts import stream_seals
from os_credits.store.pool import connection, transaction
from os_credits.store.seals import append_seal, read_last_seal
from tests.core import Core, new_core, opened_core
from tests.integration.full_account import FILE, GRACE, HOUR_MS, book_all, give, seal, vcpu

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.domain.seal import Seal, SealedHead

LATER = GRACE + timedelta(hours=2)


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


async def use(core: Core, *projects: str, value: float = 7) -> None:
    """Let projects use something in a closed hour."""
    hour = await core.now_ms() // HOUR_MS * HOUR_MS - 5 * HOUR_MS
    for project in projects:
        await core.push([vcpu(project, hour, 0), vcpu(project, hour + 60_000 * int(value), value)])
    await book_all(core)


async def seals_of(core: Core) -> dict[int, tuple[Seal, list[SealedHead]]]:
    seals: dict[int, tuple[Seal, list[SealedHead]]] = {}
    async with transaction(core.pool) as conn:
        async for one, head in stream_seals(conn):
            assert head is not None
            seals.setdefault(one.id, (one, []))[1].append(head)
    return seals


async def test_the_heads_of_all_accounts_are_sealed_once(core: Core) -> None:
    await use(core, "alpha", "beta")

    assert 2 == await seal(core, grace=GRACE)
    assert 0 == await seal(core, grace=GRACE)

    ((made, heads),) = (await seals_of(core)).values()
    assert CHAIN_START == made.previous_hash
    assert seal_hash(CHAIN_START, made.sealed_at, heads) == made.hash
    async with connection(core.pool) as conn:
        stored = await conn.fetch("SELECT project_id, sequence, hash FROM entry")
    assert {tuple(row) for row in stored} == {
        (one.project_id, one.sequence, one.hash) for one in heads
    }


async def test_only_accounts_that_grew_enter_the_next_seal(core: Core) -> None:
    await use(core, "alpha", "beta")
    await seal(core, grace=GRACE)
    await give(core, "beta", 5, "one")

    assert 0 == await seal(core, grace=GRACE)  # no hour was closed since
    assert 1 == await seal(core, grace=LATER)
    assert 0 == await seal(core, grace=LATER + timedelta(hours=1))  # nothing is new

    (first, _), (second, heads) = (await seals_of(core)).values()
    assert first.hash == second.previous_hash
    assert [2] == [head.sequence for head in heads]


async def test_nothing_is_sealed_before_booking_has_closed_the_hour(core: Core) -> None:
    await use(core, "alpha")
    async with transaction(core.pool) as conn:
        await conn.execute("UPDATE rating_state SET closed_until = closed_until - interval '1 h'")

    assert 0 == await seal(core, grace=GRACE)

    await core.book(grace=GRACE)
    assert 1 == await seal(core, grace=GRACE)


async def test_copies_that_seal_at_once_make_one_chain(core: Core) -> None:
    await use(core, "alpha", "beta")
    copies = [core, new_core(core.pool), new_core(core.pool)]

    counts = await asyncio.gather(*(seal(copy, grace=GRACE) for copy in copies))

    assert [0, 0, 2] == sorted(counts)
    assert 1 == len(await seals_of(core))


async def test_two_seals_cannot_follow_the_same_one(core: Core) -> None:
    await use(core, "alpha")
    await seal(core, grace=GRACE)
    async with connection(core.pool) as conn:
        last = await read_last_seal(conn)
        assert last is not None
        ((_, heads),) = (await seals_of(core)).values()

        with pytest.raises(Exception, match="seal_previous_hash_key"):
            await append_seal(
                conn,
                heads,
                sealed_at=last.sealed_at,
                previous_hash=last.previous_hash,
                seal_hash=last.hash,
            )
