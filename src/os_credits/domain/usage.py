"""Usage in columns: whole steps per series, flavor, hour and kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class UsageKind(IntEnum):
    """What is to become of a quantity."""

    BILLED = 0
    """Charged once a price exists."""
    SUSPECT = 1
    """Above the meter's `max_rate`: shown, not charged."""
    UNMETERED = 2
    """A gap longer than the meter's `max_gap`: shown, not charged."""


@dataclass(frozen=True, slots=True)
class UsageColumns:
    """Quantities by series, flavor, hour (ms since the epoch) and kind.

    `quantities` are whole numbers of the meter's smallest step (gauges: step x ms), int64
    where that cannot overflow and Python integers (dtype object) where it could.
    """

    series_ids: NDArray[np.int64]
    flavor_ids: NDArray[np.int64]
    hours_ms: NDArray[np.int64]
    kinds: NDArray[np.int64]
    quantities: NDArray[Any]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.series_ids)

    def where(self, chosen: NDArray[np.bool_]) -> UsageColumns:
        """Keep the chosen rows."""
        return UsageColumns(
            self.series_ids[chosen],
            self.flavor_ids[chosen],
            self.hours_ms[chosen],
            self.kinds[chosen],
            self.quantities[chosen],
        )

    @classmethod
    def empty(cls) -> UsageColumns:
        """No usage at all."""
        none = np.empty(0, np.int64)
        return cls(none, none, none, none, none)
