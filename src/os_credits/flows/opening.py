"""Takes over what an older service has charged, counted and granted, project by project.

What a file says is written once: opening entries, and exclusions of the samples that the older
service has charged already. A counter goes on from its last value there, which becomes a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.amount import Credits
from os_credits.domain.grant import GrantRequest
from os_credits.domain.lot import LotKind
from os_credits.domain.period import floor_hour, from_ms
from os_credits.domain.person import PEOPLE_MAX, PersonChange, change_people
from os_credits.domain.project import digest
from os_credits.errors import Conflict, InvalidInput
from os_credits.flows.append import append
from os_credits.flows.burn import settle_expiries
from os_credits.flows.exclusions import ExclusionRequest, exclude_within
from os_credits.flows.notice import Watch, settle
from os_credits.flows.opening_file import check_opening, place_of
from os_credits.flows.registry import store_label_sets
from os_credits.ledger.posting import (
    OpeningFrame,
    draft_of_opening_charge,
    draft_of_opening_grant,
)
from os_credits.store import (
    batches,
    grants,
    label_sets,
    meters,
    openings,
    people,
    projects,
    rating_state,
    retention,
    series,
)
from os_credits.store.batches import BatchColumns
from os_credits.store.pool import Pool, snapshot, transaction
from os_credits.store.slices import slices

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.entry import EntryDraft
    from os_credits.domain.opening import Opening, OpeningProject
    from os_credits.flows.label_reading import Limits
    from os_credits.flows.opening_file import CheckedProject, LastCounter
    from os_credits.store.openings import OpenedMeter
    from os_credits.store.pool import Connection

# How the reasons of an opening's exclusions begin.
REASON_PREFIX = "opening: "


@dataclass(frozen=True, slots=True)
class Opener:
    """Who imports, and the few settings on which the import depends.

    `window_ms` is the acceptance window, `watch` has the lines of notices.
    """

    author: str
    limits: Limits
    window_ms: int
    watch: Watch


@dataclass(frozen=True, slots=True)
class Opened:
    """One project after its import: whether anything was new, and how many entries were."""

    project_id: int
    is_new: bool
    entry_count: int


@dataclass(frozen=True, slots=True)
class _Boundary:
    """A meter before which nothing counts: its samples up to `ends_at` are charged elsewhere."""

    meter: str
    meter_id: int
    ends_at: datetime
    reason: str
    counters: Sequence[LastCounter]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What of a project's opening is not stored yet."""

    grants: list[GrantRequest]
    charges: list[EntryDraft]
    boundaries: list[_Boundary]

    def __bool__(self) -> bool:
        return bool(self.grants or self.charges or self.boundaries)


async def check(pool: Pool, opening: Opening, opener: Opener) -> list[CheckedProject]:
    """Hold an opening against meters, clock and all that was imported before.

    Raises InvalidInput with project and field, and Conflict where the same was imported with
    other content.
    """
    async with snapshot(pool) as conn:
        now = await batches.read_now(conn)
        if opening.as_of > now:
            raise InvalidInput(f"{opening.as_of.isoformat()} is yet to come", where="as_of")
        checked = check_opening(opening, await meters.list_versions(conn), opener.limits)
        for number, one in enumerate(checked):
            await _check_kept(conn, number, one)
            project_id = await projects.find_project_id(conn, one.opening.key)
            if project_id is not None:
                await _plan(conn, one, _frame(project_id, opening, opener))
    return checked


async def import_opening(pool: Pool, opening: Opening, opener: Opener) -> list[Opened]:
    """Write what is new of an opening, each project in one transaction; again changes nothing.

    Everything is checked before anything is written (`check`).
    """
    opened = []
    for number, one in enumerate(await check(pool, opening, opener)):
        async with transaction(pool) as conn:
            await rating_state.lock(conn)
            await _check_kept(conn, number, one)
            opened.append(await _open(conn, one, opening, opener))
    return opened


async def _check_kept(conn: Connection, number: int, checked: CheckedProject) -> None:
    """Refuse a last value that retention would drop before the next sample finds it."""
    kept_from = (await retention.read_retention(conn)).samples_announced_until
    for index, counter in enumerate(checked.opening.counters):
        if counter.time < kept_from:
            raise InvalidInput(
                f"samples before {kept_from.isoformat()} are not kept here",
                where=place_of(number, checked.opening.name, "counters", index, "time"),
            )


def _frame(project_id: int, opening: Opening, opener: Opener) -> OpeningFrame:
    return OpeningFrame(project_id, opening.source, opening.as_of, opener.author)


async def _open(
    conn: Connection, checked: CheckedProject, opening: Opening, opener: Opener
) -> Opened:
    key = checked.opening.key
    project_id = (await projects.ensure_projects(conn, [key]))[key.digest()]
    await projects.lock_projects(conn, [project_id])
    frame = _frame(project_id, opening, opener)
    plan = await _plan(conn, checked, frame)
    if not plan:
        return Opened(project_id, is_new=False, entry_count=0)
    await _write_owners(conn, project_id, checked.opening)
    drafts = [
        draft_of_opening_grant(frame, request, await _insert_grant(conn, request, frame))
        for request in plan.grants
    ]
    drafts += plan.charges
    await append(conn, drafts)
    for boundary in plan.boundaries:
        await _draw(conn, boundary, frame, opener)
    await settle_expiries(conn, [project_id], await batches.read_now(conn))
    await settle(conn, [project_id], opener.watch)
    return Opened(project_id, is_new=True, entry_count=len(drafts))


async def _write_owners(conn: Connection, project_id: int, opening: OpeningProject) -> None:
    owners = [PersonChange(owner.email, {"name": owner.name}) for owner in opening.owners]
    before = await people.list_people(conn, project_id)
    change = change_people(before, owners, only_these=False)
    if len(change.people) > PEOPLE_MAX:
        raise Conflict(f"project {opening.name!r} would have more than {PEOPLE_MAX} owners")
    await people.put_people(conn, [(project_id, one) for one in change.added + change.changed])


async def _insert_grant(conn: Connection, request: GrantRequest, frame: OpeningFrame) -> int:
    return await grants.insert_grant(
        conn,
        project_id=request.project_id,
        kind=LotKind.OPENING,
        amount=request.amount,
        reason=request.reason,
        author=request.author,
        valid_from=floor_hour(frame.as_of),
        idempotency_key=request.idempotency_key,
    )


async def _plan(conn: Connection, checked: CheckedProject, frame: OpeningFrame) -> _Plan:
    """Say what is new; Conflict names what was imported before with other content."""
    requests = [
        GrantRequest(
            frame.project_id,
            Credits(one.amount),
            one.reason or f"granted by {frame.source}",
            frame.author,
            f"opening-grant:{frame.project_id}:{one.id}",
        )
        for one in checked.opening.grants
    ]
    charges = [
        draft_of_opening_charge(frame, checked.meter_ids[one.meter], one.meter, one.credits)
        for one in checked.opening.charged
    ]
    new_grants, new_charges = await _new_entries(conn, requests, charges, frame)
    known = await openings.find_opened_meters(conn, frame.project_id, reason_prefix=REASON_PREFIX)
    boundaries = [_boundary(meter, checked, frame) for meter in checked.opening.meters]
    return _Plan(new_grants, new_charges, [one for one in boundaries if _is_new(one, known, frame)])


async def _new_entries(
    conn: Connection,
    requests: Sequence[GrantRequest],
    charges: Sequence[EntryDraft],
    frame: OpeningFrame,
) -> tuple[list[GrantRequest], list[EntryDraft]]:
    drafts = [draft_of_opening_grant(frame, one, None) for one in requests]
    keys = [one.entry_key for one in (*drafts, *charges)]
    stored = await openings.find_opened_entries(conn, keys)
    used = await openings.find_used_keys(conn, keys)
    for draft in (*drafts, *charges):
        one = stored.get(draft.entry_key)
        if one is not None and (one.amount, one.hour, one.reason) != (
            draft.amount,
            draft.hour,
            draft.reason,
        ):
            raise Conflict(
                f"{draft.entry_key} was imported with other content: {one.amount:f} credits at "
                f"{one.hour:%Y-%m-%dT%H:%MZ}, {one.reason!r}; now {draft.amount:f} at "
                f"{draft.hour:%Y-%m-%dT%H:%MZ}, {draft.reason!r}"
            )
        if one is None and draft.entry_key in used:
            raise Conflict(f"idempotency key {draft.entry_key!r} was used for another grant")
    return (
        [one for one in requests if one.idempotency_key not in stored],
        [one for one in charges if one.entry_key not in stored and one.amount],
    )


def _boundary(meter: str, checked: CheckedProject, frame: OpeningFrame) -> _Boundary:
    """Say from when on a meter counts: from its first last value, else from the opening's moment.

    The reason tells one set of last values from another.
    """
    counters = sorted(checked.counters.get(meter, ()), key=lambda one: one.read.series_key)
    reason = f"{REASON_PREFIX}charged by {frame.source}"
    if not counters:
        return _Boundary(meter, checked.meter_ids[meter], frame.as_of, reason, ())
    parts = (
        part
        for one in counters
        for part in (one.read.series_key.hex(), str(one.time_ms), one.value.hex())
    )
    return _Boundary(
        meter,
        checked.meter_ids[meter],
        from_ms(min(one.time_ms for one in counters)),
        f"{reason}, last values {digest(frame.as_of.isoformat(), *parts).hex()}",
        counters,
    )


def _is_new(boundary: _Boundary, known: dict[int, OpenedMeter], frame: OpeningFrame) -> bool:
    stored = known.get(boundary.meter_id)
    if stored is None:
        return True
    if (stored.ends_at, stored.reason) != (boundary.ends_at, boundary.reason):
        raise Conflict(
            f"opening:{frame.project_id}:{boundary.meter} was imported with other content: its "
            f"samples count from {stored.ends_at.isoformat()} ({stored.reason}), not from "
            f"{boundary.ends_at.isoformat()} ({boundary.reason})"
        )
    return False


async def _draw(conn: Connection, boundary: _Boundary, frame: OpeningFrame, opener: Opener) -> None:
    """Take out what was charged elsewhere, and let the counters go on from their last values."""
    columns, listed = await _last_samples(conn, boundary.counters)
    ends = {None: boundary.ends_at} | await _later_ends(conn, boundary, frame, listed)
    for series_id, ends_at in ends.items():
        request = ExclusionRequest(
            frame.project_id,
            boundary.reason,
            frame.author,
            meter_id=boundary.meter_id,
            series_id=series_id,
            ends_at=ends_at,
        )
        await exclude_within(conn, request, window_ms=opener.window_ms)
    if len(columns):
        await batches.insert_batch(conn, columns)


async def _last_samples(
    conn: Connection, counters: Sequence[LastCounter]
) -> tuple[BatchColumns, dict[int, datetime]]:
    """Give the last values as samples, and the time of each by its series."""
    ids: dict[tuple[int, bytes], int] = {}
    series_of: dict[int, int] = {}
    for part in slices(len(counters)):
        stored = await store_label_sets(conn, [one.read for one in counters[part]])
        found = await label_sets.read_label_sets(conn, list(stored.values()))
        series_of |= {one.id: one.series_id for one in found}
        ids |= stored
    label_set_ids = [ids[one.read.version.id, one.read.label_set_key] for one in counters]
    columns = BatchColumns(
        np.array(label_set_ids, np.int64),
        np.array([one.time_ms for one in counters], np.int64),
        np.array([one.value for one in counters], np.float64),
    )
    listed = {
        series_of[label_set_id]: from_ms(one.time_ms)
        for label_set_id, one in zip(label_set_ids, counters, strict=True)
    }
    return columns, listed


async def _later_ends(
    conn: Connection, boundary: _Boundary, frame: OpeningFrame, listed: dict[int, datetime]
) -> dict[int, datetime]:
    """Give the series that count from a later moment than their meter, and that moment.

    So do counters whose last value is later than the first of them, and known series that the
    file does not name: what they had counted by then is charged.
    """
    all_ids = await series.list_series_of_project(
        conn, frame.project_id, meter_id=boundary.meter_id, series_id=None
    )
    ends = {one: listed.get(one, frame.as_of) for one in all_ids}
    return {one: end for one, end in sorted(ends.items()) if end > boundary.ends_at}
