"""Real programs that a test runs against the service."""

import asyncio
import gzip
import re
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGTERM

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scripts import tools
from scripts.children import start_child, stop_child

STARTING_SECONDS_MAX = 20
STOPPING_SECONDS_MAX = 20
LOG_CHARACTERS_SHOWN = 2000


def needed(name: str) -> Path:
    """Give a program of the table in `scripts.tools`, or fail with what to do."""
    program = tools.find(name)
    if program is None:
        pytest.fail(
            f"there is no {name}: run this by make test, or {tools.what_to_do(name)}",
            pytrace=False,
        )
    return program


def version_of(name: str) -> str:
    """Say which version of a needed program is here, blank where Debian's package does not."""
    usr = needed(name).parents[1]
    changes = usr / "share" / "doc" / tools.TOOLS[name].package / "changelog.Debian.gz"
    if not changes.exists():
        return ""
    found = re.search(r"\(([\d.]+)", gzip.decompress(changes.read_bytes()).decode())
    return found[1] if found else ""


@asynccontextmanager
async def running_program(
    ready: str,
    command: Sequence[str | Path],
    folder: Path,
    env: Mapping[str, str] | None = None,
    connector: aiohttp.BaseConnector | None = None,
) -> AsyncIterator[aiohttp.ClientSession]:
    """Run a program, its log in `folder`; it is ready once the URL `ready` answers 2xx."""
    log = folder / "program.log"
    with log.open("wb") as output:
        process = start_child(command, output=output, cwd=folder, env=env)
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            await _wait_until(ready, session, process, log)
            yield session
    finally:
        await asyncio.to_thread(stop_child, process, SIGTERM, STOPPING_SECONDS_MAX)


async def _wait_until(
    ready: str, session: aiohttp.ClientSession, process: subprocess.Popen[bytes], log: Path
) -> None:
    async with asyncio.timeout(STARTING_SECONDS_MAX):
        while True:
            assert process.poll() is None, f"it ended: {_end_of(log)}"
            try:
                async with session.get(ready) as response:
                    if response.ok:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_CHARACTERS_SHOWN:]


async def figure_of(session: aiohttp.ClientSession, url: str, name: str) -> float:
    """Give a metric that a program tells of itself at /metrics, added up over all labels."""
    async with session.get(f"{url}/metrics") as response:
        text = await response.text()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    )
