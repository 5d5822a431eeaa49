"""What the rating copy remembers of samples: the last two of each series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from os_credits.flows.ids import Ids, grown
from os_credits.store import samples
from os_credits.store.samples import StoredSamples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from os_credits.store.pool import Connection

NO_SAMPLE_MS = -(2**62)
# Beyond this all is forgotten and read again as needed.
SERIES_MAX = 2_000_000


class Tails:
    """The last two samples of each series, in columns."""

    def __init__(self) -> None:
        """Know no series."""
        self._series = Ids()
        self._times = np.empty((0, 2), np.int64)
        self._values = np.empty((0, 2), np.float64)
        self._label_sets = np.empty((0, 2), np.int64)

    def clear(self) -> None:
        """Forget all series."""
        self._series.clear()

    async def learn(self, conn: Connection, series_ids: NDArray[np.int64]) -> None:
        """Read the tails of the series that are not known yet."""
        new = self._series.strangers(series_ids)
        if not len(new):
            return
        if len(self._series) + len(new) > SERIES_MAX:
            self.clear()
            new = np.unique(series_ids)
        rows = self._series.add(new)
        self._times = grown(self._times, self._series.row_count)
        self._values = grown(self._values, self._series.row_count)
        self._label_sets = grown(self._label_sets, self._series.row_count)
        self._times[rows] = NO_SAMPLE_MS
        stored = await samples.read_tails(conn, new.tolist())
        self.append(stored.where(np.lexsort((stored.times_ms, stored.series_ids))))

    def last_ms(self, series_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the time of each series' last sample, `NO_SAMPLE_MS` where there is none."""
        last: NDArray[np.int64] = self._times[self._series.known_rows(series_ids), 1]
        return last

    def of(self, series_ids: NDArray[np.int64]) -> StoredSamples:
        """Give the last one or two samples of these series, sorted by series and time."""
        rows = np.repeat(self._series.known_rows(series_ids), 2)
        which = np.tile([0, 1], len(series_ids))
        times = self._times[rows, which]
        columns = StoredSamples(
            np.repeat(series_ids, 2),
            times,
            self._values[rows, which],
            self._label_sets[rows, which],
        )
        return columns.where(times != NO_SAMPLE_MS)

    def append(self, new: StoredSamples) -> None:
        """Let samples, sorted by series and time and later than the known, be the new tails."""
        if len(new) == 0:
            return
        is_last = np.r_[new.series_ids[1:] != new.series_ids[:-1], True]
        last = np.flatnonzero(is_last)
        rows = self._series.known_rows(new.series_ids[last])
        has_two = np.r_[False, new.series_ids[1:] == new.series_ids[:-1]][last]
        for column, values in (
            (self._times, new.times_ms),
            (self._values, new.values),
            (self._label_sets, new.label_set_ids),
        ):
            column[rows, 0] = np.where(has_two, values[np.maximum(last - 1, 0)], column[rows, 1])
            column[rows, 1] = values[last]

    def forget(self, series_ids: NDArray[np.int64]) -> None:
        """Forget these series; they are read again when needed."""
        self._series.forget(series_ids)
