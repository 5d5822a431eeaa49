"""Takes what a sender handed in: judged sample by sample, then durable in one insert.

The only way by which samples enter. What is accepted is stored as one row of `batch` and
acknowledged after the commit; rating follows within seconds (`rate.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.period import to_ms
from os_credits.errors import Unavailable
from os_credits.flows.registry import READINGS_MAX
from os_credits.rating.acceptance import AcceptanceWindow, Circumstances, Judgement, judge
from os_credits.store import batches, meters
from os_credits.store.batches import BatchColumns
from os_credits.store.pool import Pool, transaction

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from os_credits.domain.access import Access
    from os_credits.domain.claim import KnownLabelSet
    from os_credits.domain.sample import Labels, Push, Rejected
    from os_credits.flows.registry import Registry
    from os_credits.flows.stats import Stats


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a push: counts of samples, and the refused places with their reasons.

    `set_aside` were readable but can never be billed (NaN, negative ...), by reason;
    `unknown` belong to metrics that no meter names. Both are answered as success.
    """

    accepted: int
    set_aside: Counter[str]
    unknown: Counter[str]
    rejected: list[Rejected]


class Ingest:
    """Everything that accepting a push needs, opened once."""

    def __init__(
        self, pool: Pool, registry: Registry, stats: Stats, window: AcceptanceWindow
    ) -> None:
        """Keep the pool, what label sets mean, the counters and the acceptance window."""
        self._pool = pool
        self._registry = registry
        self._stats = stats
        self._window = window

    async def accept(
        self,
        push: Push,
        *,
        labels_of: Callable[[bytes], Labels],
        door: str,
        access: Access,
        deltas_allowed: bool = True,
    ) -> Receipt:
        """Judge every sample of a push and make the good ones durable.

        `door` names the form of the push's label keys, which `labels_of` reads. Raises
        Unavailable when the database cannot take it; nothing is stored then.
        """
        for _ in range(READINGS_MAX):
            known = await self._registry.resolve(self._pool, door, push.keys, labels_of, access)
            judgement = await self._store(push, known, access, deltas_allowed=deltas_allowed)
            if judgement is not None:
                break
            await self._registry.refresh(self._pool)
        else:
            raise Unavailable("the meters keep changing")
        self._count(door, push, judgement)
        return Receipt(
            accepted=len(judgement),
            set_aside=judgement.set_aside,
            unknown=judgement.unknown,
            rejected=[*push.rejected, *(rejected for _, rejected in judgement.refused)],
        )

    async def _store(
        self,
        push: Push,
        known: Sequence[KnownLabelSet],
        access: Access,
        *,
        deltas_allowed: bool,
    ) -> Judgement | None:
        """Judge and store, unless `known` is of other meters than the database's: then None.

        So every copy reads a sample alike, however long ago it last looked at the meters.
        """
        known_mark = self._registry.mark
        async with transaction(self._pool) as conn:
            clock = await meters.read_clock(conn)
            if clock.mark != known_mark:
                return None
            under = Circumstances(
                to_ms(clock.now), self._window, access, deltas_allowed, to_ms(clock.kept_from)
            )
            judgement = judge(push, known, under)
            if len(judgement):
                columns = BatchColumns(
                    judgement.label_set_ids, judgement.times_ms, judgement.values
                )
                await batches.insert_batch(conn, columns)
        return judgement

    def _count(self, door: str, push: Push, judgement: Judgement) -> None:
        """Count after the commit only: what was not stored was not accepted."""
        stats = self._stats
        stats.pushes[door] += 1
        for meter, count in judgement.accepted.items():
            stats.note_accepted(meter, count, judgement.last_ms[meter])
        stats.set_aside.update(judgement.set_aside)
        for metric, count in judgement.unknown.items():
            stats.note_unknown(metric, count)
        for rejected in push.rejected:
            stats.note_refused("unreadable", rejected)
        for code, rejected in judgement.refused:
            stats.note_refused(code, rejected)
