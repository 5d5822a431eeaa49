"""The lines of a project's history, and the totals that run along them.

Lines stand in the order of the hours that they concern, so a late correction stands beside
the hour it corrects. What is charged, or expired, but not yet booked is a line of its own
(`kind` None), so that the lines add up to the balance exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from os_credits.domain.balance import Balance
    from os_credits.domain.entry import EntryKind


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands: hour, entries before open charges, then two numbers that order."""

    hour: datetime
    rank: int
    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class Line:
    """One change of the balance: an entry, or (`kind` None) what is not yet booked of a charge.

    Or of an expiry: then `grant_id` is set, as for all entries of a lot, and no meter.

    `amount` is signed, in credits: usage is negative. The meter is set for what was used.
    `entry_id` of an open charge is the entry that booked a part of it, None if none did.
    """

    place: Place
    kind: EntryKind | None
    amount: Credits
    meter_id: int | None
    flavor_id: int | None
    entry_id: int | None
    booked_at: datetime | None
    reason: str
    grant_id: int | None = None

    @property
    def is_usage(self) -> bool:
        """Tell whether the line says what was used, booked or not, and not what was given."""
        return self.meter_id is not None


@dataclass(frozen=True, slots=True)
class Totals:
    """What was used in all and what was left, in credits, at one place of the history."""

    used: Credits
    balance: Credits

    def after(self, line: Line) -> Totals:
        """Give the totals behind a line."""
        used = self.used - line.amount if line.is_usage else self.used
        return Totals(Credits(used), Credits(self.balance + line.amount))


@dataclass(frozen=True, slots=True)
class History:
    """A part of a project's lines with the totals before and behind each, from one snapshot.

    `next_place` is the place of the last line if more lines follow in the period.
    """

    balance: Balance
    opening: Totals
    lines: tuple[tuple[Line, Totals], ...]
    next_place: Place | None


def run_totals(opening: Totals, lines: Iterable[Line]) -> tuple[tuple[Line, Totals], ...]:
    """Give each line with the totals behind it."""
    totals = opening
    told = []
    for line in lines:
        totals = totals.after(line)
        told.append((line, totals))
    return tuple(told)
