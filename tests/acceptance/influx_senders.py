"""Senders of InfluxDB's family and Telegraf's outputs, fed point by point while they live.

Each has a project of its own. What a sender promises, it must keep through whatever happens.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import requests
from influxdb import InfluxDBClient as V1Client
from influxdb.exceptions import InfluxDBServerError
from influxdb_client import InfluxDBClient as V2Client
from influxdb_client import WriteOptions

from tests.acceptance.conftest import Service
from tests.acceptance.influxd import DATABASE, InfluxDB
from tests.acceptance.telegraf_agent import Agent
from tests.acceptance.telegraf_examples import TelegrafOutput, outputs
from tests.acceptance.telegraf_metric import Metric, to_influx

FLUSH_SECONDS = 0.5
# As docs/senders.md advises: without more tries than five, points are lost after 75 seconds.
PATIENT = WriteOptions(
    batch_size=200,
    flush_interval=500,
    retry_interval=500,
    max_retry_delay=2000,
    max_retries=1000,
    max_retry_time=600_000,
)


class Fed(Protocol):
    """A sender that takes points at any time and delivers them by and by."""

    async def give(self, metrics: Sequence[Metric]) -> None:
        """Take points in; returns at once."""

    async def done(self) -> None:
        """Wait until all that it was given is delivered, or given up."""

    def troubles(self) -> int:
        """Count how often it had to try again."""

    def given_up(self) -> int:
        """Count what it knows to be lost."""


@dataclass
class TelegrafFed:
    """A running agent of Telegraf's with one output."""

    agent: Agent
    output: TelegrafOutput

    async def give(self, metrics: Sequence[Metric]) -> None:
        """Put points into its buffer."""
        self.agent.add(metrics)

    async def done(self) -> None:
        """Wait until its buffer is empty."""
        while len(self.agent):
            await asyncio.sleep(0.05)

    def troubles(self) -> int:
        """Count the writes that failed."""
        return self.agent.write_errors

    def given_up(self) -> int:
        """Count what overflowed, what it gave up, and what it was told to give up."""
        return self.agent.dropped + self.agent.rejected + self.output.lost.total()


@dataclass
class V1Fed:
    """An application with the Python client for InfluxDB 1, which tries again as it must."""

    client: V1Client
    failures: int = 0
    waiting: "queue.Queue[str]" = field(default_factory=queue.Queue)
    ending: threading.Event = field(default_factory=threading.Event)
    left: int = 0

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    async def give(self, metrics: Sequence[Metric]) -> None:
        """Queue lines for the thread that writes."""
        for line in to_influx(metrics).decode().splitlines():
            self.waiting.put(line)

    async def done(self) -> None:
        """Wait until all is written."""
        while self.waiting.qsize() or self.left:
            await asyncio.sleep(0.05)

    def troubles(self) -> int:
        """Count the exceptions that the client raised."""
        return self.failures

    def given_up(self) -> int:
        """Tell that it never gives up."""
        return 0

    def close(self) -> None:
        """Let the thread end."""
        self.ending.set()
        self._thread.join()
        self.client.close()

    def _work(self) -> None:
        points: list[str] = []
        while not self.ending.wait(0.05):
            while self.waiting.qsize():
                self.left = len(points) + 1
                points.append(self.waiting.get())
            if not points:
                continue
            try:
                self.client.write_points(points, protocol="line", batch_size=100)
            except (InfluxDBServerError, requests.exceptions.ConnectionError):
                self.failures += 1
                self.ending.wait(FLUSH_SECONDS)
            else:
                points.clear()
                self.left = 0


@dataclass
class V2Fed:
    """The batching writer of the Python client for InfluxDB 2."""

    client: V2Client
    options: WriteOptions = PATIENT
    retries: int = 0
    lost: int = 0

    def __post_init__(self) -> None:
        self._api = self.client.write_api(
            write_options=self.options,
            error_callback=self._on_error,
            retry_callback=self._on_retry,
        )

    async def give(self, metrics: Sequence[Metric]) -> None:
        """Hand lines to its own threads."""
        self._api.write(DATABASE, record=to_influx(metrics).splitlines())

    async def done(self) -> None:
        """Close it, which waits for what is under way."""
        await asyncio.to_thread(self._api.close)

    def troubles(self) -> int:
        """Count its retries."""
        return self.retries

    def given_up(self) -> int:
        """Count the lines of the batches that it gave up."""
        return self.lost

    def _on_error(self, _key: object, data: bytes, _error: Exception) -> None:
        self.lost += data.count(b"\n") + 1

    def _on_retry(self, *_: object) -> None:
        self.retries += 1


@dataclass
class SubscriptionFed:
    """A real InfluxDB, which hands each write on once, whatever comes of it."""

    influxdb: InfluxDB

    async def give(self, metrics: Sequence[Metric]) -> None:
        """Write points into it."""
        await self.influxdb.write(to_influx(metrics).decode())

    async def done(self) -> None:
        """Wait for nothing: it keeps nothing."""

    def troubles(self) -> int:
        """Count what its log says it could not hand on."""
        return self.influxdb.times_said("service=subscriber") - 1

    def given_up(self) -> int:
        """Tell that it does not know."""
        return 0


@asynccontextmanager
async def all_senders(service: Service, influxdb: InfluxDB) -> AsyncIterator[dict[str, Fed]]:
    """Start one sender of each kind, each named as its project."""
    key = service.keys["ingest"]
    parts = urlsplit(service.url)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        senders: dict[str, Fed] = {}
        for name, output in outputs(session, service.url, key).items():
            agent = Agent(output, flush_seconds=FLUSH_SECONDS)
            await stack.enter_async_context(agent.running())
            senders[name] = TelegrafFed(agent, output)
        v1 = V1Client(
            host=parts.hostname, port=parts.port, username="x", password=key, database=DATABASE
        )
        senders["v1-client"] = fed = V1Fed(v1)
        stack.callback(fed.close)
        v2 = stack.enter_context(V2Client(service.url, token=key, org="org", enable_gzip=True))
        senders["v2-client"] = V2Fed(v2)
        await influxdb.subscribe(service.url, key)
        senders["subscription"] = SubscriptionFed(influxdb)
        yield senders
