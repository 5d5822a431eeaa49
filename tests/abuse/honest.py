"""An honest sender meanwhile: 500 samples, five times a second, each until it is taken.

Every second push comes on a new connection, as from a sender that has just started.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from os_credits.decode.remote_write_encode import encode_v1
from tests.acceptance.senders import V1, vcpu_labels

SAMPLES = 500
PUSH_SECONDS = 0.2
RETRY_SECONDS = 0.2
PUSH_SECONDS_MAX = 30
PROJECT = "honest"


@dataclass(slots=True)
class Honest:
    """The sender and what it saw; `seconds` are of the attempts that were taken."""

    url: str
    key: str
    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    acknowledged: int = 0
    number: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop; what was begun is acknowledged then."""
        async with aiohttp.ClientSession() as session:
            while not stop.is_set():
                started = time.perf_counter()
                await self._push(session)
                await asyncio.sleep(PUSH_SECONDS - (time.perf_counter() - started))

    async def _push(self, session: aiohttp.ClientSession) -> None:
        self.number += 1
        now_ms = time.time_ns() // 10**6
        series = [
            (vcpu_labels(PROJECT, site=f"{number}"), [(now_ms, float(self.number))])
            for number in range(SAMPLES)
        ]
        body = encode_v1(series)
        while True:
            started = time.perf_counter()
            if await self._is_taken(session, body):
                self.seconds.append(time.perf_counter() - started)
                self.acknowledged += SAMPLES
                return
            self.refused += 1
            await asyncio.sleep(RETRY_SECONDS)

    async def _is_taken(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        headers = {**V1, "Authorization": f"Bearer {self.key}"}
        if self.number % 2:
            headers["Connection"] = "close"
        timeout = aiohttp.ClientTimeout(PUSH_SECONDS_MAX)
        try:
            async with session.post(
                f"{self.url}/api/v1/write", data=body, headers=headers, timeout=timeout
            ) as response:
                return response.status == 204
        except (aiohttp.ClientError, TimeoutError):
            return False


@asynccontextmanager
async def sending(honest: Honest) -> AsyncIterator[None]:
    """Let the honest sender send meanwhile."""
    stop = asyncio.Event()
    work = asyncio.create_task(honest.run(stop))
    try:
        yield
        stop.set()
        await work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
