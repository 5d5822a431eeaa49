"""Telegraf's agent without its inputs: a buffer of bounded size before one output.

Written after the sources of Telegraf 1.39: models/{running_output,buffer_mem}.go, agent.go.
What an output does not take is kept and comes again with the next flush, in front of what came
since, perhaps cut into other batches. Telegraf keeps it in memory: its restart loses it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from tests.acceptance.telegraf_metric import Metric

BATCH_SIZE = 1000
BUFFER_LIMIT = 10_000


class WriteError(Exception):
    """None of the batch counts as written: all of it is kept."""


@dataclass(frozen=True)
class Written:
    """What became of a batch, by position; what is in neither is kept."""

    accepted: frozenset[int] = frozenset()
    rejected: frozenset[int] = frozenset()


class Output(Protocol):
    """What sends a batch somewhere."""

    async def connect(self) -> None:
        """Do what it does once, before the first batch."""

    async def write(self, metrics: Sequence[Metric]) -> Written | None:
        """Send a batch; None means that all of it was taken. Raises WriteError."""


class Agent:
    """One output with its buffer; `dropped` counts what did not fit, the oldest first."""

    def __init__(
        self,
        output: Output,
        *,
        batch_size: int = BATCH_SIZE,
        buffer_limit: int = BUFFER_LIMIT,
        flush_seconds: float = 10,
    ) -> None:
        self.output = output
        self.dropped = 0
        self.rejected = 0
        self.write_errors = 0
        self.last_error = ""
        self._batch_size = batch_size
        self._limit = buffer_limit
        self._flush_seconds = flush_seconds
        self._buffer: deque[Metric] = deque()
        self._in_flight = 0
        self._last_write_failed = False
        self._full = asyncio.Event()

    def __len__(self) -> int:
        """Count what is kept, with what is being sent."""
        return len(self._buffer) + self._in_flight

    def add(self, metrics: Iterable[Metric]) -> None:
        """Take metrics in; when the buffer is full the oldest goes."""
        for metric in metrics:
            if len(self._buffer) == self._limit:
                self._buffer.popleft()
                self.dropped += 1
            self._buffer.append(metric)
        self._wake_if_full()

    async def flush(self) -> bool:
        """Write what is in the buffer now, batch by batch; stops at the first failure."""
        for _ in range(len(self._buffer) // self._batch_size + 1):
            if not await self._write_batch():
                return False
        return True

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Agent"]:
        """Flush at each interval, and as soon as a batch is full; once more at the end."""
        await self.output.connect()
        flushing = asyncio.create_task(self._flush_for_ever())
        try:
            yield self
        finally:
            flushing.cancel()
            await asyncio.wait([flushing])
        await self.flush()

    async def _flush_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        next_flush = loop.time() + self._flush_seconds
        while True:
            self._full.clear()
            self._wake_if_full()
            try:
                async with asyncio.timeout_at(next_flush):
                    await self._full.wait()
            except TimeoutError:
                next_flush = loop.time() + self._flush_seconds
                await self.flush()
            else:
                await self._write_batch()

    def _wake_if_full(self) -> None:
        if len(self._buffer) >= self._batch_size and not self._last_write_failed:
            self._full.set()

    async def _write_batch(self) -> bool:
        """Write the oldest metrics; tells whether all of them were taken."""
        batch = [self._buffer.popleft() for _ in range(min(len(self._buffer), self._batch_size))]
        if not batch:
            return True
        self._in_flight = len(batch)
        # What becomes of it when we are stopped in the middle: nobody knows, so it is kept.
        written: Written | None = Written()
        try:
            written = await self.output.write(batch)
        except WriteError as error:
            self.last_error = str(error)
        finally:
            self._in_flight = 0
            self._settle(batch, written)
        return written is None

    def _settle(self, batch: Sequence[Metric], written: Written | None) -> None:
        if written is None:
            self._last_write_failed = False
            return
        self.write_errors += 1
        self.rejected += len(written.rejected)
        self._last_write_failed = not written.accepted
        done = written.accepted | written.rejected
        keep = [metric for place, metric in enumerate(batch) if place not in done]
        room = self._limit - len(self._buffer)
        self._buffer.extendleft(reversed(keep[:room]))
        self.dropped += len(keep[room:])
