"""The end of a project: closed from an hour on, or open again, and its statement."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits, added, from_micro, to_micro
from os_credits.domain.entry import EntryKind
from os_credits.domain.period import EPOCH, HOUR, floor_hour, full_hour
from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

# How far ahead an end may be announced.
AHEAD_MAX = timedelta(days=31)


class ProjectState(StrEnum):
    """Whether a project has come to its end."""

    OPEN = "open"
    """It goes on."""
    CLOSING = "closing"
    """Its end is decided, and yet to come."""
    CLOSED = "closed"
    """It has ended: usage is still booked, but nothing new is granted."""


class StatementKind(StrEnum):
    """What a line of a statement sums up."""

    OPENING = "opening"
    """What an older service had granted."""
    GRANTED = "granted"
    """Grants, less those that were taken back unused."""
    ADJUSTED = "adjusted"
    """What people adjusted, in both directions."""
    TRANSFERRED_IN = "transferred_in"
    """Moved here from other projects."""
    TRANSFERRED_OUT = "transferred_out"
    """Moved to other projects."""
    EXPIRED = "expired"
    """What was left of grants when they ended."""
    USED = "used"
    """Usage as it was booked first, and what an older service had charged."""
    CORRECTED = "corrected"
    """Later differences of usage that was booked."""
    TALLY = "tally"
    """Charged or expired, but not yet booked."""


@dataclass(frozen=True, slots=True)
class ClosingRequest:
    """That a project is to be closed from a full hour on (None: from the next one)."""

    project_id: int
    hour: datetime | None
    reason: str
    author: str


@dataclass(frozen=True, slots=True)
class Closing:
    """A decision about a project's end: closed from `hour` on, or open again."""

    id: int
    project_id: int
    is_closed: bool
    hour: datetime
    reason: str
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A sum of signed credits; `meter_id` only of usage, `flavor_id` where it is known."""

    kind: StatementKind
    credits: Credits
    meter_id: int | None = None
    flavor_id: int | None = None


@dataclass(frozen=True, slots=True)
class StatementSum:
    """A line, and whether it belongs to what came after the end: so the store reads it."""

    line: StatementLine
    is_after: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """A project's account in sums: `lines` make `balance`, `after` is what came after its end.

    With the lines of `after` the balance is the one of now. `sequence` and `hash` name the last
    entry that `lines` know of (0: there is none). One that is final, since `final_at`, never
    changes but for what is `after` it.
    """

    project_id: int
    closing: Closing | None
    final_at: datetime | None
    lines: tuple[StatementLine, ...]
    after: tuple[StatementLine, ...]
    sequence: int
    hash: bytes
    as_of: datetime

    @property
    def balance(self) -> Credits:
        """Sum up the lines."""
        return total_of(self.lines)

    @property
    def current(self) -> Credits:
        """Give the balance of now, with all that came after the end."""
        return added(self.balance, total_of(self.after))

    @property
    def used_after(self) -> Credits:
        """Give what was charged after the end, or otherwise than the final statement said."""
        return added(
            *(line.credits.copy_negate() for line in self.after if line.meter_id is not None)
        )


def total_of(lines: Iterable[StatementLine]) -> Credits:
    """Sum up lines, exactly."""
    return added(*(line.credits for line in lines))


def closing_hour(hour: datetime | None, now: datetime) -> datetime:
    """Give the hour from which on a project is closed: without one, the next that begins.

    Raises InvalidInput for what is no full hour, or further ahead than `AHEAD_MAX`.
    """
    if hour is None:
        return floor_hour(now) + HOUR
    hour = full_hour(hour, where="hour")
    if not EPOCH <= hour <= now + AHEAD_MAX:
        raise InvalidInput(
            f"must be after {EPOCH:%Y} and within {AHEAD_MAX.days} days from now", where="hour"
        )
    return hour


def state_of(closing: Closing | None, now: datetime) -> ProjectState:
    """Tell a project's state from its latest decision; None: there is none, or it was reopened."""
    if closing is None or not closing.is_closed:
        return ProjectState.OPEN
    return ProjectState.CLOSED if closing.hour <= now else ProjectState.CLOSING


_KINDS = {
    EntryKind.OPENING: StatementKind.OPENING,
    EntryKind.GRANT: StatementKind.GRANTED,
    EntryKind.ADJUSTMENT: StatementKind.ADJUSTED,
    EntryKind.EXPIRY: StatementKind.EXPIRED,
    EntryKind.USAGE: StatementKind.USED,
}


def kind_of(kind: EntryKind, *, has_meter: bool, is_credit: bool) -> StatementKind:
    """Tell to which line of a statement an entry belongs, by its kind, meter and sign."""
    match kind:
        case EntryKind.TRANSFER:
            return StatementKind.TRANSFERRED_IN if is_credit else StatementKind.TRANSFERRED_OUT
        case EntryKind.CORRECTION:
            return StatementKind.CORRECTED if has_meter else StatementKind.EXPIRED
        case EntryKind.OPENING if has_meter:
            return StatementKind.USED
    return _KINDS[kind]


def summed_up(lines: Iterable[StatementLine]) -> tuple[StatementLine, ...]:
    """Merge lines of one kind, meter and flavor, in the order of kinds; empty ones go."""
    places = {kind: place for place, kind in enumerate(StatementKind)}
    micro: dict[tuple[StatementKind, int | None, int | None], int] = defaultdict(int)
    for line in lines:
        micro[line.kind, line.meter_id, line.flavor_id] += to_micro(line.credits)
    ordered = sorted(micro, key=lambda key: (places[key[0]], key[1] or 0, key[2] or 0))
    return tuple(
        StatementLine(kind, from_micro(micro[kind, meter_id, flavor_id]), meter_id, flavor_id)
        for kind, meter_id, flavor_id in ordered
        if micro[kind, meter_id, flavor_id]
    )
