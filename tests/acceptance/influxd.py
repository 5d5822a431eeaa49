"""A real InfluxDB 1.6 with a subscription to the service, and InfluxDB's own command line."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from scripts.children import start_child, stop_child
from scripts.ports import LOOPBACK, free_port
from tests.acceptance.example_files import HOST, example
from tests.acceptance.needed import needed

DATABASE = "cloud"
USER = "influxdb"
STARTING_SECONDS_MAX = 20
STOPPING_SECONDS_MAX = 20
COMMAND_SECONDS_MAX = 30
# Each subscription has so many senders; points of one series may so overtake each other.
WRITE_CONCURRENCY = 4
CONFIGURATION = """
reporting-disabled = true
bind-address = "{host}:{rpc_port}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[http]
  bind-address = "{host}:{port}"
[subscriber]
  enabled = true
  http-timeout = "5s"
  write-concurrency = {concurrency}
  write-buffer-size = 1000
"""

Series = tuple[dict[str, str], list[list[Any]]]


@dataclass(frozen=True, slots=True)
class InfluxDB:
    """A running one, with an empty database."""

    host: str
    port: int
    session: aiohttp.ClientSession
    log: Path

    @property
    def url(self) -> str:
        """Say where it listens."""
        return f"http://{self.host}:{self.port}"

    async def query(self, statement: str) -> list[Series]:
        """Execute a statement of InfluxQL; gives the tags of each series, and its rows."""
        query = {"q": statement, "db": DATABASE, "epoch": "ns"}
        async with self.session.post(f"{self.url}/query", params=query) as response:
            (result,) = (await response.json(content_type=None))["results"]
        assert "error" not in result, result
        return [(one.get("tags", {}), one["values"]) for one in result.get("series", [])]

    async def samples(self, measurement: str) -> list[Series]:
        """Give tags of each series, and time (ns) and value of each of its points."""
        return await self.query(f'SELECT "value" FROM "{measurement}" GROUP BY *')

    async def subscribe(self, url: str, key: str) -> None:
        """Send every write on to the service from now on, with an API key as the password."""
        changes = {
            f"OS_CREDITS_KEY@{HOST}": f"{key}@{urlsplit(url).netloc}",
            '"telegraf"': f'"{DATABASE}"',
        }
        await self.query(example("influxdb-subscription.influxql", changes))

    async def write(self, lines: str, *, precision: str = "ns") -> None:
        """Write points as any sender of InfluxDB's does."""
        query = {"db": DATABASE, "precision": precision}
        async with self.session.post(f"{self.url}/write", params=query, data=lines) as response:
            assert response.status == 204, await response.text()

    def times_said(self, text: str) -> int:
        """Count how often its log has a text."""
        return self.log.read_text(errors="replace").count(text)


@asynccontextmanager
async def influxdb(folder: Path) -> AsyncIterator[InfluxDB]:
    """Run InfluxDB with its files in `folder`."""
    program = needed("influxd")
    port = free_port()
    configuration = folder / "influxdb.conf"
    configuration.write_text(
        CONFIGURATION.format(
            host=LOOPBACK,
            port=port,
            rpc_port=free_port(),
            folder=folder,
            concurrency=WRITE_CONCURRENCY,
        )
    )
    log = folder / "influxd.log"
    with log.open("wb") as output:
        process = start_child(
            [program, "run", "-config", configuration], output=output, cwd=folder, env={}
        )
    try:
        async with aiohttp.ClientSession() as session:
            one = InfluxDB(LOOPBACK, port, session, log)
            await _wait_until_ready(one, process)
            await one.query(f'CREATE DATABASE "{DATABASE}"')
            yield one
    finally:
        stop_child(process, stops_at=SIGTERM, seconds_max=STOPPING_SECONDS_MAX)


async def _wait_until_ready(one: InfluxDB, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(STARTING_SECONDS_MAX):
        while True:
            assert process.poll() is None, f"it ended: {one.log.read_text()[-2000:]}"
            try:
                async with one.session.get(f"{one.url}/ping") as response:
                    if response.status == 204:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Said:
    """What a run of the command line printed, and how it ended."""

    status: int
    output: str


async def influx(url: str, *words: str | Path, key: str | None = None) -> Said:
    """Run InfluxDB's command line against a server, with an API key as the password."""
    host, _, port = urlsplit(url).netloc.partition(":")
    access = ("-username", USER, "-password", key) if key else ()
    process = await asyncio.create_subprocess_exec(
        needed("influx"),
        *("-host", host, "-port", port, *access, *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"HOME": "/nonexistent"},
    )
    async with asyncio.timeout(COMMAND_SECONDS_MAX):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, output.decode())
