"""What a project used by the hour, as a forecast needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from os_credits.domain.period import floor_hour
from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

DAY_HOURS = 24
WEEK_HOURS = 7 * DAY_HOURS
# Older hours are left out: a quarter of a year knows the rhythm, and more of it would lag.
HISTORY_DAYS_MAX = 90
# More than any cloud burns in an hour; it keeps every sum of a forecast finite.
CREDITS_PER_HOUR_MAX = 1e15


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Credits used in each UTC hour without a gap; the last is the hour before `end`.

    Raises InvalidInput for an `end` that is no full hour, and for an hour that is no number,
    negative or absurd.
    """

    end: datetime
    hourly: Floats

    def __post_init__(self) -> None:
        """Refuse what no forecast can be made of."""
        if self.end.tzinfo is None or floor_hour(self.end) != self.end:
            raise InvalidInput("a history ends with a full hour (UTC)", where="end")
        if self.hourly.ndim != 1 or self.hourly.dtype != np.float64:
            raise InvalidInput("a history is one row of float64 numbers", where="hourly")
        # Not a number fails both comparisons.
        if not np.all((self.hourly >= 0) & (self.hourly <= CREDITS_PER_HOUR_MAX)):
            raise InvalidInput("an hour of usage is a number from 0 to 10^15", where="hourly")

    @property
    def known_hours(self) -> int:
        """Count the hours since the first usage."""
        used = np.flatnonzero(self.hourly)
        return int(self.hourly.size - used[0]) if used.size else 0

    def recent(self) -> Floats:
        """Give the hours that a forecast looks at: whole days back from `end`, oldest first."""
        days = min(self.known_hours // DAY_HOURS, HISTORY_DAYS_MAX)
        return self.hourly[self.hourly.size - days * DAY_HOURS :]


def hour_of_week(moment: datetime) -> int:
    """Count the full hours (UTC) since Monday began."""
    hour = floor_hour(moment)
    return hour.weekday() * DAY_HOURS + hour.hour
