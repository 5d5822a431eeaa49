"""Usage in columns: whole steps per series, flavor, hour and kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


# Columns of whole numbers are int64 below this, so that two may be added without a look.
WELL_WITHIN = 2**62


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

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> UsageColumns:
        """Keep the chosen rows, in the order chosen."""
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


@dataclass(frozen=True, slots=True)
class CostColumns:
    """What rows of usage cost, in millionths of a credit; 0 where `is_priced` is false.

    int64 where no sum of them can overflow, else Python integers (dtype object).
    """

    micro: NDArray[Any]
    is_priced: NDArray[np.bool_]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.micro)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> CostColumns:
        """Keep the chosen rows, in the order chosen."""
        return CostColumns(self.micro[chosen], self.is_priced[chosen])

    @classmethod
    def unpriced(cls, count: int) -> CostColumns:
        """So many rows that cost nothing that is known."""
        return cls(np.zeros(count, np.int64), np.zeros(count, np.bool_))


@dataclass(frozen=True, slots=True)
class Owners:
    """Whom and what rows of usage concern: the project and the meter of each row's series."""

    project_ids: NDArray[np.int64]
    meter_ids: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Owners:
        """Keep the chosen rows, in the order chosen."""
        return Owners(self.project_ids[chosen], self.meter_ids[chosen])


def whole(numbers: Sequence[int]) -> NDArray[Any]:
    """Put whole numbers into a column: int64 where all fit well, else Python integers."""
    if all(-WELL_WITHIN < one < WELL_WITHIN for one in numbers):
        return np.array(numbers, np.int64)
    return np.array(numbers, object)


def added(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Add two columns of whole numbers; no overflow, and int64 again where all fit well."""
    if one.dtype == other.dtype == np.int64 and _largest(one) + _largest(other) < WELL_WITHIN:
        total: NDArray[Any] = one + other
        return total
    return whole((one.astype(object) + other.astype(object)).tolist())


def _largest(numbers: NDArray[np.int64]) -> int:
    return max(int(numbers.max()), -int(numbers.min())) if len(numbers) else 0
