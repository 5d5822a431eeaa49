"""What the rating copy remembers of usage: of each series the billed row that was written last.

Nearly all new samples add to the hour that the ones before them added to, so what is stored of
it need not be read again. As all memory of the rating copy it is true for one epoch only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from os_credits.domain.usage import CostColumns, UsageColumns, UsageKind
from os_credits.flows.ids import UNKNOWN, Ids, grown

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_HOUR_MS = -(2**62)
# Beyond this all is forgotten, and read again as needed.
SERIES_MAX = 2_000_000


class OpenUsage:
    """Hour, flavor, quantity and costs of the last row of each series, in columns."""

    def __init__(self) -> None:
        """Know no usage."""
        self._series = Ids()
        self._hours_ms = np.empty(0, np.int64)
        self._flavor_ids = np.empty(0, np.int32)
        self._quantities = np.empty(0, np.int64)
        self._micro = np.empty(0, np.int64)
        self._is_priced = np.empty(0, np.bool_)

    def clear(self) -> None:
        """Forget everything."""
        self._series.clear()

    def find(self, keys: UsageColumns) -> tuple[NDArray[np.bool_], NDArray[Any], CostColumns]:
        """Tell which keys are remembered as stored, with quantities and costs (0 elsewhere)."""
        if not len(self._series) or not len(keys):
            return (
                np.zeros(len(keys), np.bool_),
                np.zeros(len(keys), np.int64),
                CostColumns.unpriced(len(keys)),
            )
        rows = self._series.rows(keys.series_ids)
        found = (
            (rows != UNKNOWN)
            & (keys.kinds == UsageKind.BILLED)
            & (self._hours_ms[rows] == keys.hours_ms)
            & (self._flavor_ids[rows] == keys.flavor_ids)
        )
        return (
            found,
            np.where(found, self._quantities[rows], 0),
            CostColumns(np.where(found, self._micro[rows], 0), found & self._is_priced[rows]),
        )

    def note(self, usage: UsageColumns, costs: CostColumns) -> None:
        """Remember what is stored now, of each series the latest hour; sorted by hour."""
        billed = np.flatnonzero(usage.kinds == UsageKind.BILLED)
        if object in (usage.quantities.dtype, costs.micro.dtype):
            # What does not fit these columns is read again whenever it is needed.
            self._series.forget(np.unique(usage.series_ids))
            return
        if len(self._series) + len(billed) > SERIES_MAX:
            self.clear()
        series_ids = usage.series_ids[billed]
        self._make_rows(self._series.strangers(series_ids))
        rows = self._series.rows(series_ids)
        current = usage.hours_ms[billed] >= self._hours_ms[rows]
        # Of several rows of a series the later ones stand last, and win.
        rows, chosen = rows[current], billed[current]
        self._hours_ms[rows] = usage.hours_ms[chosen]
        self._flavor_ids[rows] = usage.flavor_ids[chosen]
        self._quantities[rows] = usage.quantities[chosen]
        self._micro[rows] = costs.micro[chosen]
        self._is_priced[rows] = costs.is_priced[chosen]

    def _make_rows(self, series_ids: NDArray[np.int64]) -> None:
        if not len(series_ids):
            return
        rows = self._series.add(series_ids)
        count = self._series.row_count
        self._hours_ms = grown(self._hours_ms, count)
        self._flavor_ids = grown(self._flavor_ids, count)
        self._quantities = grown(self._quantities, count)
        self._micro = grown(self._micro, count)
        self._is_priced = grown(self._is_priced, count)
        self._hours_ms[rows] = NO_HOUR_MS
