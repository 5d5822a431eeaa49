"""Adds to the tables what this copy has counted: sources of samples, use of keys, itself."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from os_credits import __version__
from os_credits.domain.source import SourceKey, SourceState, new_source
from os_credits.domain.text import legible
from os_credits.flows.source_counts import joined
from os_credits.store import batches, copies, key_uses, keys, sources
from os_credits.store.pool import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.source import Source, Traffic
    from os_credits.flows.keys import KeyRing
    from os_credits.flows.source_counts import SourceCounts
    from os_credits.store.pool import Connection, Pool

# How many sites of one key and door, and sources in all, have a row of their own.
SITES_MAX = 20
SOURCES_MAX = 500
FORGOTTEN_AFTER = timedelta(days=90)
# A copy that says nothing for so long has ended, or cannot reach the database.
COPY_FORGOTTEN_AFTER = timedelta(hours=1)


@dataclass(slots=True)
class Reporter:
    """What one copy of the service tells of itself and of what it has seen."""

    pool: Pool
    counts: SourceCounts
    ring: KeyRing
    jobs: Callable[[], Sequence[Mapping[str, Any]]]
    copy_id: UUID = field(default_factory=uuid4)
    started: float = field(default_factory=time.monotonic)

    async def run(self) -> int:
        """Tell the tables; gives how many sources were heard of. What fails is told next time."""
        async with transaction(self.pool) as conn:
            now = await copies.put_copy(
                conn,
                copy_id=self.copy_id,
                host=socket.gethostname()[:200],
                process_id=os.getpid(),
                version=__version__,
                up=timedelta(seconds=time.monotonic() - self.started),
                jobs=[{**job, "last_error": legible(job["last_error"])} for job in self.jobs()],
            )
            await copies.forget_copies(conn, before=now - COPY_FORGOTTEN_AFTER)
        await self._tell_uses()
        return await self._tell_sources()

    async def _tell_uses(self) -> None:
        used = self.ring.take_uses()
        if not used:
            return
        at = time.monotonic()
        async with transaction(self.pool) as conn:
            now = await batches.read_now(conn)
            await key_uses.put_uses(
                conn,
                {key_id: now - timedelta(seconds=at - used[key_id]) for key_id in sorted(used)},
            )

    async def _tell_sources(self) -> int:
        if self.counts.is_empty:
            return 0
        taken: dict[SourceKey, Traffic] = {}
        try:
            async with transaction(self.pool) as conn:
                await sources.lock_sources(conn)
                now = await batches.read_now(conn)
                taken = self.counts.take(now)
                await sources.forget_sources(conn, before=now - FORGOTTEN_AFTER)
                known = {one.key: one for one in await sources.list_sources(conn)}
                await sources.put_sources(conn, added(known, taken))
        except BaseException:
            self.counts.give_back(taken)
            raise
        return len(taken)


def added(known: Mapping[SourceKey, Source], seen: Mapping[SourceKey, Traffic]) -> list[Source]:
    """Give the sources that are other than before; beyond the bounds sites are put together."""
    sites = Counter((key.key_id, key.door) for key in known if key.site is not None)
    room = SOURCES_MAX - len(known)
    traffic: dict[SourceKey, Traffic] = {}
    for key, one in seen.items():
        place = key
        if key not in known and key not in traffic:
            has_room = sites[key.key_id, key.door] < SITES_MAX and room > 0
            if key.site is not None and not has_room:
                place = SourceKey(key.key_id, key.door, None)
            elif key.site is not None:
                sites[key.key_id, key.door] += 1
                room -= 1
        traffic[place] = joined(traffic[place], one) if place in traffic else one
    return [
        known[key].after(one) if key in known else new_source(key, one)
        for key, one in traffic.items()
    ]


@dataclass(frozen=True, slots=True)
class SourceReport:
    """A source as people see it: whose key it is, and whether it sends as it used to."""

    source: Source
    key_name: str
    is_revoked: bool
    state: SourceState
    accepted_last_hour: int


async def read_sources(conn: Connection) -> tuple[datetime, list[SourceReport]]:
    """Give the database's clock and all sources: silent ones first, then the latest."""
    now = await batches.read_now(conn)
    by_id = {one.id: one for one in await keys.list_keys(conn)}
    found = []
    for one in await sources.list_sources(conn):
        key = by_id.get(one.key.key_id)
        found.append(
            SourceReport(
                source=one,
                key_name="" if key is None else key.name,
                is_revoked=key is not None and key.revoked_at is not None,
                state=one.state(now),
                accepted_last_hour=one.accepted_last_hour(now),
            )
        )
    found.sort(key=lambda one: one.source.last_push_at, reverse=True)
    found.sort(key=lambda one: one.state is not SourceState.SILENT or one.is_revoked)
    return now, found
