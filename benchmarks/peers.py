"""Peers that store samples only: Debian's Prometheus and VictoriaMetrics, fed the same bodies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

import aiohttp

from scripts import tools
from scripts.children import start_child, stop_child
from scripts.ports import LOOPBACK, free_port

READY_SECONDS_MAX = 30
STOP_SECONDS_MAX = 20


@dataclass(frozen=True, slots=True)
class Peer:
    """A running receiver of remote write: where it takes bodies, and its process."""

    name: str
    write_url: str
    pid: int


# Its tool (`scripts/tools.py`), the arguments at a port and in a folder, where it takes bodies.
_PEERS: dict[str, tuple[Callable[[int, Path], list[str]], str]] = {
    "prometheus": (
        lambda port, folder: [
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--web.enable-remote-write-receiver",
            "--log.level=error",
        ],
        "/api/v1/write",
    ),
    "victoria-metrics": (
        lambda port, folder: [
            f"-storageDataPath={folder / 'data'}",
            f"-httpListenAddr={LOOPBACK}:{port}",
            "-retentionPeriod=1y",
            "-loggerLevel=ERROR",
        ],
        "/api/v1/write",
    ),
}


@asynccontextmanager
async def running(name: str, folder: Path) -> AsyncIterator[Peer]:
    """Run a peer with its files in a folder of its own."""
    program = tools.find(name)
    if program is None:
        raise SystemExit(f"there is no {name}: {tools.what_to_do(name)}")
    arguments, path = _PEERS[name]
    _prepare(folder)
    port = free_port()
    with (folder / "log").open("wb") as output:
        process = start_child([program, *arguments(port, folder)], output=output)
    try:
        await _wait_until_ready(f"http://{LOOPBACK}:{port}/metrics", folder / "log")
        yield Peer(name, f"http://{LOOPBACK}:{port}{path}", process.pid)
    finally:
        await asyncio.to_thread(stop_child, process, SIGTERM, STOP_SECONDS_MAX)


async def _wait_until_ready(url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            try:
                async with session.get(url) as answer:
                    if answer.ok:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    raise SystemExit(f"it does not get ready: {_end_of(log)}")


def _prepare(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "prometheus.yml").write_text("global: {}\n", encoding="utf-8")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
