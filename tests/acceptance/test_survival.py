"""What was acknowledged is never lost and never billed twice, whatever dies meanwhile."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.acceptance import stored
from tests.acceptance.accounts import BOOK_AT_ONCE
from tests.acceptance.conftest import Service
from tests.acceptance.own_process import own_process
from tests.acceptance.traffic import Point, charges_of, points_of, push

SEED = int(os.environ.get("SURVIVAL_SEED", "1906"))
DAY_MS = 86_400_000
SENDERS = 4
BODY_POINTS = 60
AGAIN_POINTS = 20
PAUSE_SECONDS = 0.02
RETRY_SECONDS = 0.1
KILLS = 4
CUTS_PER_LIFE = 2
LIFE_SECONDS = (0.8, 2.0)
RATING_SECONDS_MAX = 30


@dataclass
class Sender:
    """A project's exporter and the Prometheus behind it: sends each body until it is taken.

    A body holds new points, in order, for all copies of the service or for one of them; or it
    is unruly: in no order, with some old points, and each copy gets first the half that another
    gets last, so that they work on one series with samples that the others do not have.
    """

    services: list[Service]
    project: str
    chance: random.Random
    acknowledged: list[Point] = field(default_factory=list)
    failures: int = 0

    async def run(self, stop: asyncio.Event, points_max: int) -> None:
        """Send until told to stop, or until so many points were sent."""
        start_ms = time.time_ns() // 10**6 - 20 * DAY_MS
        points = points_of(self.project, start_ms, self.chance)
        while not stop.is_set() and len(self.acknowledged) < points_max:
            body = [next(points) for _ in range(BODY_POINTS)]
            for turn in self._turns(body):
                await asyncio.gather(*(self._send(*one) for one in turn))
            self.acknowledged += body
            await asyncio.sleep(PAUSE_SECONDS)

    def _turns(self, body: list[Point]) -> list[list[tuple[Service, list[Point]]]]:
        """Say which copy gets what, at first and after that."""
        match self.chance.choices(["all", "one", "unruly"], [4, 3, 3]):
            case ["all"]:
                return [[(one, body) for one in self.services]]
            case ["one"]:
                return [[(self.chance.choice(self.services), body)]]
        again = self.chance.choices(self.acknowledged or body, k=AGAIN_POINTS)
        first = [*body[::2], *again]
        halves = [self.chance.sample(first, len(first)), body[1::2]]
        return [
            [(one, halves[(number + turn) % 2]) for number, one in enumerate(self.services)]
            for turn in range(2)
        ]

    async def _send(self, service: Service, body: list[Point]) -> None:
        while True:
            with suppress(aiohttp.ClientError):
                if await push(service, body, self.chance) == 204:
                    return
            self.failures += 1
            await asyncio.sleep(RETRY_SECONDS)


def senders_to(*services: Service) -> list[Sender]:
    """Make the senders, each with its own luck."""
    return [
        Sender(list(services), f"project-{number}", random.Random(f"{SEED} {number}"))
        for number in range(SENDERS)
    ]


@asynccontextmanager
async def sending(
    senders: list[Sender], *, points_max: int = 10**6
) -> AsyncIterator[asyncio.Future[list[None]]]:
    """Let them send meanwhile; at the end everything that was begun is acknowledged."""
    stop = asyncio.Event()
    work = asyncio.ensure_future(
        asyncio.gather(*(sender.run(stop, points_max) for sender in senders))
    )
    try:
        yield work
        stop.set()
        await work
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def cut_connections(url: str) -> int:
    """End all sessions that the service has with its database; gives how many."""
    rows = await stored.query(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'os_credits'",
    )
    return len(rows)


async def lost(url: str, senders: list[Sender]) -> list[Point]:
    """Give the acknowledged points that are neither rated nor waiting."""
    acknowledged = [point for sender in senders for point in sender.acknowledged]
    waiting = await stored.waiting(url)  # first: rating moves points from here to there
    kept = waiting.keys() | (await stored.samples(url)).keys()
    return [point for point in acknowledged if point.place not in kept]


async def check_credits(url: str, senders: list[Sender]) -> None:
    """Wait until all is rated and booked, and compare with the oracle."""
    points = [point for sender in senders for point in sender.acknowledged]
    expected = charges_of(points)
    with suppress(TimeoutError):
        async with asyncio.timeout(RATING_SECONDS_MAX):
            while await stored.waiting(url) or await stored.ledger(url) != expected:
                await asyncio.sleep(0.2)

    assert not await stored.waiting(url)
    assert {point.place for point in points} == set(await stored.samples(url))
    assert expected == await stored.charges(url)
    assert expected == await stored.ledger(url)
    assert [] == await stored.broken_links(url)


async def test_killed_and_cut_off_at_any_moment_it_loses_nothing(
    database_url: str, tmp_path: Path
) -> None:
    """Four senders; the service is killed four times, its database sessions twice in each life."""
    chance, cuts = random.Random(SEED), 0
    async with own_process(database_url, tmp_path, **BOOK_AT_ONCE) as (process, service):
        senders = senders_to(service)
        async with sending(senders):
            for _ in range(KILLS):
                for _ in range(CUTS_PER_LIFE):
                    await asyncio.sleep(chance.uniform(*LIFE_SECONDS) / CUTS_PER_LIFE)
                    cuts += await cut_connections(database_url)
                await asyncio.sleep(chance.uniform(0, 0.3))
                process.kill()
                assert [] == await lost(database_url, senders), f"seed {SEED}"
                await process.start()
        await check_credits(database_url, senders)

    assert cuts >= KILLS * CUTS_PER_LIFE
    assert all(sender.failures for sender in senders)


async def test_two_copies_under_the_same_traffic_bill_as_one(
    database_url: str, tmp_path: Path
) -> None:
    """Everything goes to both copies; one of them is killed on the way and comes back."""
    chance = random.Random(SEED)
    async with (
        own_process(database_url, tmp_path, **BOOK_AT_ONCE) as (process, one),
        own_process(database_url, tmp_path, **BOOK_AT_ONCE) as (_, other),
    ):
        senders = senders_to(one, other)
        async with sending(senders, points_max=4000) as work:
            await asyncio.sleep(chance.uniform(*LIFE_SECONDS))
            process.kill()
            await process.start()
            await work
        await check_credits(database_url, senders)
