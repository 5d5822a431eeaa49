"""Looks after the service while it runs: what doctor finds, for pages and machines.

What takes long on a large database is looked at now and then, and remembered by this copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.finding import Finding, State, gravest
from os_credits.flows.diagnose import look, look_closely
from os_credits.flows.diagnose_work import running
from os_credits.store import batches, copies, rating_state
from os_credits.store.pool import Pool, connection

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.copy import Copy


@dataclass(frozen=True, slots=True)
class Promises:
    """What the settings of this copy say that its database and its surroundings are judged by."""

    allow_unsafe: bool
    ahead_seconds_max: float
    sends_mail: bool
    asks_portal: bool


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How the service fares; `closely_at` is when what takes long was looked at, if it was.

    `copies` are those heard of within an hour, `running_count` counts those of them that run.
    """

    as_of: datetime
    findings: list[Finding]
    closely_at: datetime | None
    batch_count: int
    sample_count: int
    oldest_batch_at: datetime | None
    closed_until: datetime
    copies: list[Copy]
    running_count: int

    @property
    def state(self) -> State:
        """Give the gravest of all findings' states."""
        return gravest([one.state for one in self.findings])


class Rounds:
    """Looks, and remembers what it saw closely."""

    def __init__(self, pool: Pool, promises: Promises) -> None:
        """Start without having looked closely."""
        self._pool = pool
        self._promises = promises
        self._closely: list[Finding] = []
        self._closely_at: datetime | None = None

    async def look_closely(self) -> int:
        """Look at what takes long; gives how many findings there are."""
        async with connection(self._pool) as conn:
            self._closely = await look_closely(conn)
            self._closely_at = await batches.read_now(conn)
        return len(self._closely)

    async def report(self) -> HealthReport:
        """Look at what is quickly seen, and add what was seen closely. Raises Unavailable."""
        promises = self._promises
        async with connection(self._pool) as conn:
            findings = await look(
                conn,
                allow_unsafe=promises.allow_unsafe,
                ahead_seconds_max=promises.ahead_seconds_max,
                sends_mail=promises.sends_mail,
                asks_portal=promises.asks_portal,
            )
            batch_count, sample_count, oldest = await batches.count_batches(conn)
            found = await copies.list_copies(conn)
            now = await batches.read_now(conn)
            return HealthReport(
                as_of=now,
                findings=[*findings, *self._closely],
                closely_at=self._closely_at,
                batch_count=batch_count,
                sample_count=sample_count,
                oldest_batch_at=oldest,
                closed_until=await rating_state.read_closed_until(conn),
                copies=found,
                running_count=len(running(found, now)),
            )
