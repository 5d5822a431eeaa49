"""The service in a process of its own, as in earnest: started, killed, started again.

It hears of its settings through the environment only, and keeps its port over a restart.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr

from os_credits.domain.access import Scope
from os_credits.settings import Settings
from scripts.children import start_child
from scripts.ports import LOOPBACK, is_free
from tests.acceptance.conftest import Service, settings_for

SERVE = [sys.executable, "-m", "os_credits", "serve"]
# Generous: a start is a second of work, but machines are shared.
STARTING_SECONDS_MAX = 120
STOPPING_SECONDS_MAX = 20
# Below the ports that the kernel gives to clients, or one could take it during a restart.
PORTS = range(15_000, 30_000)
LOG_CHARACTERS_SHOWN = 4000


class ServiceProcess:
    """One copy of the service; its log is kept in a file of `folder`."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.port = port = unused_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self._folder = folder
        self._log = folder / f"service-{port}.log"
        self._environment = {
            "PATH": os.environ["PATH"],
            **environment_of(settings),
            "OS_CREDITS_PORT": str(port),
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start the service and wait until it takes pushes."""
        with self._log.open("ab") as log:
            # From an empty folder, where no file .env is found.
            self._process = start_child(SERVE, output=log, env=self._environment, cwd=self._folder)
        deadline = time.monotonic() + STARTING_SECONDS_MAX
        async with aiohttp.ClientSession() as session:
            while not await self._is_ready(session):
                assert self._process.poll() is None, self.log()
                assert time.monotonic() < deadline, f"not ready in time: {self.log()}"
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def stop(self) -> None:
        """Ask it to end, and hold it to ending well."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            status = await asyncio.to_thread(self._process.wait, STOPPING_SECONDS_MAX)
            self._process = None
            assert status == 0, self.log()

    def log(self) -> str:
        """Give the end of what it said."""
        return self._log.read_text(errors="replace")[-LOG_CHARACTERS_SHOWN:]

    def times_said(self, text: str) -> int:
        """Count how often its whole log has a text."""
        return self._log.read_text(errors="replace").count(text) if self._log.exists() else 0

    @property
    def is_running(self) -> bool:
        """Tell whether it was started and neither killed nor stopped."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Give the number of its process, which must have been started."""
        assert self._process is not None
        return self._process.pid

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False


def unused_port() -> int:
    """Give a port that nobody listens on, and that stays ours while nobody does."""
    return next(port for port in iter(lambda: random.choice(PORTS), None) if is_free(port))


def environment_of(settings: Settings) -> dict[str, str]:
    """Write the settings that were chosen as an operator would."""
    return {
        f"OS_CREDITS_{name.upper()}": _written(getattr(settings, name))
        for name in settings.model_fields_set
    }


def _written(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        return ",".join(str(part) for part in value)
    return str(value)


@asynccontextmanager
async def own_process(
    database_url: str, folder: Path, **changes: Any
) -> AsyncIterator[tuple[ServiceProcess, Service]]:
    """Run the service with these settings; gives the process, and how to ask the service."""
    settings = settings_for(database_url, **changes)
    process = ServiceProcess(settings, folder)
    try:
        await process.start()
        async with aiohttp.ClientSession() as session:
            service = Service(process.url, settings, session)
            for scope in Scope:
                service.keys[scope.value] = await service.new_key(scope)
            yield process, service
        await process.stop()
    finally:
        process.kill()
