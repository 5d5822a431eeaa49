"""One run of a load through a receiver: how long it took, and what it cost whom."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from signal import SIGTERM
from typing import TYPE_CHECKING, Any

import aiohttp
import asyncpg

from benchmarks.processes import Cpu, own_seconds, parent_of, resident_bytes, tree_seconds
from os_credits.domain.access import Scope
from os_credits.flows.keys import KeyRequest, create_key
from os_credits.store.pool import open_pool
from scripts.children import start_child, stop_child
from scripts.ports import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from benchmarks.bodies import Load
    from benchmarks.peers import Peer

READY_SECONDS_MAX = 30
RATED_SECONDS_MAX = 300
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds to the last answer and to the last charge, CPU seconds, WAL bytes, samples."""

    samples: int
    acknowledged_seconds: float
    seconds: float
    cpu: Cpu
    wal_bytes: float

    @property
    def rate(self) -> float:
        """Give samples per second, until all is done."""
        return self.samples / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """Give CPU seconds of receiver and database per million samples."""
        return (self.cpu.service + self.cpu.database) * 1e6 / self.samples

    @property
    def wal_per_sample(self) -> float:
        """Give bytes of write-ahead log per sample."""
        return self.wal_bytes / self.samples


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: its address, a key, its process, and the owner's connection."""

    url: str
    key: str
    pid: int
    conn: Any
    postmaster: int

    @property
    def resident_bytes(self) -> int:
        """Tell how much memory it holds."""
        return resident_bytes(self.pid)

    def cpu(self) -> Cpu:
        """Read what was used so far."""
        return Cpu(time.process_time(), own_seconds(self.pid), tree_seconds(self.postmaster))


@asynccontextmanager
async def serving(
    owner_url: str, service_url: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Service]:
    """Run the real service as a process of its own, over a database that is migrated."""
    pool = await open_pool(service_url, connections_max=1, statement_timeout_seconds=30)
    _, key = await create_key(pool, KeyRequest("bench", frozenset({Scope.INGEST, Scope.ADMIN})))
    await pool.close()
    port = free_port()
    environment = {
        **os.environ,
        "OS_CREDITS_DATABASE_URL": service_url,
        "OS_CREDITS_PORT": str(port),
        "OS_CREDITS_LOG_LEVEL": "WARNING",
        **(settings or {}),
    }
    conn = await asyncpg.connect(owner_url)
    process = start_child([sys.executable, "-m", "os_credits", "serve"], env=environment)
    url = f"http://{LOOPBACK}:{port}"
    try:
        await _wait_until_ready(f"{url}/readyz")
        backend = await conn.fetchval("SELECT pg_backend_pid()")
        yield Service(url, key, process.pid, conn, parent_of(backend))
    finally:
        await asyncio.to_thread(stop_child, process, SIGTERM, 30)
        await conn.close()


async def _wait_until_ready(url: str) -> None:
    async with asyncio.timeout(READY_SECONDS_MAX), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status == HTTPStatus.OK:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def through_service(service: Service, load: Load, steps: int) -> Run:
    """Push a load, and wait until the last charge of it is committed."""
    bodies = load.lane_bodies(steps)
    conn = service.conn
    wal = await conn.fetchval("SELECT pg_current_wal_lsn()")
    before, started = service.cpu(), time.perf_counter()
    await _send(f"{service.url}/api/v1/write", bodies, {"Authorization": f"Bearer {service.key}"})
    acknowledged = time.perf_counter() - started
    async with asyncio.timeout(RATED_SECONDS_MAX):
        # Polled: another process does the work, and it sends no signal when it is through.
        while await conn.fetchval("SELECT EXISTS (SELECT FROM public.batch)"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    seconds = time.perf_counter() - started
    return Run(
        load.count(steps),
        acknowledged,
        seconds,
        service.cpu() - before,
        float(await conn.fetchval("SELECT pg_current_wal_lsn() - $1::pg_lsn", wal)),
    )


async def through_peer(peer: Peer, load: Load, steps: int) -> Run:
    """Push a load to a receiver that only stores it."""
    bodies = load.lane_bodies(steps)
    before, client, started = own_seconds(peer.pid), time.process_time(), time.perf_counter()
    await _send(peer.write_url, bodies, {})
    seconds = time.perf_counter() - started
    cpu = Cpu(time.process_time() - client, own_seconds(peer.pid) - before, 0.0)
    return Run(load.count(steps), seconds, seconds, cpu, 0.0)


async def _send(url: str, lanes: list[list[bytes]], headers: Mapping[str, str]) -> None:
    async def send(session: aiohttp.ClientSession, bodies: list[bytes]) -> None:
        for body in bodies:
            async with session.post(url, data=body, headers={**HEADERS, **headers}) as answer:
                if answer.status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
                    raise SystemExit(f"{url}: {answer.status} {(await answer.text())[:500]}")

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(send(session, bodies) for bodies in lanes))
