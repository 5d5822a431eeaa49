"""Takes bad samples out of the set, and lets them in again; credits follow exactly.

Excluded samples are laid aside, so that rating never sees them. An exclusion covers samples
that come later too, and whatever it covers counts again once it is lifted.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.exclusion import Exclusions
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.change import SAMPLES_AT_ONCE_MAX, apply_change, in_columns, sample_groups
from os_credits.flows.effect import Effect, checked
from os_credits.flows.facts import Facts
from os_credits.flows.memory import read_pricing
from os_credits.flows.reprice import Change
from os_credits.flows.whereabouts import Places, follow_removal
from os_credits.store import (
    batches,
    exclusions,
    rating_state,
    retention,
    sample_blocks,
    samples,
    series,
)
from os_credits.store.batches import BatchColumns
from os_credits.store.pool import Pool, previewed, transaction
from os_credits.store.samples import FIRST_MOMENT, LAST_MOMENT

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from os_credits.domain.pricing import Pricing
    from os_credits.store.pool import Connection
    from os_credits.store.samples import StoredSamples


@dataclass(frozen=True, slots=True)
class ExclusionRequest:
    """What is to be taken out: a project's samples from `starts_at` up to before `ends_at`.

    None means since ever, and for ever; `meter_id` and `series_id` narrow it where given.
    """

    project_id: int
    reason: str
    author: str
    meter_id: int | None = None
    series_id: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Excluded:
    """An exclusion's id (None for a preview), how many samples it took out, what that changed.

    `effect` stands for the change, for a call that is to have just this one; `is_new` is false
    where such a call had made it before.
    """

    exclusion_id: int | None
    sample_count: int
    change: Change
    effect: str = ""
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class Lifted:
    """How many samples wait to be rated again because an exclusion was lifted."""

    sample_count: int


async def exclude(
    pool: Pool,
    request: ExclusionRequest,
    *,
    window_ms: int,
    preview: bool = False,
    effect: str | None = None,
) -> Excluded:
    """Take samples out of the set, with the corrections that this causes.

    With `preview`, everything is worked out and nothing is kept; with `effect`, as a preview
    gave it, it is done once, and only if it still has that effect. Raises Conflict else,
    InvalidInput for a period that is empty or reaches back into what was dropped, NotFound for
    a series that is not the project's.
    """
    asked = Effect.read(effect)
    _check(request)
    async with previewed(pool, preview=preview) as conn:
        await rating_state.lock(conn)
        last_id = await exclusions.read_last_id(conn, request.project_id)
        if asked is not None and asked.last_id != last_id:
            return await _excluded_before(conn, asked, last_id, request)
        done = await exclude_within(conn, request, window_ms=window_ms)
        seen = await checked(conn, done.change, last_id, asked)
    done = replace(done, effect=str(seen))
    return replace(done, exclusion_id=None) if preview else done


async def _excluded_before(
    conn: Connection, asked: Effect, last_id: int, request: ExclusionRequest
) -> Excluded:
    """Give what a repetition of the same call finds; raises Conflict if others excluded more."""
    found = await exclusions.find_exclusion(conn, last_id)
    names = tuple(one.name for one in fields(ExclusionRequest))
    is_next = await exclusions.read_last_id(conn, request.project_id, before=last_id)
    if is_next != asked.last_id or any(
        getattr(found, name) != getattr(request, name) for name in names
    ):
        raise Conflict("other samples of this project were excluded since the preview")
    return Excluded(last_id, 0, Change(), str(asked), is_new=False)


async def exclude_within(
    conn: Connection, request: ExclusionRequest, *, window_ms: int
) -> Excluded:
    """Do it in a transaction that holds the lock of rating."""
    concerned = await series.list_series_of_project(
        conn, request.project_id, meter_id=request.meter_id, series_id=request.series_id
    )
    if request.series_id is not None and not concerned:
        raise NotFound(f"there is no series {request.series_id} of this project and meter")
    await _check_kept(conn, request.starts_at, concerned)
    exclusion_id = await exclusions.insert_exclusion(
        conn,
        project_id=request.project_id,
        meter_id=request.meter_id,
        series_id=request.series_id,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        reason=request.reason,
        author=request.author,
    )
    await rating_state.raise_epoch(conn)
    start, end = request.starts_at or FIRST_MOMENT, request.ends_at or LAST_MOMENT
    pricing, facts, places = await read_pricing(conn), Facts(), Places()
    places.use(pricing.meters)
    count, change = 0, Change()
    async for counts in sample_groups(conn, concerned, start, end):
        count += sum(counts.values())
        rows = await samples.read_period(conn, list(counts), start, end)
        inside = samples.within(rows, start, end)
        change.join(await _take_out(conn, rows, inside, facts, pricing, window_ms))
        await sample_blocks.delete_period(conn, list(counts), start, end)
        await follow_removal(conn, places, rows, inside, start)
    return Excluded(exclusion_id, count, change)


async def _take_out(
    conn: Connection,
    rows: StoredSamples,
    inside: NDArray[np.bool_],
    facts: Facts,
    pricing: Pricing,
    window_ms: int,
) -> Change:
    await facts.learn(conn, rows.label_set_ids)
    await exclusions.keep_excluded(conn, rows.where(inside))
    before = in_columns(rows, facts)
    return await apply_change(
        conn,
        facts,
        after=before.where(~inside),
        before=before,
        pricing=pricing,
        window_ms=window_ms,
    )


async def lift(pool: Pool, exclusion_id: int, *, reason: str, author: str) -> Lifted:
    """Let the samples of an exclusion back into the set, but for those that another one covers.

    They are rated like samples that come late. Raises NotFound, Conflict if it was lifted
    before, and InvalidInput if some of its samples were dropped meanwhile.
    """
    async with transaction(pool) as conn:
        await rating_state.lock(conn)
        exclusion = await exclusions.find_exclusion(conn, exclusion_id)
        if exclusion is None:
            raise NotFound(f"there is no exclusion {exclusion_id}")
        concerned = await series.list_series_of_project(
            conn,
            exclusion.project_id,
            meter_id=exclusion.meter_id,
            series_id=exclusion.series_id,
        )
        await _check_kept(conn, exclusion.starts_at, concerned)
        if not await exclusions.insert_lift(conn, exclusion_id, reason=reason, author=author):
            raise Conflict(f"exclusion {exclusion_id} was lifted before")
        await rating_state.raise_epoch(conn)
        covered = await exclusions.read_excluded(conn, exclusion)
        facts = Facts()
        await facts.learn(conn, covered.label_set_ids)
        still = Exclusions(await exclusions.list_active_exclusions(conn)).cover(
            covered.series_ids, covered.times_ms, facts.project_ids, facts.meter_ids
        )
        back = covered.where(~still)
        await exclusions.forget_excluded(conn, back)
        for first in range(0, len(back), SAMPLES_AT_ONCE_MAX):
            part = back.where(np.arange(first, min(first + SAMPLES_AT_ONCE_MAX, len(back))))
            columns = BatchColumns(part.label_set_ids, part.times_ms, part.values)
            await batches.insert_batch(conn, columns)
    return Lifted(len(back))


def _check(request: ExclusionRequest) -> None:
    start, end = request.starts_at, request.ends_at
    if start is not None and end is not None and start >= end:
        raise InvalidInput("must be after its start", where="ends_at")
    for where, moment in (("starts_at", start), ("ends_at", end)):
        if moment is not None and not FIRST_MOMENT < moment < LAST_MOMENT:
            raise InvalidInput("is too far away", where=where)


async def _check_kept(conn: Connection, start: datetime | None, concerned: list[int]) -> None:
    """Refuse to reach back before the floor: those samples are gone, and what they cost stays."""
    kept = await retention.read_retention(conn)
    is_before = start is None or start < kept.samples_dropped_until
    if is_before and await samples.have_floor(conn, concerned):
        raise InvalidInput(
            f"samples before {kept.samples_dropped_until:%Y-%m-%dT%H:%MZ} are no longer kept, "
            "so what they cost cannot change any more",
            where="starts_at",
        )
