"""Copies that work on the same samples at the same time come to what one copy alone comes to."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance import stored
from tests.core import Core, new_core, opened_core
from tests.integration.three_meters import (
    AT_ONCE,
    FILE,
    HOUR_MS,
    expected,
    hours_ago,
    of_every_meter,
    of_project,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


@pytest.mark.parametrize("known_until", [200_000, 1000], ids=["between", "behind"])
async def test_two_copies_split_the_same_neighbours_in_every_order(
    core: Core, database_url: str, known_until: int
) -> None:
    """Each gets one of two samples, between known ones or behind them; who rates when varies."""
    one, other = core, new_core(core.pool)
    start = await hours_ago(core, 3) + HOUR_MS - 60_000
    orders = dict(enumerate(permutations(["push first", "push second", "rate here", "rate there"])))
    samples = [
        known
        for number in orders
        for at, value in ((0, 10.0), (known_until, 90.0))
        for known in of_every_meter(f"p{number}", start + at, value)
    ]
    await one.push(samples)
    await one.rate()
    for number, order in orders.items():
        first = of_every_meter(f"p{number}", start + 100_000, 70, "f")
        second = of_every_meter(f"p{number}", start + 120_000, 30, "g")
        samples += [*first, *second]
        steps: dict[str, Callable[[], Awaitable[Any]]] = {
            "push first": partial(one.push, first),
            "push second": partial(other.push, second),
            "rate here": one.rate,
            "rate there": other.rate,
        }
        for step in order:
            await steps[step]()
        await (one if number % 2 else other).rate()

    charges = await stored.charges(database_url)
    for number, order in orders.items():
        assert expected(samples, f"p{number}") == of_project(charges, f"p{number}"), order


@pytest.mark.parametrize("fails", [False, True], ids=["commits", "rolls back"])
@pytest.mark.parametrize("known_until", [200_000, 1000], ids=["between", "behind"])
async def test_a_copy_that_waits_for_another_sees_what_that_one_did(
    core: Core, known_until: int, fails: bool
) -> None:
    """The first has rated its sample and not committed when the second begins, or books."""
    one, other, third = core, new_core(core.pool), new_core(core.pool)
    start = await hours_ago(core, 2)
    samples = [
        *of_every_meter("p", start, 10),
        *of_every_meter("p", start + known_until, 90),
    ]
    for copy in (other, third, one):
        await copy.push(samples)
        await copy.rate()
    first = of_every_meter("p", start + 100_000, 70, "f")
    second = of_every_meter("p", start + 120_000, 30, "g")
    await one.push(first)
    waiting: list[asyncio.Task[int]] = []

    async def rate_first() -> None:
        async with one.rater.turn() as conn:
            assert await one.rater.rate_all(conn)
            await other.push(second)
            assert 0 == await other.rater.run()
            waiting.extend(asyncio.create_task(copy.book(grace=AT_ONCE)) for copy in (other, third))
            await asyncio.sleep(0.05)
            assert not any(task.done() for task in waiting)
            if fails:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) if fails else nullcontext():
        await rate_first()
    await asyncio.gather(*waiting)
    await one.rate()

    assert expected([*samples, *first, *second], "p") == await core.charged("p")
