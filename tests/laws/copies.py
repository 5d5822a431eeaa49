"""Two copies of the service on one database, which are restarted at will, and a third worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from os_credits.api.logs import configure_logs
from os_credits.flows.meters import MeterFile
from os_credits.server import run
from os_credits.settings import Settings
from tests.acceptance.conftest import settings_for
from tests.core import Core, new_core, opened_core

COPIES = 2
ADMIN_KEY = "a-key-for-everything-in-tests"
SENDING_SECONDS_MAX = 30
RETRY_SECONDS = 0.02
GRACE_SECONDS = 900


class Copy:
    """One copy of the service in this process; after a restart it has other settings."""

    def __init__(self, database_url: str, meter_file: Path, *, always_works: bool) -> None:
        self.url = ""
        self.failures: list[str] = []
        self._database_url = database_url
        self._meter_file = meter_file
        self._always_works = always_works
        self.changing = asyncio.Lock()
        self._stop = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    async def restart(self, chance: Random) -> None:
        """End it, if it runs, and start it anew: it remembers nothing."""
        async with self.changing:
            await self._end()
            self._stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
            settings = self._settings(chance)
            self._serving = asyncio.create_task(run(settings, self._stop, url.set_result))
            await asyncio.wait([self._serving, url], return_when=asyncio.FIRST_COMPLETED)
            if self._serving.done():
                self._serving.result()
            self.url = url.result()

    async def end(self) -> None:
        """End it for good."""
        async with self.changing:
            await self._end()

    async def _end(self) -> None:
        if self._serving is not None:
            await self._note_failures()
            self._stop.set()
            await self._serving
            self._serving = None

    async def _note_failures(self) -> None:
        """Remember which of its jobs ever failed, and why."""
        headers = {"X-API-Key": ADMIN_KEY}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{self.url}/stats") as response,
        ):
            jobs = (await response.json())["jobs"]
        self.failures += [f"{job['name']}: {job['last_error']}" for job in jobs if job["failures"]]

    def _settings(self, chance: Random) -> Settings:
        return settings_for(
            self._database_url,
            meter_file=self._meter_file,
            admin_key=ADMIN_KEY,
            database_connections_max=5,
            rate_interval_seconds=chance.choice([0.05, 0.2]),
            rate_samples_max=chance.choice([3, 30, 200_000]),
            book_interval_seconds=chance.choice([0.5, 3]),
            grace_period_seconds=chance.choice([0, GRACE_SECONDS]),
            label_sets_cached_max=chance.choice([5, 1_000_000]),
            endpoints_only=not self._always_works and chance.random() < 0.4,
            notice_interval_seconds=3600,
            forecast_interval_seconds=3600,
        )


class Copies:
    """What a set is tried on: the doors of all copies, and the core of a worker without one."""

    def __init__(self, core: Core, session: aiohttp.ClientSession, copies: list[Copy]) -> None:
        self.core = core
        self.copies = copies
        self.kept_from_ms = 0
        self._session = session

    async def request(
        self, method: str, path: str, copy: int, *, steady: bool = False, **more: Any
    ) -> tuple[int, str]:
        """Ask a copy until one answers; one that is away or busy is asked again, or the other.

        A `steady` one is asked while it is not restarted: then nothing is asked for twice.
        """
        headers = {"X-API-Key": ADMIN_KEY, **more.pop("headers", {})}
        async with asyncio.timeout(SENDING_SECONDS_MAX):
            while True:
                asked = self.copies[copy % COPIES]
                async with asked.changing if steady else nullcontext():
                    with suppress(aiohttp.ClientError):
                        async with self._session.request(
                            method, asked.url + path, headers=headers, **more
                        ) as response:
                            if response.status != 503:
                                return response.status, await response.text()
                copy += 1
                await asyncio.sleep(RETRY_SECONDS)

    def failures(self) -> list[str]:
        """Say which jobs of copies that ended had failed."""
        return [failure for copy in self.copies for failure in copy.failures]

    async def restart(self, copy: int, chance: Random) -> None:
        """End one copy and start it anew."""
        await self.copies[copy].restart(chance)

    def other_worker(self, chance: Random) -> Core:
        """Give a worker that remembers nothing of what it did before."""
        self.core = new_core(self.core.pool, samples_max=chance.choice([3, 200_000]))
        return self.core

    async def book(self) -> int:
        """Book all that is charged, as if no hour had a grace period."""
        return await self.core.book(grace=timedelta(0))


@asynccontextmanager
async def running_copies(database_url: str, folder: Path, chance: Random) -> AsyncIterator[Copies]:
    """Start all copies, without a meter; sets bring their own."""
    configure_logs("ERROR", "console")
    meter_file = folder / "meters.toml"
    meter_file.write_text("", encoding="utf-8")
    copies = [Copy(database_url, meter_file, always_works=number == 0) for number in range(COPIES)]
    async with (
        opened_core(database_url, MeterFile((), ())) as core,
        aiohttp.ClientSession() as session,
    ):
        try:
            for copy in copies:
                await copy.restart(chance)
            yield Copies(core, session, copies)
        finally:
            for copy in copies:
                await copy.end()
