"""Copies of the service on one database, each in its own process behind its own proxy."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from os_credits.domain.access import Scope
from scripts.ports import LOOPBACK
from tests.acceptance.accounts import BOOK_AT_ONCE
from tests.acceptance.conftest import Service, settings_for
from tests.acceptance.own_process import ServiceProcess
from tests.crash.proxy import Proxy

COPIES_MAX = 3
CUT_SHARE = 0.04
REPEAT_SHARE = 0.04
ANSWER_SECONDS_MAX = 10
# Turns are short and many, so that copies meet each other often.
RESTLESS = {"rate_interval_seconds": 0.02, "book_interval_seconds": 0.2}


class Copies:
    """The copies that run; some of them may be dead for the moment."""

    def __init__(self, processes: list[ServiceProcess], proxies: list[Proxy]) -> None:
        self._processes = processes
        self.proxies = proxies
        self._doors: list[Service] = []
        self.wanted = 0

    def doors(self) -> list[Service]:
        """Say where senders reach the copies that ought to run."""
        return self._doors[: self.wanted]

    async def open_doors(self, session: aiohttp.ClientSession, url: str) -> None:
        """Let senders in, by way of the proxies."""
        settings = settings_for(url)
        stranger = Service("", settings, session)
        keys = {one.value: await stranger.new_key(one) for one in (Scope.INGEST, Scope.ADMIN)}
        self._doors = [
            Service(f"http://{LOOPBACK}:{proxy.port}", settings, session, keys)
            for proxy in self.proxies
        ]

    async def bring_up(self, wanted: int) -> None:
        """Start what does not run of so many copies, end well what is too much."""
        self.wanted = wanted
        await asyncio.gather(*(one.stop() for one in self._processes[wanted:]))
        missing = [one for one in self._processes[:wanted] if not one.is_running]
        await asyncio.gather(*(one.start() for one in missing))

    def kill(self, count: int, chance: random.Random) -> int:
        """Kill so many of those that run, if there are; gives how many."""
        running = [one for one in self._processes if one.is_running]
        killed = chance.sample(running, min(count, len(running)))
        for one in killed:
            one.kill()
        return len(killed)

    def times_logged(self, text: str) -> int:
        """Count how often their logs have a text."""
        return sum(one.times_said(text) for one in self._processes)


@asynccontextmanager
async def copies_of(url: str, folder: Path, chance: random.Random) -> AsyncIterator[Copies]:
    """Make processes and proxies; none runs yet."""

    def is_cut(_: bytes) -> bool:
        return chance.random() < CUT_SHARE

    settings = settings_for(url, **BOOK_AT_ONCE, **RESTLESS)
    processes = [ServiceProcess(settings, folder) for _ in range(COPIES_MAX)]
    async with AsyncExitStack() as stack:
        proxies = [
            await stack.enter_async_context(
                Proxy(
                    process.port,
                    cuts_after=is_cut,
                    cuts_before=is_cut,
                    repeats=lambda _: chance.random() < REPEAT_SHARE,
                ).listening()
            )
            for process in processes
        ]
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                # A connection for each request, so that a proxy sees where it begins and ends.
                connector=aiohttp.TCPConnector(force_close=True),
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX),
            )
        )
        copies = Copies(processes, proxies)
        try:
            await copies.open_doors(session, url)
            yield copies
            await copies.bring_up(0)
        finally:
            copies.kill(COPIES_MAX, chance)
