"""Stores what several pushes brought in one transaction: one look at the clock, one commit.

A push that comes while no transaction is under way begins one at once. Those that come meanwhile
share the next, so nobody waits for company, and the more come at the same time, the less each
costs. What is wrong with one of them is its own matter.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.errors import Unavailable
from os_credits.store import batches, meters
from os_credits.store.pool import Connection, Pool, connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from os_credits.store.batches import BatchColumns
    from os_credits.store.meters import Clock

# How many samples share a transaction, if there are several pushes.
SHARED_SAMPLES_MAX = 100_000
# How many transactions are under way at once: if one is stuck, others go on.
AT_ONCE_MAX = 2
# Longer nobody waits for a transaction to begin.
WAIT_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A push that waits: of how many samples, and what is stored of it, by the clock."""

    sample_count: int
    columns_at: Callable[[Clock], BatchColumns | None]
    done: asyncio.Future[None]

    def end(self, error: Exception | None = None) -> None:
        """Tell whoever waits, if anybody still does."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class GroupCommit:
    """Takes what is to be stored, and gives back control once it is durable."""

    def __init__(self, pool: Pool) -> None:
        """Keep the pool that lends connections."""
        self._pool = pool
        self._queue: deque[_Waiting] = deque()
        self._under_way: dict[asyncio.Task[None], list[_Waiting]] = {}

    async def store(
        self, sample_count: int, columns_at: Callable[[Clock], BatchColumns | None]
    ) -> None:
        """Make durable what `columns_at` gives for the clock of the transaction that stores it.

        Raises what `columns_at` raises, and Unavailable when the database cannot take it: then
        nothing is stored, or nobody knows whether it was.
        """
        loop = asyncio.get_running_loop()
        one = _Waiting(sample_count, columns_at, loop.create_future())
        self._queue.append(one)
        patience = loop.call_later(WAIT_SECONDS_MAX, self._give_up, one)
        self._begin()
        try:
            await one.done
        except asyncio.CancelledError:
            await self._abandon(one)
            raise
        finally:
            patience.cancel()

    def _give_up(self, one: _Waiting) -> None:
        if one in self._queue:
            self._queue.remove(one)
            one.end(Unavailable("the database is too slow"))

    async def _abandon(self, one: _Waiting) -> None:
        """Roll back a transaction for which nobody waits any more."""
        for task, group in self._under_way.items():
            if one in group and all(each.done.done() for each in group):
                task.cancel()
                await asyncio.wait([task])
                return

    def _begin(self) -> None:
        if self._queue and len(self._under_way) < AT_ONCE_MAX:
            group = self._next()
            # Not in the context of who came first: what the others bring is not theirs.
            task = asyncio.create_task(self._store_groups(group), context=Context())
            self._under_way[task] = group
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._begin()

    def _next(self) -> list[_Waiting]:
        """Take as many out of the queue as may share a transaction, the first one in any case."""
        group = [self._queue.popleft()]
        room = SHARED_SAMPLES_MAX - group[0].sample_count
        while self._queue and self._queue[0].sample_count <= room:
            group.append(self._queue.popleft())
            room -= group[-1].sample_count
        return [one for one in group if not one.done.done()]

    async def _store_groups(self, group: list[_Waiting]) -> None:
        """Store a group, and over the same connection those that come together meanwhile."""
        try:
            async with connection(self._pool) as conn:
                stored = await self._commit(conn, group)
                while self._queue:
                    for one in stored:
                        one.end()
                    group[:] = self._next()
                    stored = await self._commit(conn, group)
        except Exception as error:  # noqa: BLE001 - it is told to everyone whom it concerns
            for one in group:
                one.end(error)
        except BaseException:
            for one in group:
                one.end(Unavailable("the service is stopping"))
            raise
        else:
            for one in stored:
                one.end()

    async def _commit(self, conn: Connection, group: list[_Waiting]) -> list[_Waiting]:
        """Store what is good; gives the pushes that did not fail by themselves."""
        stored: list[_Waiting] = []
        columns: list[BatchColumns] = []
        async with conn.transaction():
            clock = await meters.read_clock(conn)
            for one in group:
                try:
                    made = one.columns_at(clock)
                except Exception as error:  # noqa: BLE001 - it is told to the one whom it concerns
                    one.end(error)
                    continue
                stored.append(one)
                if made is not None:
                    columns.append(made)
            if columns:
                await batches.insert_batch(conn, batches.joined(columns))
        return stored
