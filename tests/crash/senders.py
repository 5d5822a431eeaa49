"""Exporters and what stands behind them: each sends its points until they are acknowledged."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp

from tests.acceptance.conftest import Service
from tests.acceptance.traffic import Point, points_of, push

DAY_MS = 86_400_000
BODY_POINTS = 60
OLD_POINTS = 20
PAUSE_SECONDS = 0.05
RETRY_SECONDS = 0.1
REPLAY_SHARE = 0.25
GRANT_SHARE = 0.2
# How many bodies of the past are kept to be sent again.
BODIES_MAX = 200

Body = list[Point]


@dataclass
class Sender:
    """A project's exporter with the Prometheus and Telegraf behind it, which send the same.

    A body goes to one copy of the service, or twice at the same time; or it is cut in halves,
    with some old points and in no order, and the halves meet each other on their way, so that
    two copies work on one series with samples that the other does not have. Some bodies of the
    past, its own and others', are sent again though they were acknowledged. A calm sender does
    none of this, so that no duplicate leads a copy to see that it is not alone. Now and then
    somebody grants the project a credit.
    """

    project: str
    chance: random.Random
    doors: Callable[[], list[Service]]
    past: list[Body]
    days: float
    is_calm: bool
    acknowledged: set[Point] = field(default_factory=set)
    failures: int = 0
    replays: int = 0
    grants: int = 0
    _own: list[Body] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop; what was begun is acknowledged then."""
        points = self._points()
        while not stop.is_set():
            body = [next(points) for _ in range(BODY_POINTS)]
            for turn in self._turns(body):
                await asyncio.gather(*(self._send(part) for part in turn))
            if not self.is_calm and self.past and self.chance.random() < REPLAY_SHARE:
                self.replays += 1
                await self._send(self.chance.choice(self.past))
            if self.chance.random() < GRANT_SHARE:
                await self._grant()
            self._own.append(body)
            self.past[:] = [*self.past[1 - BODIES_MAX :], body]
            await asyncio.sleep(PAUSE_SECONDS)

    def _points(self) -> Iterator[Point]:
        """Go from some days before to the present; then again, and all is late."""
        days = self.days
        while True:
            now_ms = time.time_ns() // 10**6
            for point in points_of(self.project, now_ms - int(days * DAY_MS), self.chance):
                if point.time_ms > now_ms:
                    break
                yield point
            days = self.chance.uniform(0.2, 20)

    def _turns(self, body: Body) -> list[list[Body]]:
        """Say which bodies are sent at the same time, at first and after that."""
        ways = ["once"] if self.is_calm else ["once", "twice", "twice", "unruly"]
        match self.chance.choice(ways):
            case "once":
                return [[body]]
            case "twice":
                return [[body, body]]
        old = self.chance.choice(self._own or [body])
        first = [*body[::2], *self.chance.sample(old, OLD_POINTS)]
        halves = [self.chance.sample(first, len(first)), body[1::2]]
        return [halves, halves[::-1]]

    async def _send(self, body: Body) -> None:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                if await push(self.chance.choice(self.doors()), body, self.chance) == 204:
                    self.acknowledged.update(point for point in body if self._is_ours(point))
                    return
            self.failures += 1
            await asyncio.sleep(RETRY_SECONDS)

    async def _grant(self) -> None:
        """Give one credit, with one key for all attempts; a project may not be known yet."""
        request = {"amount": "1", "idempotency_key": f"{self.project} {self.grants}"}
        path = f"/api/v1/projects/{self.project}/grants"
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                door = self.chance.choice(self.doors())
                async with door.request("POST", path, key="admin", json=request) as response:
                    assert response.status in (200, 201, 404, 503), await response.text()
                    if response.status in (200, 201):
                        self.grants += 1
                    if response.status != 503:
                        return
            self.failures += 1
            await asyncio.sleep(RETRY_SECONDS)

    def _is_ours(self, point: Point) -> bool:
        return point.project == self.project


@asynccontextmanager
async def sending(senders: list[Sender]) -> AsyncIterator[None]:
    """Let them send meanwhile; at the end everything that was begun is acknowledged."""
    stop = asyncio.Event()
    work = asyncio.ensure_future(asyncio.gather(*(sender.run(stop) for sender in senders)))
    try:
        yield
        stop.set()
        await work
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
