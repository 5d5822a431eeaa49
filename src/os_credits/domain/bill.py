"""A bill: what was charged for the hours of a period, in groups of lines that add up exactly.

Every figure is a sum of charges (`docs/rating-rules.md`, rule 6), so lines add up to the subtotal
of their group, these to the total, and bills of parts or of days to the bill of the whole, to
the last digit. A correction counts in the hour that it corrects, and what is charged but not
booked yet is in it, told as `open`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits, added
from os_credits.domain.period import from_ms, to_ms
from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.entry import EntryKind
    from os_credits.domain.organisation import Organisation
    from os_credits.domain.period import Period
    from os_credits.domain.price import PriceList
    from os_credits.domain.project import Project

_PLACE = re.compile(r"(-?\d{1,30}(?:\.\d{1,6})?)_(\d{1,18})_(\d{1,14})")


class By(StrEnum):
    """What makes a group of a bill."""

    PART = "part"
    """What hangs right beneath the organisation, and its own projects together."""
    PROJECT = "project"
    """Each project beneath the organisation."""
    METER = "meter"
    """Each meter, with its flavors."""
    RESOURCE = "resource"
    """Each server, volume or whatever else a project's samples name."""
    DAY = "day"
    """Each day (UTC)."""
    MONTH = "month"
    """Each month (UTC)."""


class Order(StrEnum):
    """In which order the groups of a bill stand."""

    NUMBER = "number"
    """By our number, or by time."""
    CREDITS = "credits"
    """The dearest first."""


# By what an organisation, a project and a single resource can be grouped; the first is usual.
OF_ORGANISATION = (By.PART, By.PROJECT, By.METER, By.DAY, By.MONTH)
OF_PROJECT = (By.METER, By.RESOURCE, By.DAY, By.MONTH)
OF_RESOURCE = (By.METER, By.DAY, By.MONTH)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose bill it is: an organisation's, a project's, or that of a resource of a project."""

    organisation: Organisation | None = None
    project: Project | None = None
    resource: str | None = None

    @property
    def groupings(self) -> tuple[By, ...]:
        """Give by what its bill can be grouped; the first is usual."""
        if self.organisation is not None:
            return OF_ORGANISATION
        return OF_PROJECT if self.resource is None else OF_RESOURCE

    def grouping(self, by: By | None) -> By:
        """Give how to group: as asked, else as usual; raises InvalidInput where it cannot be."""
        if by is None:
            return self.groupings[0]
        if by not in self.groupings:
            raise InvalidInput(f"must be one of {', '.join(self.groupings)} here", where="by")
        return by


@dataclass(frozen=True, slots=True)
class GroupKey:
    """Which group: a number of ours (0 where there is none), or a start, or a resource."""

    number: int = 0
    start: datetime | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a group stands among all of a bill: by its rank, then by its number and start."""

    rank: Decimal
    number: int
    start: datetime


@dataclass(frozen=True, slots=True)
class Used:
    """What a meter and flavor were charged in a group; `open` of it is not booked yet."""

    key: GroupKey
    meter_id: int
    flavor_id: int
    credits: Credits
    open: Credits


@dataclass(frozen=True, slots=True)
class Metered:
    """What was measured of a meter and flavor in a group, in the meter's smallest steps.

    `unpriced` has no price yet. None: it is no longer known by the hours that would be needed.
    """

    quantity: int | None
    unpriced: int

    def plus(self, other: Metered) -> Metered:
        """Add two of one meter and flavor; what is not known of one is not known of both."""
        if self.quantity is None or other.quantity is None:
            return Metered(None, self.unpriced + other.unpriced)
        return Metered(self.quantity + other.quantity, self.unpriced + other.unpriced)


# What makes a line: its group, meter and flavor.
LineKey = tuple[GroupKey, int, int]


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours from `start` up to `end` of some projects, which lie beneath through one part.

    `part` is the number of the organisation right beneath; 0 where they hang on the organisation
    itself, or where a project's own bill is made.
    """

    part: int
    start: datetime
    end: datetime
    project_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PriceSpan:
    """What a unit cost in a period: `credits_per_unit` if one price held throughout.

    `count` prices did; usage before the first one has none.
    """

    credits_per_unit: Decimal | None
    count: int


@dataclass(frozen=True, slots=True)
class BillLine:
    """What one meter and flavor cost; quantities are in the meter's priced unit.

    `quantity` is None where it is not told, `open` too. `unpriced` is usage without a price: it
    costs nothing yet.
    """

    meter: str
    flavor: str | None
    unit: str
    quantity: Decimal | None
    unpriced: Decimal
    price: PriceSpan
    credits: Credits
    open: Credits | None


@dataclass(frozen=True, slots=True)
class BillGroup:
    """Lines that belong together: of an organisation, a project, a resource, a meter, a time.

    With none of these it is what hangs on the organisation itself or, in a bill by resources,
    what is known by the hour, but no longer of which resource it was.
    """

    lines: tuple[BillLine, ...]
    place: Place
    organisation: Organisation | None = None
    project: Project | None = None
    meter: str | None = None
    resource: str | None = None
    start: datetime | None = None

    @property
    def credits(self) -> Credits:
        """Sum what its lines cost."""
        return added(*(line.credits for line in self.lines))

    @property
    def open(self) -> Credits | None:
        """Sum what of it is not booked yet; None where that is not told."""
        return open_of(self.lines)


def open_of(lines: Sequence[BillLine]) -> Credits | None:
    """Sum what of these lines is not booked yet; None where that is not told."""
    parts = [line.open for line in lines if line.open is not None]
    return added(*parts) if len(parts) == len(lines) else None


@dataclass(frozen=True, slots=True)
class AccountChange:
    """What changed a project's balance besides usage; `kind` None: expired, not booked yet."""

    hour: datetime
    kind: EntryKind | None
    amount: Credits
    reason: str


@dataclass(frozen=True, slots=True)
class AccountBlock:
    """How a project's balance came from the start of the period to its end.

    opening + given - taken - used is the closing balance. `changes` are the latest; there may be
    `more`.
    """

    opening: Credits
    given: Credits
    taken: Credits
    used: Credits
    closing: Credits
    changes: tuple[AccountChange, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Course:
    """What each day, or month, of a bill cost: those with charges, oldest first."""

    by: By
    credits: tuple[tuple[datetime, Credits], ...]


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill, or some groups of it: `credits`, `open` and `lines` are always of the whole.

    `next` is the place of the last group if others follow. `has_quantities` is false where there
    are too many hours and resources to tell quantities at once. `open` is None for a resource.
    `course` is there where it was asked for, and is quickly told. `project_count` projects were
    looked at.
    """

    subject: Subject
    period: Period
    by: By
    as_of: datetime
    groups: tuple[BillGroup, ...]
    lines: tuple[BillLine, ...]
    credits: Credits
    open: Credits | None
    has_quantities: bool
    account: AccountBlock | None
    next: Place | None
    course: Course | None = None
    project_count: int = 1


def price_span(prices: PriceList, meter_id: int, flavor_id: int, period: Period) -> PriceSpan:
    """Tell what a unit cost in the hours of a period."""
    start_ms, end_ms = to_ms(period.start), to_ms(period.end)
    revisions = prices.counting(meter_id, flavor_id) + prices.counting(meter_id, None)
    changes = {to_ms(one.valid_from) for one in revisions}
    found = [
        prices.at(meter_id, flavor_id, hour_ms)
        for hour_ms in {start_ms, *(one for one in changes if start_ms < one < end_ms)}
    ]
    amounts = {one.credits_per_unit for one in found if one is not None}
    return PriceSpan(next(iter(amounts)) if len(amounts) == 1 else None, len(amounts))


def place_text(place: Place) -> str:
    """Write a place so that `place_of` reads it again."""
    return f"{place.rank:f}_{place.number}_{to_ms(place.start)}"


def place_of(text: str) -> Place:
    """Read the place of a group as `place_text` writes it; raises InvalidInput."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise InvalidInput("must be the `next` of an earlier answer", where="after")
    return Place(Decimal(match[1]), int(match[2]), from_ms(int(match[3])))
