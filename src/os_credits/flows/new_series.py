"""How many series that nobody has seen before each key may still bring within the hour.

A sender that puts something ever new into a label would fill the database with series; what it
sends of known ones is taken all the while. Counted in memory, by each copy of the service for
itself; a label set that is stored already is never counted, whoever forgot it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

WINDOW_SECONDS = 3600.0


@dataclass(slots=True)
class _Hour:
    started_at: float
    count: int = 0


class NewSeriesAllowance:
    """What each key has left of `per_hour_max`; the hour of a key starts with its first new one."""

    def __init__(self, per_hour_max: int) -> None:
        """Start with the whole allowance for every key."""
        self._per_hour_max = per_hour_max
        self._hours: dict[int, _Hour] = {}

    def take(self, key_id: int, wanted: int) -> int:
        """Give how many of the wanted ones may be stored, and count them."""
        now = time.monotonic()
        hour = self._hours.get(key_id)
        if hour is None or now - hour.started_at >= WINDOW_SECONDS:
            hour = self._hours[key_id] = _Hour(now)
        granted = min(wanted, self._per_hour_max - hour.count)
        hour.count += granted
        return granted

    def give_back(self, key_id: int, count: int) -> None:
        """Count so many less: they could not be stored after all."""
        self._hours[key_id].count -= count
