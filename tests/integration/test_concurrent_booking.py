"""Copies that book, grant and take samples at once keep every account."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.grant import GrantRequest
from os_credits.store.balances import read_balances
from os_credits.store.pool import snapshot
from tests.acceptance import stored
from tests.core import Core, grant, new_core, opened_core
from tests.integration.three_meters import (
    AT_ONCE,
    FILE,
    booked,
    expected,
    hours_ago,
    of_every_meter,
    sample,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SEED = 31


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


async def test_three_copies_that_book_at_once_book_everything_once(
    core: Core, database_url: str
) -> None:
    """They close, book and correct while the same unruly samples come in at all of them."""
    copies = [core, new_core(core.pool), new_core(core.pool)]
    chance = Random(SEED)
    start = await hours_ago(core, 30)
    samples = [
        one
        for project in ("p0", "p1")
        for at in range(60)
        for one in of_every_meter(
            project, start + at * 1_700_000, chance.randrange(500), chance.choice("fg")
        )
    ]

    async def push_all(copy: Core, luck: Random) -> None:
        unruly = luck.sample(samples, len(samples))
        for first in range(0, len(unruly), 20):
            await copy.push(unruly[first : first + 20])

    async def book_on(copy: Core) -> None:
        for _ in range(12):
            await copy.book(grace=AT_ONCE)

    await asyncio.gather(
        *(push_all(copy, Random(number)) for number, copy in enumerate(copies)),
        *(book_on(copy) for copy in copies),
    )
    await core.book(grace=AT_ONCE)

    for project in ("p0", "p1"):
        assert expected(samples, project) == await booked(database_url, project)
    assert [] == await stored.unbalanced(database_url)
    assert [] == await stored.broken_links(database_url)
    assert [] == await stored.query(
        database_url,
        "SELECT FROM entry WHERE kind = 'usage' GROUP BY project_id, meter_id, flavor_id, hour"
        " HAVING count(*) > 1",
    )
    ((corrections,),) = await stored.query(
        database_url, "SELECT count(*) FROM entry WHERE kind = 'correction'"
    )
    assert corrections > 0


async def test_twenty_writers_on_one_project_keep_its_balance(
    core: Core, database_url: str
) -> None:
    """Grants, samples and bookings at once; at every moment the balance is their sum."""
    copies = [core, new_core(core.pool), new_core(core.pool)]
    start = await hours_ago(core, 20)
    samples = [sample("p", "counter", start + at * 600_000, float(at)) for at in range(100)]
    await core.push(samples[:1])
    await core.rate()
    ((project_id,),) = await stored.query(database_url, "SELECT id FROM project")
    done = asyncio.Event()

    async def give(number: int) -> None:
        for turn in range(5):
            key = f"{number} {turn}"
            request = GrantRequest(project_id, credits_of("10"), "start", "tester", key)
            for _ in range(2):
                await grant(core.pool, request, percents=[Decimal(20)])

    async def push_part(number: int) -> None:
        for one in samples[number::5]:
            await copies[number % 3].push([one])

    async def book_on(copy: Core) -> None:
        for _ in range(10):
            await copy.book(grace=AT_ONCE)

    async def watch() -> int:
        looks = 0
        while not done.is_set():
            assert [] == await stored.unbalanced(database_url)
            async with snapshot(core.pool) as conn:
                balance = (await read_balances(conn, [project_id]))[project_id]
                charged = await conn.fetchval("SELECT coalesce(sum(charged), 0) FROM charge")
            assert balance.granted - charged == balance.current
            looks += 1
        return looks

    watching = asyncio.create_task(watch())
    await asyncio.gather(
        *(give(number) for number in range(10)),
        *(push_part(number) for number in range(5)),
        *(book_on(copies[number % 3]) for number in range(5)),
    )
    done.set()
    assert await watching > 0
    await core.book(grace=AT_ONCE)

    async with snapshot(core.pool) as conn:
        balance = (await read_balances(conn, [project_id]))[project_id]
    assert (Decimal(500), Decimal(0), Decimal(401)) == (
        balance.granted, balance.tally, balance.current,
    )  # fmt: skip
    assert [] == await stored.broken_links(database_url)
    ((count, last),) = await stored.query(database_url, "SELECT count(*), max(sequence) FROM entry")
    assert count == last
