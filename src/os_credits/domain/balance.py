"""What a project has left, at one moment, from one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits, added

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """The account of a project in one snapshot, all in credits.

    `granted` sums the entries that ever granted, `granted_now` those of the lots that are valid,
    with transfers from elsewhere: what per cent are of. `credited` sums all entries that are not
    used (`entry.py` tells them apart), `booked` all signed entries. Not yet booked are `tally`,
    the charges (positive: still to be paid), and `expiring`, what expired (positive: still to go).
    """

    project_id: int
    granted: Credits
    granted_now: Credits
    credited: Credits
    booked: Credits
    tally: Credits
    expiring: Credits
    as_of: datetime

    @property
    def current(self) -> Credits:
        """Give what is left: entries less the tally (rule 9); below zero is debt."""
        return added(self.booked, self.tally.copy_negate(), self.expiring.copy_negate())

    @property
    def used(self) -> Credits:
        """Give the charges of all time, booked or not."""
        return added(self.credited, self.expiring.copy_negate(), self.current.copy_negate())
