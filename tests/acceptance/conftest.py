"""A running service: the real application on a free port, over a real database."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from os_credits.api.logs import configure_logs
from os_credits.domain.access import Scope
from os_credits.flows.keys import KeyRequest, create_key
from os_credits.server import run
from os_credits.settings import Settings
from os_credits.store.pool import Pool, open_pool
from tests.acceptance.program import Program, program_on
from tests.checker import checked_at

STARTING_SECONDS_MAX = 20
RATING_SECONDS_MAX = 20


@dataclass(frozen=True, slots=True)
class Service:
    """Where the service listens, one key of each scope, and a session to ask it."""

    url: str
    settings: Settings
    session: aiohttp.ClientSession
    keys: dict[str, str] = field(default_factory=dict)

    def request(
        self, method: str, path: str, *, key: str | None = None, **more: Any
    ) -> "aiohttp.client._RequestContextManager":
        """Ask with the key of a scope ('ingest', 'read', 'admin'), a key itself, or none."""
        headers = dict(more.pop("headers", None) or {})
        if key is not None:
            headers["Authorization"] = f"Bearer {self.keys.get(key, key)}"
        return self.session.request(method, self.url + path, headers=headers, **more)

    async def rated(self) -> None:
        """Wait until everything handed in is rated: then its projects have their names."""
        async with asyncio.timeout(RATING_SECONDS_MAX):
            while True:
                async with self.request("GET", "/stats", key="admin") as response:
                    if (await response.json())["queue_size"] == 0:
                        return
                await asyncio.sleep(0.05)

    async def new_key(self, *scopes: Scope, **limits: Any) -> str:
        """Make one more key."""
        pool = await _pool(self.settings)
        try:
            _, key = await create_key(pool, KeyRequest("test", frozenset(scopes), **limits))
        finally:
            await pool.close()
        return key


def settings_for(database_url: str, **changes: Any) -> Settings:
    """Give settings for a test: a free port, quick jobs, nothing from the environment's file."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "port": 0,
        "rate_interval_seconds": 0.05,
        "book_interval_seconds": 0.2,
        "notice_interval_seconds": 0.2,
        "forecast_interval_seconds": 1,
        "deliver_interval_seconds": 0.1,
        "open_compat_networks": [],
        "log_level": "WARNING",
        "allow_unsafe_database": True,
    }
    return Settings(_env_file=None, **{**values, **changes})


async def _pool(settings: Settings) -> Pool:
    return await open_pool(settings.database_url, connections_max=1, statement_timeout_seconds=30)


async def _wait_until_ready(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(STARTING_SECONDS_MAX):
        while True:
            async with session.get(f"{url}/readyz") as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(settings: Settings, *, ready: bool = True) -> AsyncIterator[Service]:
    """Run the service with these settings; `ready` False does not wait for its database.

    At the end, what it stored must be what is recomputed.
    """
    configure_logs(settings.log_level, settings.log_format)
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(run(settings, stop, url.set_result), name="service")
    await asyncio.wait([serving, url], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    async with aiohttp.ClientSession() as session:
        service = Service(url.result(), settings, session)
        try:
            if ready:
                await _wait_until_ready(session, service.url)
                for scope in Scope:
                    service.keys[scope.value] = await service.new_key(scope)
            yield service
        finally:
            stop.set()
            await serving
    if ready:
        window_ms = settings.acceptance_window_days * 86_400_000
        await checked_at(settings.database_url, window_ms=window_ms)


@pytest.fixture
def program(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Program]:
    """Give the program on a migrated database, in a folder without a file `.env`."""
    monkeypatch.chdir(tmp_path)
    with program_on(database_url) as one:
        yield one


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[Service]:
    """Give a running service over a fresh database, with a key of each scope."""
    async with running(settings_for(database_url)) as one:
        yield one
