"""What the rating copy remembers between two runs, to read less.

Valid for one epoch of `rating_state` only: when another copy wrote, or after any doubt about
a commit, everything that can change is forgotten. Nothing here is ever the only copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.exclusion import Exclusions
from os_credits.domain.period import to_ms
from os_credits.domain.price import PriceList
from os_credits.domain.pricing import Meters, Pricing, Whitelist
from os_credits.domain.settlement import Settlements
from os_credits.flows.whereabouts import Places
from os_credits.store import (
    exclusions,
    flavors,
    label_sets,
    meters,
    prices,
    retention,
    samples,
    settlements,
    whitelist,
)
from os_credits.store.samples import StoredSamples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from os_credits.store.label_sets import StoredLabelSet
    from os_credits.store.pool import Connection
    from os_credits.store.rating_state import Epoch

NO_SAMPLE_MS = -(2**62)
# Beyond these all is forgotten and read again as needed.
SERIES_MAX = 2_000_000
LABEL_SETS_MAX = 1_000_000


class Facts:
    """Label sets by id; rows are never changed, so this never becomes wrong."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.by_id: dict[int, StoredLabelSet] = {}
        self.flavor_names: dict[int, str] = {}
        self.meter_of_series: dict[int, int] = {}
        self.project_of_series: dict[int, int] = {}

    async def learn(self, conn: Connection, label_set_ids: NDArray[np.int64]) -> None:
        """Read the label sets that are not known yet."""
        new = [one for one in np.unique(label_set_ids).tolist() if one not in self.by_id]
        if not new:
            return
        for one in await label_sets.read_label_sets(conn, new):
            self.by_id[one.id] = one
            self.meter_of_series[one.series_id] = one.meter_id
            self.project_of_series[one.series_id] = one.project_id
        if any(self.by_id[one].flavor_id not in self.flavor_names for one in new):
            self.flavor_names = await flavors.list_flavors(conn)

    def columns(
        self, label_set_ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
        """Give series, whether it fits, flavor, and the rank of its texts for each label set."""
        unique, inverse = np.unique(label_set_ids, return_inverse=True)
        known = [self.by_id[one] for one in unique.tolist()]
        texts = [(self.flavor_names[one.flavor_id], one.project_name) for one in known]
        ranks = {text: rank for rank, text in enumerate(sorted(set(texts)))}
        return (
            np.array([one.series_id for one in known], np.int64)[inverse],
            np.array([one.fits for one in known], np.bool_)[inverse],
            np.array([one.flavor_id for one in known], np.int64)[inverse],
            np.array([ranks[text] for text in texts], np.int64)[inverse],
        )


class Tails:
    """The last two samples of each series, in columns."""

    def __init__(self) -> None:
        """Know no series."""
        self._row: dict[int, int] = {}
        self._used = 0
        self._times = np.empty((0, 2), np.int64)
        self._values = np.empty((0, 2), np.float64)
        self._label_sets = np.empty((0, 2), np.int64)

    def clear(self) -> None:
        """Forget all series."""
        self._row.clear()
        self._used = 0

    async def learn(self, conn: Connection, series_ids: NDArray[np.int64]) -> None:
        """Read the tails of the series that are not known yet."""
        new = [one for one in series_ids.tolist() if one not in self._row]
        if not new:
            return
        if self._used + len(new) > SERIES_MAX:
            self.clear()
            new = series_ids.tolist()
        self._row.update(zip(new, range(self._used, self._used + len(new)), strict=True))
        self._used += len(new)
        self._grow(self._used)
        rows = self._rows(np.array(new, np.int64))
        self._times[rows] = NO_SAMPLE_MS
        stored = await samples.read_tails(conn, new)
        order = np.lexsort((stored.times_ms, stored.series_ids))
        self.append(stored.where(order))

    def last_ms(self, series_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the time of each series' last sample, `NO_SAMPLE_MS` where there is none."""
        last: NDArray[np.int64] = self._times[self._rows(series_ids), 1]
        return last

    def of(self, series_ids: NDArray[np.int64]) -> StoredSamples:
        """Give the last one or two samples of these series, sorted by series and time."""
        rows = np.repeat(self._rows(series_ids), 2)
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
        rows = self._rows(new.series_ids[last])
        has_two = np.r_[False, new.series_ids[1:] == new.series_ids[:-1]][last]
        for column, values in (
            (self._times, new.times_ms),
            (self._values, new.values),
            (self._label_sets, new.label_set_ids),
        ):
            column[rows, 0] = np.where(has_two, values[np.maximum(last - 1, 0)], column[rows, 1])
            column[rows, 1] = values[last]

    def forget(self, series_ids: NDArray[np.int64]) -> None:
        """Forget these series; they are read again when needed (their rows stay unused)."""
        for series_id in series_ids.tolist():
            self._row.pop(series_id, None)

    def _rows(self, series_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([self._row[one] for one in series_ids.tolist()], np.int64)

    def _grow(self, size: int) -> None:
        capacity = len(self._times)
        if size <= capacity:
            return
        extra = max(size - capacity, capacity, 1024)
        self._times = np.concatenate([self._times, np.full((extra, 2), NO_SAMPLE_MS)])
        self._values = np.concatenate([self._values, np.zeros((extra, 2))])
        self._label_sets = np.concatenate([self._label_sets, np.zeros((extra, 2), np.int64)])


class Memory:
    """All that the rating copy remembers, and for which epoch it is true."""

    def __init__(self) -> None:
        """Know nothing, for no epoch."""
        self.facts = Facts()
        self.tails = Tails()
        self.places = Places()
        self.pricing: Pricing | None = None
        self.exclusions: Exclusions | None = None
        self.kept_from_ms: int | None = None
        self._epoch: Epoch | None = None

    def forget(self) -> None:
        """Forget everything that another writer could have changed."""
        self._epoch = None
        self.pricing = None
        self.exclusions = None
        self.kept_from_ms = None
        self.tails.clear()
        self.places.forget()

    def enter(self, epoch: Epoch) -> None:
        """Begin a turn: forget everything unless it was learned in this very epoch."""
        is_other_database = self._epoch is None or epoch.database != self._epoch.database
        if is_other_database or len(self.facts.by_id) > LABEL_SETS_MAX:
            self.facts = Facts()
        if is_other_database:
            self.places = Places()
        self.places.make_room()
        if epoch != self._epoch:
            self.forget()
            self._epoch = epoch

    async def read_pricing(self, conn: Connection) -> Pricing:
        """Give meters, prices, whitelist and settlements, read once in an epoch."""
        if self.pricing is None:
            self.pricing = await read_pricing(conn)
            self.places.use(self.pricing.meters)
        return self.pricing

    async def read_kept_from_ms(self, conn: Connection) -> int:
        """Give from when on samples are kept, read once in an epoch."""
        if self.kept_from_ms is None:
            self.kept_from_ms = to_ms((await retention.read_retention(conn)).samples_dropped_until)
        return self.kept_from_ms

    async def read_exclusions(self, conn: Connection) -> Exclusions:
        """Give the exclusions that hold, read once in an epoch."""
        if self.exclusions is None:
            self.exclusions = Exclusions(await exclusions.list_active_exclusions(conn))
        return self.exclusions


async def read_pricing(conn: Connection) -> Pricing:
    """Read meters, prices, whitelist and settlements."""
    return Pricing(
        Meters(await meters.list_versions(conn)),
        PriceList(await prices.list_prices(conn)),
        Whitelist(await whitelist.list_whitelists(conn)),
        Settlements(await settlements.list_settlements(conn)),
    )
