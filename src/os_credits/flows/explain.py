"""Explains an entry, or an hour of a project: who, why, what it costs, and from which samples.

Everything is read in one snapshot and worked out by the functions that rate and book, so that
an explanation can only tell what was charged; where stored figures do not follow from each
other, it says so (`Explanation.problems`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from os_credits.domain.amount import from_micro
from os_credits.domain.entry import link_hash
from os_credits.domain.explanation import (
    DayAccount,
    ExplainedCharge,
    ExplainedEntry,
    Explanation,
    Reach,
)
from os_credits.domain.period import EPOCH, floor_day, floor_hour, to_ms
from os_credits.domain.price import PriceList
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows.explain_lines import DIFFERS, explain_lines
from os_credits.flows.explain_lot import explain_lot
from os_credits.flows.explain_samples import Ground
from os_credits.flows.memory import read_pricing
from os_credits.rating.formula import quantity_text
from os_credits.store import batches, explanations, flavors, prices, projects, retention
from os_credits.store.explanations import HourScope, LineSum
from os_credits.store.samples import FIRST_MOMENT, LAST_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.entry import Entry
    from os_credits.domain.explanation import Event, ExplainedLot, LinePlace, UsageLine
    from os_credits.domain.price import Price
    from os_credits.domain.pricing import Pricing
    from os_credits.domain.project import Project
    from os_credits.flows.explain_samples import View
    from os_credits.store.explanations import ChargeName, StoredEvent
    from os_credits.store.pool import Connection
    from os_credits.store.retention import Retention

# How many exclusions and events are told of one hour, the latest.
EXCLUSIONS_MAX = 100
EVENTS_MAX = 200
NOTHING = from_micro(0)
NO_LINES = LineSum(0, None, frozenset())


def _everybody(_project: Project) -> bool:
    return True


async def explain_entry(
    conn: Connection,
    entry_id: int,
    view: View,
    *,
    window_ms: int,
    may_see: Callable[[Project], bool] = _everybody,
) -> Explanation:
    """Explain an entry; NotFound alike for one that is not there and one of a foreign project.

    The connection must be a `store.pool.snapshot`; `window_ms` is the acceptance window.
    """
    entry = await explanations.find_entry(conn, entry_id)
    owner = [] if entry is None else await projects.list_projects_by_id(
        conn, [entry.draft.project_id]
    )  # fmt: skip
    if entry is None or not may_see(owner[0]):
        raise NotFound(f"there is no entry '{entry_id}'")
    draft = entry.draft
    scope = HourScope(draft.project_id, draft.hour, draft.meter_id, draft.flavor_id)
    reading = _Reading(conn, owner[0], scope, view, window_ms)
    return await reading.explain(await _entry(conn, entry_id, entry))


async def explain_hour(
    conn: Connection,
    project: Project,
    moment: datetime,
    view: View,
    *,
    window_ms: int,
    meter: str | None = None,
    flavor: str | None = None,
) -> Explanation:
    """Explain the hour of a project in which a moment lies.

    Raises NotFound for an unknown meter or flavor, InvalidInput where no sample can lie. The
    connection must be a `store.pool.snapshot`; `window_ms` is the acceptance window.
    """
    if not FIRST_MOMENT <= moment < LAST_MOMENT:
        raise InvalidInput("is no time in which samples can lie", where="hour")
    meter_id = flavor_id = None
    if meter is not None:
        meter_id = (await read_pricing(conn)).meters.find(meter)
        if meter_id is None:
            raise NotFound(f"there is no meter {meter[:200]!r}")
    if flavor is not None:
        flavor_id = None if "\0" in flavor else await flavors.find_flavor(conn, flavor)
        if flavor_id is None:
            raise NotFound(f"there is no flavor {flavor[:200]!r}")
    scope = HourScope(project.id, floor_hour(moment), meter_id, flavor_id)
    return await _Reading(conn, project, scope, view, window_ms).explain(None)


async def _entry(conn: Connection, entry_id: int, entry: Entry) -> ExplainedEntry:
    draft = entry.draft
    digest = link_hash(draft, entry.sequence, entry.balance, entry.booked_at, entry.previous_hash)
    pricing, names = await read_pricing(conn), await flavors.list_flavors(conn)
    return ExplainedEntry(
        id=entry_id,
        entry=entry,
        is_hash_right=digest == entry.hash,
        seal=await explanations.find_seal(conn, draft.project_id, entry.sequence),
        meter=None if draft.meter_id is None else pricing.meters.latest(draft.meter_id).name,
        flavor=None if draft.flavor_id is None else names[draft.flavor_id] or None,
        idempotency_key=None
        if draft.grant_id is None
        else await explanations.read_grant_key(conn, draft.grant_id),
    )


@dataclass(frozen=True, slots=True)
class _Content:
    """What the charges of an hour are made of, as far as it is kept and shown."""

    sums: dict[ChargeName, LineSum] = field(default_factory=dict)
    lines: dict[LinePlace, UsageLine] = field(default_factory=dict)
    days: dict[ChargeName, DayAccount] = field(default_factory=dict)
    next_place: LinePlace | None = None


class _Reading:
    """One explanation being put together; everything comes from one snapshot."""

    def __init__(
        self, conn: Connection, project: Project, scope: HourScope, view: View, window_ms: int
    ) -> None:
        self.conn = conn
        self.project = project
        self.scope = scope
        self.view = view
        self.window_ms = window_ms

    async def explain(self, entry: ExplainedEntry | None) -> Explanation:
        """Explain the hour, or (for an entry that books no charge) the entry alone."""
        kept = await retention.read_retention(self.conn)
        reach = _reach(self.scope.hour, kept)
        charges: tuple[ExplainedCharge, ...] = ()
        place = None
        of_hour = await explanations.list_entries_of_hour(self.conn, self.scope)
        books_charge = entry is None or entry.entry.draft.flavor_id is not None
        if books_charge:
            charges, place = await self._charges(reach, of_hour)
        return Explanation(
            project=self.project,
            as_of=await batches.read_now(self.conn),
            entry=entry,
            hour=self.scope.hour,
            reach=reach,
            samples_dropped_until=_if_any(kept.samples_dropped_until),
            usage_dropped_until=_if_any(kept.usage_dropped_until),
            charges=charges,
            other_entries=()
            if entry is not None
            else tuple(one for one in of_hour if one[1].draft.flavor_id is None),
            exclusions=tuple(
                await explanations.list_exclusions_of_hour(
                    self.conn, self.scope, limit=EXCLUSIONS_MAX
                )
            )
            if books_charge
            else (),
            next_place=place,
            lot=None if entry is None else await self._lot(entry),
        )

    async def _lot(self, entry: ExplainedEntry) -> ExplainedLot | None:
        grant_id = entry.entry.draft.grant_id
        if grant_id is None:
            return None
        return await explain_lot(self.conn, self.project.id, grant_id)

    async def _charges(
        self, reach: Reach, of_hour: Sequence[tuple[int, Entry]]
    ) -> tuple[tuple[ExplainedCharge, ...], LinePlace | None]:
        pricing = await read_pricing(self.conn)
        content = await self._content(pricing, reach)
        names = await flavors.list_flavors(self.conn)
        charges = {
            (one.meter_id, one.flavor_id): one
            for one in await explanations.list_charges_of_hour(self.conn, self.scope)
        }
        entries: dict[ChargeName, list[tuple[int, Entry]]] = defaultdict(list)
        for one in of_hour:
            draft = one[1].draft
            if draft.meter_id is not None and draft.flavor_id is not None:
                entries[draft.meter_id, draft.flavor_id].append(one)
        events = await explanations.list_events(self.conn, self.scope, limit=EVENTS_MAX)
        all_prices = await prices.list_prices(self.conn) if events else []
        explained = []
        for meter_id, flavor_id in sorted({*charges, *content.sums, *entries, *content.days}):
            name = meter_id, flavor_id
            stored, summed = charges.get(name), content.sums.get(name, NO_LINES)
            charge = ExplainedCharge(
                meter_id=meter_id,
                meter=pricing.meters.latest(meter_id),
                flavor_id=flavor_id,
                flavor=names[flavor_id],
                hour=self.scope.hour,
                charged=NOTHING if stored is None else stored.charged,
                booked=NOTHING if stored is None else stored.booked,
                differs_since=None if stored is None else stored.differs_since,
                entries=tuple(entries.get(name, ())),
                events=tuple(
                    _told(one, pricing, names)
                    for one in _since_booked(events, entries.get(name, ()))
                    if one.kind is None or one.kind in summed.kinds
                    if _concerns(one, name, to_ms(self.scope.hour), all_prices)
                ),
                lines=tuple(line for at, line in content.lines.items() if at[:2] == name),
                line_count=summed.line_count,
                lines_credits=summed.credits,
                day=content.days.get(name),
            )
            explained.append(replace(charge, problems=_problems(charge, reach)))
        return tuple(explained), content.next_place

    async def _content(self, pricing: Pricing, reach: Reach) -> _Content:
        if reach is Reach.DAY:
            return await self._day(pricing)
        names = (await projects.names_of(self.conn, [self.project.id]))[self.project.id]
        stored = await explanations.list_lines_of_hour(
            self.conn, self.scope, after=self.view.after, limit=self.view.lines_max + 1
        )
        shown = stored[: self.view.lines_max]
        ground = Ground(pricing, names, self.window_ms, reach)
        return _Content(
            sums=await explanations.sum_lines_of_hour(self.conn, self.scope),
            lines=await explain_lines(self.conn, self.scope, shown, ground, self.view),
            next_place=shown[-1].place if len(stored) > len(shown) else None,
        )

    async def _day(self, pricing: Pricing) -> _Content:
        """Give what is kept of an hour without usage: the charges of its day."""
        day = floor_day(self.scope.hour)
        stored = await explanations.list_day_lines(
            self.conn, self.scope, day, after=self.view.after, limit=self.view.lines_max + 1
        )
        shown = stored[: self.view.lines_max]
        sums = await explanations.sum_day(self.conn, self.scope, day)
        return _Content(
            days={
                name: DayAccount(
                    day=day,
                    lines=tuple(
                        replace(
                            one.line,
                            units=quantity_text(one.quantity, pricing.meters.latest(name[0])),
                        )
                        for one in shown
                        if one.place[:2] == name
                    ),
                    line_count=summed.line_count,
                    daily=summed.daily,
                    charged=summed.charged,
                )
                for name, summed in sums.items()
            },
            next_place=shown[-1].place if len(stored) > len(shown) else None,
        )


def _reach(hour: datetime, kept: Retention) -> Reach:
    if hour < kept.usage_dropped_until:
        return Reach.DAY
    return Reach.USAGE if hour < kept.samples_dropped_until else Reach.SAMPLES


def _if_any(dropped_until: datetime) -> datetime | None:
    return None if dropped_until == EPOCH else dropped_until


def _problems(charge: ExplainedCharge, reach: Reach) -> tuple[str, ...]:
    """Say which of a charge's figures do not follow from each other."""
    problems = []
    what = f"{charge.meter.name} {charge.flavor}".strip()
    booked = -sum(entry.draft.amount for _, entry in charge.entries)
    if booked != charge.booked:
        problems.append(
            f"{what}: its entries book {booked} credits, but {charge.booked} is stored as booked"
        )
    if reach is not Reach.DAY and (charge.lines_credits or NOTHING) != charge.charged:
        problems.append(
            f"{what}: its usage costs {charge.lines_credits or NOTHING} credits, "
            f"but {charge.charged} is charged"
        )
    if charge.day is not None and charge.day.daily != charge.day.charged:
        problems.append(
            f"{what}: the day's charges add up to {charge.day.charged} credits, "
            f"but its resources cost {charge.day.daily}"
        )
    return tuple(f"{problem}; {DIFFERS}" for problem in problems)


def _since_booked(
    events: Sequence[StoredEvent], entries: Sequence[tuple[int, Entry]]
) -> list[StoredEvent]:
    """Give what happened after the first booking; what was before is in that already."""
    if not entries:
        return []
    return [one for one in events if one.event.at > entries[0][1].booked_at]


def _concerns(
    stored: StoredEvent, name: ChargeName, hour_ms: int, all_prices: Sequence[Price]
) -> bool:
    """Tell whether an event could change this charge; a price, whether it did when it was set."""
    meter_id, flavor_id = name
    if stored.meter_id not in (None, meter_id) or stored.flavor_id not in (None, flavor_id):
        return False
    if stored.price_id is None:
        return True
    with_it = [one for one in all_prices if one.id <= stored.price_id]
    before = [one for one in with_it if one.id != stored.price_id]
    return PriceList(with_it).at(*name, hour_ms) != PriceList(before).at(*name, hour_ms)


def _told(stored: StoredEvent, pricing: Pricing, flavor_names: Mapping[int, str]) -> Event:
    """Say of a price what it is for."""
    if stored.price_id is None or stored.meter_id is None:
        return stored.event
    what = f"{stored.event.what} per {pricing.meters.latest(stored.meter_id).priced_unit}"
    if stored.flavor_id is not None:
        what += f" of {flavor_names[stored.flavor_id]}"
    return replace(stored.event, what=what)
