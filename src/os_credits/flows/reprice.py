"""Writes usage and what it costs, and keeps the charges of projects in step.

Everything here runs under the lock of `rating_state`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from os_credits.domain.amount import from_micro
from os_credits.domain.period import DAY_MS, EPOCH, from_ms
from os_credits.domain.usage import CostColumns, added
from os_credits.flows.burn import follow_charges
from os_credits.rating.charge import costs_of_usage
from os_credits.rating.groups import grouped, sums_of
from os_credits.store import batches, charges, projects, summed_days, usage
from os_credits.store.slices import slices
from os_credits.store.usage import Chosen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from os_credits.domain.pricing import Pricing
    from os_credits.domain.usage import Owners, UsageColumns
    from os_credits.flows.open_usage import OpenUsage
    from os_credits.store.charges import ChargeKey
    from os_credits.store.pool import Connection

# How much usage is held in memory at once while it is priced anew.
ROWS_AT_ONCE_MAX = 50_000
# How many rows new quantities are added to at once.
ADDED_AT_ONCE_MAX = 50_000


@dataclass(slots=True)
class Moved:
    """Usage that gets a price, or loses it: rows (a resource's hour), steps, projects."""

    row_count: int = 0
    quantity: int = 0
    project_ids: set[int] = field(default_factory=set)

    def add(self, rows: Repriced) -> None:
        """Take in rows of usage."""
        self.row_count += len(rows.usage)
        self.quantity += sum(rows.usage.quantities.tolist())
        self.project_ids.update(rows.owners.project_ids.tolist())


@dataclass(frozen=True, slots=True)
class Repriced:
    """Rows of usage with what they cost before and cost now."""

    usage: UsageColumns
    owners: Owners
    before: CostColumns
    after: CostColumns

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Repriced:
        """Keep the chosen rows, in the order chosen."""
        return Repriced(
            self.usage.where(chosen),
            self.owners.where(chosen),
            self.before.where(chosen),
            self.after.where(chosen),
        )

    def changed(self) -> Repriced:
        """Keep the rows that cost something else now, or have a price only before or only now."""
        return self.where(
            (self.before.micro != self.after.micro)
            | (self.before.is_priced != self.after.is_priced)
        )

    def moved(self) -> dict[ChargeKey, int]:
        """Sum by how many millionths each charge changes."""
        columns = (
            self.owners.project_ids,
            self.usage.hours_ms,
            self.owners.meter_ids,
            self.usage.flavor_ids,
        )
        order, starts = grouped(*columns)
        if len(order) == 0:
            return {}
        differences = added(self.after.micro, -self.before.micro)
        sums = sums_of(differences, order, starts).tolist()
        firsts = order[starts]
        keys = zip(*(column[firsts].tolist() for column in columns), strict=True)
        return {key: micro for key, micro in zip(keys, sums, strict=True) if micro}


class Change:
    """By how many millionths each charge moves when an input changes.

    `priced` is usage that had no price before, `unpriced` what has none any more.
    """

    def __init__(self) -> None:
        """Change nothing yet."""
        self._micro: Counter[ChargeKey] = Counter()
        self.priced = Moved()
        self.unpriced = Moved()

    def note(self, repriced: Repriced) -> None:
        """Remember which usage has a price now and had none, and the other way round."""
        was, is_ = repriced.before.is_priced, repriced.after.is_priced
        self.priced.add(repriced.where(~was & is_))
        self.unpriced.add(repriced.where(was & ~is_))

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


async def apply_usage(
    conn: Connection,
    new: UsageColumns,
    owners: Owners,
    pricing: Pricing,
    known: OpenUsage,
) -> Change:
    """Add quantities (of either sign) to the stored usage, price the sums and move the charges.

    No key may be in `new` twice. `known` is what is remembered of stored usage, and is told.
    """
    change = Change()
    names = await _names(conn, pricing, set(owners.project_ids.tolist()))
    # By hour, so that one statement touches few chunks.
    order = np.argsort(new.hours_ms, kind="stable")
    for part in slices(len(order), ADDED_AT_ONCE_MAX):
        rows, of_rows = new.where(order[part]), owners.where(order[part])
        found, quantities, before = await _stored(conn, rows, known)
        rows = replace(rows, quantities=added(quantities, rows.quantities))
        repriced = Repriced(rows, of_rows, before, costs_of_usage(rows, of_rows, pricing, names))
        await usage.copy_usage(conn, rows.where(~found), repriced.after.where(~found))
        for written in slices(len(rows)):
            stored = np.flatnonzero(found[written]) + written.start
            await usage.update_usage(conn, rows.where(stored), repriced.after.where(stored))
        known.note(rows, repriced.after)
        change.add(await _move_charges(conn, repriced))
    await summed_days.mark_days(conn, _days(new))
    return change


async def _stored(
    conn: Connection, keys: UsageColumns, known: OpenUsage
) -> tuple[NDArray[np.bool_], NDArray[Any], CostColumns]:
    """Tell which keys are stored, with quantities and costs: as remembered, else as read."""
    found, quantities, costs = known.find(keys)
    unknown = np.flatnonzero(~found)
    for part in slices(len(unknown)):
        places = unknown[part]
        read, read_quantities, read_costs = await usage.read_usage(conn, keys.where(places))
        found[places] = read
        quantities = _put(quantities, places, read_quantities)
        costs = CostColumns(_put(costs.micro, places, read_costs.micro), costs.is_priced)
        costs.is_priced[places] = read_costs.is_priced
    return found, quantities, costs


def _put(column: NDArray[Any], places: NDArray[np.intp], values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype == object:
        column = column.astype(object)
    column[places] = values
    return column


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
        names = await _names(conn, pricing, set(rows.owners.project_ids.tolist()))
        costs = costs_of_usage(rows.usage, rows.owners, pricing, names)
        repriced = Repriced(rows.usage, rows.owners, rows.costs, costs).changed()
        if not preview:
            await _write_changes(conn, repriced)
        change.add(repriced.moved())
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


async def _names(
    conn: Connection, pricing: Pricing, project_ids: set[int]
) -> dict[int, tuple[str, ...]]:
    """Read names and cloud ids, if the whitelist asks for them at all."""
    if not pricing.whitelist.limits_anyone:
        return {}
    return dict(await projects.names_of(conn, sorted(project_ids)))


async def _write_changes(conn: Connection, repriced: Repriced) -> None:
    """Store what rows cost now, and move the charges by the differences."""
    places = np.arange(len(repriced.usage))
    for part in slices(len(places)):
        rows = repriced.where(places[part])
        await usage.update_usage(conn, rows.usage, rows.after)
        await _move_charges(conn, rows)
    await summed_days.mark_days(conn, _days(repriced.usage))


def _days(changed: UsageColumns) -> set[int]:
    """Give the days (ms) in which usage changes: what is summed by day is summed anew."""
    return set((np.unique(changed.hours_ms // DAY_MS) * DAY_MS).tolist())


async def _move_charges(conn: Connection, repriced: Repriced) -> dict[ChargeKey, int]:
    moved = repriced.moved()
    if moved:
        changed_at = await batches.read_now(conn)
        changes = [(key, from_micro(micro)) for key, micro in sorted(moved.items())]
        for part in slices(len(changes)):
            await charges.add_to_charges(conn, dict(changes[part]), changed_at=changed_at)
        first_ms: dict[int, int] = {}
        for project_id, hour_ms, *_ in moved:
            first_ms[project_id] = min(hour_ms, first_ms.get(project_id, hour_ms))
        await follow_charges(conn, {one: from_ms(ms) for one, ms in first_ms.items()})
    return moved
