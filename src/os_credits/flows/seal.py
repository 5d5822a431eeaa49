"""Binds the chains of all projects into one, once for each hour that was closed (rule 8).

The seal's hash stands in the log and in `/stats`: kept elsewhere, it shows later that nothing
before it was changed, not even by someone who may do everything in the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from os_credits.domain.entry import CHAIN_START
from os_credits.domain.period import floor_hour
from os_credits.ledger.chain import seal_hash
from os_credits.store import batches, rating_state, seals
from os_credits.store.pool import Pool, connection

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from os_credits.domain.seal import Seal
    from os_credits.flows.rate import Rater
    from os_credits.store.pool import Connection

log = structlog.stdlib.get_logger(__name__)


class Sealer:
    """Appends seals; remembers at which hour it looked last, so that it looks once an hour."""

    def __init__(self, pool: Pool, rater: Rater, *, grace: timedelta) -> None:
        """Take whose turn it works in, and how long after its end an hour closes."""
        self._pool = pool
        self._rater = rater
        self._grace = grace
        self._looked_at: datetime | None = None

    async def run(self) -> int:
        """Append a seal if an hour was closed since the last one; gives how many heads it holds.

        Zero also where no account has grown. A grant that commits meanwhile enters the next.
        """
        async with connection(self._pool) as conn:
            if not await self._is_due(conn, await seals.read_last_seal(conn)):
                return 0
        async with self._rater.turn() as conn:
            last = await seals.read_last_seal(conn)
            if not await self._is_due(conn, last):
                return 0
            closed_until = await rating_state.read_closed_until(conn)
            made = await _append(conn, last)
        self._looked_at = closed_until
        if made is None:
            return 0
        log.info("sealed", action="seal", id=made.id, heads=made.head_count, hash=made.hash.hex())
        return made.head_count

    async def _is_due(self, conn: Connection, last: Seal | None) -> bool:
        """Tell whether booking is up to date, and closed an hour since the last seal or look."""
        closed_until = await rating_state.read_closed_until(conn)
        if closed_until < floor_hour(await batches.read_now(conn) - self._grace):
            return False
        if self._looked_at is not None and closed_until <= self._looked_at:
            return False
        return last is None or floor_hour(last.sealed_at - self._grace) < closed_until


async def _append(conn: Connection, last: Seal | None) -> Seal | None:
    heads = await seals.list_unsealed_heads(conn)
    if not heads:
        return None
    sealed_at = await batches.read_now(conn)
    previous_hash = CHAIN_START if last is None else last.hash
    return await seals.append_seal(
        conn,
        heads,
        sealed_at=sealed_at,
        previous_hash=previous_hash,
        seal_hash=seal_hash(previous_hash, sealed_at, heads),
    )
