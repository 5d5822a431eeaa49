"""How a credit came to be: from an entry down to hours, series, prices and raw samples.

Everything here is told for people and programs alike; what computes it is `rating/trace.py`
and `rating/formula.py`, what reads it `flows/explain.py`. Times inside an hour are whole
milliseconds since the epoch, as in rating.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from os_credits.domain.entry import Entry
    from os_credits.domain.grant import Grant
    from os_credits.domain.lot import LotSpan, LotState
    from os_credits.domain.meter import MeterDefinition
    from os_credits.domain.price import Price
    from os_credits.domain.project import Project
    from os_credits.domain.seal import Seal
    from os_credits.domain.settlement import Settlement
    from os_credits.domain.usage import UsageKind


class Reach(StrEnum):
    """How far down an hour can be explained: what of it is still kept."""

    SAMPLES = "samples"
    """Down to the raw samples."""
    USAGE = "usage"
    """Down to the hour's usage: its samples were dropped after their time."""
    DAY = "day"
    """Down to the charges of its day: the hour's usage was dropped too."""


class Outcome(StrEnum):
    """Why a line of usage costs what it costs."""

    PRICED = "priced"
    """Quantity times price."""
    NOT_BILLED = "not_billed"
    """Zero: the whitelist of this hour leaves the project out."""
    WAIVED = "waived"
    """Zero: somebody decided so."""
    UNPRICED = "unpriced"
    """Nothing yet: no price holds in this hour."""
    ABSURD = "absurd"
    """Nothing: it would be more than a charge can be."""
    OPEN = "open"
    """Nothing yet: suspect or unmetered, and nobody has decided."""


class Silence(StrEnum):
    """Why two neighbouring samples bring nothing to an hour."""

    STALE = "a stale marker ended the level"
    NO_MATCH = "the earlier sample is outside the meter's match"
    NOTHING = "the level is zero"
    NO_GROWTH = "the counter did not grow"
    TOO_LITTLE = "less than one step falls into this hour"
    ZERO = "the amount is zero"


@dataclass(frozen=True, slots=True)
class Point:
    """A raw sample: its time (ms), its value as it was sent, and whole steps of it."""

    time_ms: int
    value: str
    steps: int


@dataclass(frozen=True, slots=True)
class Pair:
    """What two neighbouring samples bring to one hour (a delta has a later one only).

    `quantity` is in the meter's smallest steps and lies between `start_ms` and `end_ms`; for a
    counter, all it grew by (`grown` steps) is spread from `spread_from_ms` to the later
    sample. `before` is the sample ahead of the earlier one, where that counts too. `kind` is
    None where nothing counts, for the reason `silence`. Several pairs with nothing else
    between them may stand as one: `pair_count`. `label_set_id` is that of the sample whose
    labels decide: the earlier one of a level, else the later one.
    """

    before: Point | None
    earlier: Point | None
    later: Point
    start_ms: int
    end_ms: int
    spread_from_ms: int
    grown: int
    flavor_id: int
    label_set_id: int
    kind: UsageKind | None
    quantity: int
    silence: Silence | None = None
    pair_count: int = 1


@dataclass(frozen=True, slots=True)
class Formula:
    """A calculation to repeat by hand: an expression, its result, and the unit of that."""

    expression: str
    result: str
    unit: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """A pair with the calculation of what it brings, and a remark where one is due."""

    pair: Pair
    formula: Formula | None
    remark: str


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels that samples carried, as they were sent, and the flavor they name."""

    id: int
    labels: Mapping[str, str]
    flavor: str


@dataclass(frozen=True, slots=True)
class Trace:
    """The samples of one series behind one line of usage.

    `quantity` is what they add up to; the line is only right if it stores the same. Pairs
    beyond the bound asked for are counted in `hidden_count`; `excluded_count` are samples
    that people took out of the set, between the first and the last sample that count here.
    """

    contributions: tuple[Contribution, ...]
    hidden_count: int
    sample_count: int
    excluded_count: int
    quantity: int
    label_sets: tuple[LabelSet, ...]
    total: Formula


@dataclass(frozen=True, slots=True)
class Cost:
    """A quantity times a price: in units, exactly in steps, and how it was rounded ('' if not)."""

    in_units: str
    exactly: str
    rounding: str


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What one series used of one flavor and kind in the hour, and what that costs.

    `credits` is as stored, None where nothing is charged (yet); `problems` is empty unless the
    stored figures do not follow from each other.
    """

    series_id: int
    resource: str
    identity: Mapping[str, str]
    kind: UsageKind
    quantity: int
    units: str
    credits: Credits | None
    outcome: Outcome
    price: Price | None
    cost: Cost | None
    settlement: Settlement | None
    trace: Trace | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DayLine:
    """What one series used and cost in a whole day, of which the hours are no longer kept."""

    series_id: int
    resource: str
    identity: Mapping[str, str]
    units: str
    credits: Credits


@dataclass(frozen=True, slots=True)
class DayAccount:
    """The day of a dropped hour: the lines asked for, and both sums that must agree, in credits.

    `charged` sums the charges of its 24 hours, `daily` the daily charges of all its series.
    """

    day: datetime
    lines: tuple[DayLine, ...]
    line_count: int
    daily: Credits
    charged: Credits


@dataclass(frozen=True, slots=True)
class Event:
    """Something a person did that can change what an hour costs, after it was booked first.

    `since` and `until` say for which time it was meant (None: without an end, or no matter).
    """

    at: datetime
    what: str
    since: datetime | None
    until: datetime | None
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class ExplainedCharge:
    """One meter and flavor in one hour: what it costs, how that was booked, what it is made of.

    `lines` are those asked for of `line_count`, which cost `lines_credits` together.
    """

    meter_id: int
    meter: MeterDefinition
    flavor_id: int
    flavor: str
    hour: datetime
    charged: Credits
    booked: Credits
    differs_since: datetime | None
    entries: tuple[tuple[int, Entry], ...]
    events: tuple[Event, ...]
    lines: tuple[UsageLine, ...]
    line_count: int
    lines_credits: Credits | None
    day: DayAccount | None = None
    problems: tuple[str, ...] = ()

    @property
    def open_difference(self) -> Credits:
        """Give what is charged and not yet booked, in credits: its part of the tally."""
        return Credits(self.charged - self.booked)


@dataclass(frozen=True, slots=True)
class ShownExclusion:
    """An exclusion that touches the hour, how many samples of it it took, and its end if lifted."""

    id: int
    meter: str | None
    series_id: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    reason: str
    author: str
    created_at: datetime
    sample_count: int
    lifted_at: datetime | None
    lift_author: str | None
    lift_reason: str | None


@dataclass(frozen=True, slots=True)
class ExplainedEntry:
    """The entry asked for; `is_hash_right` recomputes its hash from what is stored.

    `idempotency_key` is that of its grant, where it has one.
    """

    id: int
    entry: Entry
    is_hash_right: bool
    seal: Seal | None
    meter: str | None
    flavor: str | None
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class ExplainedLot:
    """The lot behind an entry: its terms, and what became of it, span by span.

    `state` is None while it waits for its hour, or once it was taken back (`grant.is_void`).
    """

    grant: Grant
    state: LotState | None
    spans: tuple[LotSpan, ...] = ()


# Where a line stands in an explanation: meter, flavor, series, kind.
LinePlace = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything behind an entry, or behind an hour of a project, read in one snapshot.

    `reach` and the two moments say what is still kept. `other_entries` are those of the hour
    that book no charge, `lot` is the one that an entry concerns. `next_place` is the place of
    the last line if more lines follow.
    """

    project: Project
    as_of: datetime
    entry: ExplainedEntry | None
    hour: datetime
    reach: Reach
    samples_dropped_until: datetime | None
    usage_dropped_until: datetime | None
    charges: tuple[ExplainedCharge, ...] = ()
    other_entries: tuple[tuple[int, Entry], ...] = ()
    lot: ExplainedLot | None = None
    exclusions: tuple[ShownExclusion, ...] = ()
    next_place: LinePlace | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """Give everything that does not follow from what lies below it."""
        found = [one for charge in self.charges for one in charge.problems]
        found += [one for charge in self.charges for line in charge.lines for one in line.problems]
        if self.entry is not None and not self.entry.is_hash_right:
            found.append(f"entry #{self.entry.id}: its hash does not follow from what is stored")
        return tuple(found)
