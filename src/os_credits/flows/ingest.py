"""Takes what a sender handed in: judged sample by sample, then durable in one insert.

The only way by which samples enter. What is accepted is stored as one row of `batch` and
acknowledged after the commit; rating follows by its own clock (`rate_clock.py`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import to_ms
from os_credits.errors import Unavailable
from os_credits.flows.group_commit import GroupCommit
from os_credits.flows.registry import READINGS_MAX
from os_credits.rating.acceptance import judge
from os_credits.rating.judgement import AcceptanceWindow, Circumstances, Judgement
from os_credits.store import batches, meters
from os_credits.store.batches import BatchColumns
from os_credits.store.pool import Pool, transaction

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from os_credits.domain.access import Access
    from os_credits.domain.claim import KnownKeys
    from os_credits.domain.sample import Labels, Push, Rejected
    from os_credits.flows.registry import Registry
    from os_credits.flows.stats import Stats
    from os_credits.store.meters import Clock

# Longer than it ever takes from reading label sets to judging their samples.
LEARNING_MS_MAX = 3_600_000
# What takes longer than some milliseconds is judged beside the event loop.
JUDGED_INLINE_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a push: counts of samples, and the refused places with their reasons.

    `refused` counts samples once, `rejected` names what each of several meters has against them.
    `set_aside` were readable but can never be billed (NaN, negative ...), by reason;
    `unknown` belong to metrics that no meter names. Both are answered as success.
    """

    accepted: int
    set_aside: Counter[str]
    unknown: Counter[str]
    refused: int
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
        self._commits = GroupCommit(pool)

    async def accept(
        self,
        push: Push,
        *,
        labels_of: Callable[[bytes], Labels],
        door: str,
        access: Access,
        deltas_allowed: bool = True,
        counted_as: str = "",
    ) -> Receipt:
        """Judge every sample of a push and make the good ones durable.

        `door` names the form of the push's label keys, which `labels_of` reads; `counted_as` is
        what people call the door that it came by, '' for the same. Raises Unavailable when the
        database cannot take it; nothing is stored then.
        """
        for _ in range(READINGS_MAX):
            known = await self._registry.resolve(
                self._pool,
                door,
                push.keys,
                labels_of,
                access,
                worth_storing=lambda clock: self._acceptable_keys(push, clock),
            )
            judgement = await self._store(push, known, access, deltas_allowed=deltas_allowed)
            if judgement is not None:
                break
            await self._registry.refresh(self._pool)
        else:
            raise Unavailable("the meters keep changing")
        self._count(door, push, judgement)
        self._stats.sources.note(access, counted_as or door, push, judgement)
        return Receipt(
            accepted=len(judgement),
            set_aside=judgement.set_aside,
            unknown=judgement.unknown,
            refused=judgement.refused_count + sum(one.sample_count for one in push.rejected),
            rejected=[*push.rejected, *(rejected for _, rejected in judgement.refused)],
        )

    async def _store(
        self,
        push: Push,
        known: KnownKeys,
        access: Access,
        *,
        deltas_allowed: bool,
    ) -> Judgement | None:
        """Judge and store, unless `known` is of other meters than the database's: then None.

        So every copy reads a sample alike, however long ago it last looked at the meters.
        """
        known_mark = self._registry.mark
        found: list[Judgement] = []

        def columns_at(clock: Clock) -> BatchColumns | None:
            if clock.mark != known_mark:
                return None
            under = self._circumstances(clock, access, deltas_allowed=deltas_allowed)
            found.append(judge(push, known, under))
            return _columns(found[0])

        if len(push) + len(known) <= JUDGED_INLINE_MAX:
            await self._commits.store(len(push), columns_at)
        else:
            async with transaction(self._pool) as conn:
                columns = await asyncio.to_thread(columns_at, await meters.read_clock(conn))
                if columns is not None:
                    await batches.insert_batch(conn, columns)
        if not found:
            return None
        found[0].set_aside.update(self._billed_texts(push))
        return found[0]

    def _circumstances(
        self, clock: Clock, access: Access, *, deltas_allowed: bool
    ) -> Circumstances:
        now_ms, kept_from_ms = to_ms(clock.now), to_ms(clock.kept_from)
        return Circumstances(now_ms, self._window, access, deltas_allowed, kept_from_ms)

    def _acceptable_keys(self, push: Push, clock: Clock) -> set[bytes]:
        """Give the label sets with a sample that is not too old, nor far ahead for long.

        What is too old stays so as time goes on; what is ahead comes nearer.
        """
        now_ms = to_ms(clock.now)
        oldest_ms = max(now_ms - self._window.past_ms, to_ms(clock.kept_from))
        latest_ms = now_ms + self._window.ahead_ms + LEARNING_MS_MAX
        within = (push.times_ms >= oldest_ms) & (push.times_ms <= latest_ms)
        return {push.keys[one] for one in np.unique(push.key_index[within | push.untimed])}

    def _billed_texts(self, push: Push) -> dict[str, int]:
        """Count the fields that hold text where a meter expects a number."""
        count = sum(count for metric, count in push.texts.items() if self._registry.names(metric))
        return {"text": count} if count else {}

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


def _columns(judgement: Judgement) -> BatchColumns | None:
    """Give what is to be stored; Unavailable if it was judged by label sets that are not stored."""
    if judgement.unstored:
        raise Unavailable("the database's clock was set back meanwhile")
    if not len(judgement):
        return None
    return BatchColumns(judgement.label_set_ids, judgement.times_ms, judgement.values)
