"""Writes usage and what it costs, and keeps the charges of projects in step.

Everything here runs under the lock of `rating_state`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from os_credits.domain.amount import from_micro, to_micro
from os_credits.domain.period import DAY_MS, EPOCH, from_ms
from os_credits.flows.burn import follow_charges
from os_credits.rating.charge import credits_of_usage
from os_credits.store import batches, charges, projects, summed_days, usage
from os_credits.store.slices import slices
from os_credits.store.usage import Chosen, UsageRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.pricing import Pricing
    from os_credits.store.charges import ChargeKey
    from os_credits.store.pool import Connection
    from os_credits.store.usage import PricedUsage, UsageKey

# How much usage is held in memory at once while it is priced anew.
ROWS_AT_ONCE_MAX = 50_000


@dataclass(frozen=True, slots=True)
class NewUsage:
    """A quantity to add (of either sign) to what is stored under a key."""

    key: UsageKey
    quantity: int
    project_id: int
    meter_id: int


@dataclass(slots=True)
class Moved:
    """Usage that gets a price, or loses it: rows (a resource's hour), steps, projects."""

    row_count: int = 0
    quantity: int = 0
    project_ids: set[int] = field(default_factory=set)

    def add(self, one: Repriced) -> None:
        """Take in a row of usage."""
        self.row_count += 1
        self.quantity += one.row.quantity
        self.project_ids.add(one.charge_key[0])


class Change:
    """By how many millionths each charge moves when an input changes.

    `priced` is usage that had no price before, `unpriced` what has none any more.
    """

    def __init__(self) -> None:
        """Change nothing yet."""
        self._micro: Counter[ChargeKey] = Counter()
        self.priced = Moved()
        self.unpriced = Moved()

    def note(self, repriced: Iterable[Repriced]) -> None:
        """Remember which usage has a price now and had none, and the other way round."""
        for one in repriced:
            if one.was_priced != (one.row.credits is not None):
                (self.unpriced if one.was_priced else self.priced).add(one)

    def add(self, moved: Mapping[ChargeKey, int]) -> None:
        """Take in how far some charges moved."""
        self._micro.update(moved)

    def join(self, other: Change) -> None:
        """Take in another change."""
        self.add(other._micro)

    @property
    def micro(self) -> int:
        """Sum what is charged more (or, if negative, less)."""
        return sum(self._micro.values())

    @property
    def project_count(self) -> int:
        """Count the projects that it concerns."""
        return len({project_id for project_id, *_ in self._moved()})

    @property
    def hour_count(self) -> int:
        """Count the hours of projects that it concerns, whatever the meters and flavors."""
        return len({(project_id, hour_ms) for project_id, hour_ms, *_ in self._moved()})

    @property
    def by_project(self) -> dict[int, int]:
        """Give by how many millionths each project that it concerns is charged more."""
        sums: Counter[int] = Counter()
        for key in self._moved():
            sums[key[0]] += self._micro[key]
        return dict(sums)

    def before(self, end_ms: int) -> dict[ChargeKey, int]:
        """Give the charges of hours before this one that move, and by how much."""
        return {key: self._micro[key] for key in self._moved() if key[1] < end_ms}

    @property
    def hours_ms(self) -> tuple[int, int] | None:
        """Give the first and the last hour that it concerns; None if there is none."""
        hours = {key[1] for key in self._moved()}
        return (min(hours), max(hours)) if hours else None

    def _moved(self) -> Iterator[ChargeKey]:
        return (key for key, micro in self._micro.items() if micro)


@dataclass(frozen=True, slots=True)
class Repriced:
    """Usage whose credits change, with the change of its project's charge."""

    row: UsageRow
    charge_key: ChargeKey
    change_micro: int
    was_priced: bool


async def apply_usage(conn: Connection, new: Sequence[NewUsage], pricing: Pricing) -> Change:
    """Add quantities to the stored usage, price the sums and move the charges."""
    change = Change()
    names = await _names(conn, pricing, {one.project_id for one in new})
    # By hour, so that one statement touches few chunks.
    ordered = sorted(new, key=lambda one: one.key[1])
    for part in slices(len(ordered)):
        stored = await usage.read_usage(conn, [one.key for one in ordered[part]])
        repriced = []
        for one in ordered[part]:
            before, credits_before = stored.get(one.key, (0, None))
            repriced.append(
                _reprice(
                    UsageRow(one.key, before + one.quantity, credits_before),
                    one.project_id,
                    one.meter_id,
                    pricing,
                    names.get(one.project_id, ()),
                )
            )
        await usage.copy_usage(conn, [one.row for one in repriced if one.row.key not in stored])
        await usage.put_usage(conn, [one.row for one in repriced if one.row.key in stored])
        change.add(await _move_charges(conn, repriced))
    await summed_days.mark_days(conn, _days(one.key for one in new))
    return change


async def reprice_projects(conn: Connection, project_ids: Iterable[int], pricing: Pricing) -> None:
    """Price all usage of these projects anew, as after a change of name under a whitelist."""
    for project_id in project_ids:
        await reprice(conn, Chosen(EPOCH, project_id=project_id), pricing)


async def reprice(
    conn: Connection, chosen: Chosen, pricing: Pricing, *, preview: bool = False
) -> Change:
    """Price the chosen usage anew, some hours at a time, and sum up what that changes.

    With `preview`, nothing is written.
    """
    change = Change()
    for first, last in _spans(await usage.count_usage(conn, chosen)):
        rows = await usage.read_chosen_usage(conn, chosen, first, last)
        repriced = await _changes_of(conn, rows, pricing)
        if not preview:
            await _write_changes(conn, repriced)
        change.add(_moved(repriced))
        change.note(repriced)
    return change


def _spans(counts: Sequence[tuple[datetime, int]]) -> Iterator[tuple[datetime, datetime]]:
    """Join hours, given with their counts of rows, to spans of about `ROWS_AT_ONCE_MAX` rows."""
    first, total = None, 0
    for (hour, count), (_, following) in pairwise([*counts, (EPOCH, ROWS_AT_ONCE_MAX)]):
        first, total = first or hour, total + count
        if total + following > ROWS_AT_ONCE_MAX:
            yield first, hour
            first, total = None, 0


async def _changes_of(
    conn: Connection, rows: Sequence[PricedUsage], pricing: Pricing
) -> list[Repriced]:
    """Give the rows whose credits are others under this pricing; writes nothing."""
    names = await _names(conn, pricing, {one.project_id for one in rows})
    repriced = (
        _reprice(one.row, one.project_id, one.meter_id, pricing, names.get(one.project_id, ()))
        for one in rows
    )
    return [
        new for one, new in zip(rows, repriced, strict=True) if new.row.credits != one.row.credits
    ]


def _reprice(
    row: UsageRow,
    project_id: int,
    meter_id: int,
    pricing: Pricing,
    names: tuple[str, ...],
) -> Repriced:
    """Price a row anew; its `credits` are those of before."""
    series_id, hour_ms, flavor_id, kind = row.key
    after = credits_of_usage(
        pricing,
        project_id=project_id,
        meter_id=meter_id,
        series_id=series_id,
        flavor_id=flavor_id,
        hour_ms=hour_ms,
        kind=kind,
        quantity=row.quantity,
        project_names=names,
    )
    return Repriced(
        UsageRow(row.key, row.quantity, after),
        (project_id, hour_ms, meter_id, flavor_id),
        to_micro(after or from_micro(0)) - to_micro(row.credits or from_micro(0)),
        was_priced=row.credits is not None,
    )


async def _names(
    conn: Connection, pricing: Pricing, project_ids: set[int]
) -> dict[int, tuple[str, ...]]:
    """Read names and cloud ids, if the whitelist asks for them at all."""
    if not pricing.whitelist.limits_anyone:
        return {}
    return dict(await projects.names_of(conn, sorted(project_ids)))


async def _write_changes(conn: Connection, repriced: Sequence[Repriced]) -> None:
    """Store rows as repriced, and move the charges by their differences."""
    for part in slices(len(repriced)):
        await usage.put_usage(conn, [one.row for one in repriced[part]])
        await _move_charges(conn, repriced[part])
    await summed_days.mark_days(conn, _days(one.row.key for one in repriced))


def _days(keys: Iterable[UsageKey]) -> set[int]:
    """Give the days (ms) in which usage changes: what is summed by host is summed anew."""
    return {hour_ms // DAY_MS * DAY_MS for _, hour_ms, _, _ in keys}


async def _move_charges(conn: Connection, repriced: Sequence[Repriced]) -> dict[ChargeKey, int]:
    moved = _moved(repriced)
    if moved:
        changes = {key: from_micro(micro) for key, micro in moved.items()}
        await charges.add_to_charges(conn, changes, changed_at=await batches.read_now(conn))
        first_ms: dict[int, int] = {}
        for project_id, hour_ms, *_ in moved:
            first_ms[project_id] = min(hour_ms, first_ms.get(project_id, hour_ms))
        await follow_charges(conn, {one: from_ms(ms) for one, ms in first_ms.items()})
    return moved


def _moved(repriced: Sequence[Repriced]) -> dict[ChargeKey, int]:
    """Sum by how many millionths each charge changes."""
    changes: dict[ChargeKey, int] = defaultdict(int)
    for one in repriced:
        changes[one.charge_key] += one.change_micro
    return {key: micro for key, micro in changes.items() if micro}
