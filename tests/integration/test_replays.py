"""What is sent again, because nobody heard the answer or for no reason, costs nothing more."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.grant import GrantRequest
from os_credits.domain.meter import MeterDefinition
from os_credits.errors import Unavailable
from os_credits.flows.meters import FilePrice, MeterFile
from tests.acceptance import stored
from tests.core import Core, Written, grant, new_core, opened_core
from tests.crash.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

HOUR_MS = 3_600_000
AT_ONCE = timedelta(0)
# How PostgreSQL says that a transaction is durable.
COMMITTED = b"COMMIT\0"
FILE = MeterFile(
    (
        MeterDefinition(
            name="vcpu", metric="vcpu", kind="counter", unit="thing", project_id="project",
        ),
        MeterDefinition(
            name="level", metric="level", kind="gauge", unit="thing", project_id="project",
            flavor="flavor", resource="server",
        ),
    ),
    (FilePrice("vcpu", None, Decimal("0.7")), FilePrice("level", None, Decimal("0.3"))),
)  # fmt: skip


class Cutter:
    """Cuts the connection when a commit is told, once for each time it is armed."""

    def __init__(self) -> None:
        self.is_armed = False

    def __call__(self, answer: bytes) -> bool:
        cuts = self.is_armed and COMMITTED in answer
        self.is_armed = self.is_armed and not cuts
        return cuts


@pytest.fixture
def cutter() -> Cutter:
    return Cutter()


@pytest.fixture
async def core(database_url: str, cutter: Cutter) -> AsyncIterator[Core]:
    """One copy that reaches its database by way of the cutter."""
    place = urlsplit(database_url)
    async with Proxy(place.port or 5432, cuts_before=cutter).listening() as proxy:
        account = place.netloc.rpartition("@")[0]
        by_proxy = place._replace(netloc=f"{account}@127.0.0.1:{proxy.port}")
        async with opened_core(by_proxy.geturl(), FILE) as opened:
            yield opened


def counter(time_ms: int, value: float) -> Written:
    return {"__name__": "vcpu", "project": "p"}, time_ms, value


def level(time_ms: int, value: float, server: str, flavor: str) -> Written:
    labels = {"__name__": "level", "project": "p", "server": server, "flavor": flavor}
    return labels, time_ms, value


async def state_of(url: str) -> dict[str, Any]:
    """Read all that money is made of."""
    return {
        "samples": await stored.samples(url),
        "charges": await stored.charges(url),
        "entries": await stored.query(
            url, "SELECT kind, amount, balance, hour, entry_key FROM entry ORDER BY sequence"
        ),
    }


@pytest.mark.parametrize("cut_step", ["push", "rate", "book", "grant", None])
async def test_a_step_whose_commit_nobody_heard_of_is_repeated_without_effect(
    core: Core, cutter: Cutter, database_url: str, cut_step: str | None
) -> None:
    """The connection is cut after COMMIT and before its answer; None is the undisturbed run."""
    hour = (await core.now_ms() // HOUR_MS - 3) * HOUR_MS
    await core.push([counter(hour, 0), counter(hour + 1000, 5)])
    await core.book(grace=AT_ONCE)
    ((project_id,),) = await stored.query(database_url, "SELECT id FROM project")
    request = GrantRequest(project_id, credits_of("100"), "start", "tester", "key")
    steps: dict[str, Callable[[], Awaitable[Any]]] = {
        "push": lambda: core.push([counter(hour + 2000, 9), counter(hour + 3000, 10)]),
        "rate": core.rate,
        "book": lambda: core.book(grace=AT_ONCE),
        "grant": lambda: grant(core.pool, request, percents=[]),
    }
    for name, step in steps.items():
        cutter.is_armed = name == cut_step
        if cutter.is_armed:
            with pytest.raises(Unavailable):
                await step()
            assert not cutter.is_armed
        await step()
    await core.push([counter(hour + 4000, 11)])
    await core.book(grace=AT_ONCE)

    state = await state_of(database_url)
    assert 5 == len(state["samples"])
    assert [("vcpu", 7_700_000)] == [
        (meter, micro) for (_, meter, _, _), micro in state["charges"].items()
    ]
    assert [
        ("usage", "-3.5"),
        ("correction", "-3.5"),
        ("grant", "100"),
        ("correction", "-0.7"),
    ] == [(kind, f"{amount.normalize():f}") for kind, amount, *_ in state["entries"]]
    assert [] == await stored.broken_links(database_url)


async def test_a_whole_day_that_is_replayed_costs_nothing(core: Core, database_url: str) -> None:
    """Ten times, over two copies at once: as it was, backwards, shuffled, in other bodies."""
    chance = Random(2)
    start = (await core.now_ms() // HOUR_MS - 26) * HOUR_MS
    day = [
        one
        for minute in range(0, 24 * 60, 5)
        for one in (
            counter(start + minute * 60_000, minute * 0.1),
            level(start + minute * 60_000, 8, "s1", "big" if minute > 700 else "small"),
            level(start + minute * 60_000 + 7, minute % 60, "s2", "small"),
        )
    ]
    await core.push(day)
    await core.book(grace=AT_ONCE)
    before = await state_of(database_url)
    copies = [core, new_core(core.pool)]
    replayed = 0

    for turn in range(5):
        await asyncio.gather(*(replay(copy, day, turn, chance) for copy in copies))
        replayed += len(copies) * len(day)
        for copy in copies:
            await copy.book(grace=AT_ONCE)

    assert [] == await stored.query(database_url, "SELECT FROM batch")
    assert replayed == 10 * 864
    assert 864 == len(before["samples"])
    assert 24 + 24 + 13 == len(before["entries"])
    assert before == await state_of(database_url)


async def replay(copy: Core, day: list[Written], turn: int, chance: Random) -> None:
    """Send a day again, in the order and the bodies of this turn."""
    samples = (day, day[::-1], chance.sample(day, len(day)), sorted(day, key=str), day[1::2])[turn]
    size = (len(day), 100, 50, 200, 432)[turn]
    for first in range(0, len(samples), size):
        await copy.push(samples[first : first + size])
        if chance.random() < 0.3:
            await copy.rate()
    if turn == 4:
        await copy.push(day[::2])
