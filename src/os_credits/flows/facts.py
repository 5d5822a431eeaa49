"""What the rating copy knows of label sets and series, in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from os_credits.flows.ids import Ids, grown
from os_credits.store import flavors, label_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from os_credits.store.label_sets import StoredLabelSet
    from os_credits.store.pool import Connection


NEVER_MS = -(2**63)


class Facts:
    """Label sets and series by id; rows are never changed, so this never becomes wrong."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._label_sets, self._series = Ids(), Ids()
        self._series_ids = np.empty(0, np.int64)
        self._flavor_ids = np.empty(0, np.int32)
        self._fits = np.empty(0, np.bool_)
        self._name_numbers = np.empty(0, np.int32)
        self._text_numbers = np.empty(0, np.int32)
        self._project_ids = np.empty(0, np.int64)
        self._meter_ids = np.empty(0, np.int32)
        self._names: list[str] = []
        self._number_of_name: dict[str, int] = {}
        self._flavor_names: dict[int, str] = {}
        # Flavor and project name of label sets, in the order in which they were met.
        self._number_of_text: dict[tuple[str, str], int] = {}
        self._rank_of_text = np.empty(0, np.int64)

    def __len__(self) -> int:
        """Count the label sets that are known."""
        return len(self._label_sets)

    async def learn(self, conn: Connection, label_set_ids: NDArray[np.int64]) -> None:
        """Read the label sets that are not known yet."""
        new = self._label_sets.strangers(label_set_ids)
        if not len(new):
            return
        read = sorted(await label_sets.read_label_sets(conn, new.tolist()), key=lambda one: one.id)
        if any(one.flavor_id not in self._flavor_names for one in read):
            self._flavor_names = await flavors.list_flavors(conn)
        self._keep_label_sets(read)
        self._keep_series({one.series_id: one for one in read})
        self._rank_texts()

    def _keep_label_sets(self, read: Sequence[StoredLabelSet]) -> None:
        rows = self._label_sets.add(np.array([one.id for one in read], np.int64))
        count = self._label_sets.row_count
        self._series_ids = grown(self._series_ids, count)
        self._flavor_ids = grown(self._flavor_ids, count)
        self._fits = grown(self._fits, count)
        self._name_numbers = grown(self._name_numbers, count)
        self._text_numbers = grown(self._text_numbers, count)
        self._series_ids[rows] = [one.series_id for one in read]
        self._flavor_ids[rows] = [one.flavor_id for one in read]
        self._fits[rows] = [one.fits for one in read]
        self._name_numbers[rows] = [self._number(one.project_name) for one in read]
        texts = ((self._flavor_names[one.flavor_id], one.project_name) for one in read)
        numbers = self._number_of_text
        self._text_numbers[rows] = [numbers.setdefault(text, len(numbers)) for text in texts]

    def _keep_series(self, read: dict[int, StoredLabelSet]) -> None:
        new = self._series.strangers(np.array(list(read), np.int64))
        rows = self._series.add(new)
        self._project_ids = grown(self._project_ids, self._series.row_count)
        self._meter_ids = grown(self._meter_ids, self._series.row_count)
        self._project_ids[rows] = [read[one].project_id for one in new.tolist()]
        self._meter_ids[rows] = [read[one].meter_id for one in new.tolist()]

    def _number(self, name: str) -> int:
        number = self._number_of_name.setdefault(name, len(self._names))
        if number == len(self._names):
            self._names.append(name)
        return number

    def series_ids(self, label_set_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the series of each label set."""
        return self._series_ids[self._label_sets.known_rows(label_set_ids)]

    def columns(
        self, label_set_ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
        """Give whether it fits, flavor, and the rank of its texts for each label set."""
        rows = self._label_sets.known_rows(label_set_ids)
        ranks = self._rank_of_text[self._text_numbers[rows]]
        return self._fits[rows], self._flavor_ids[rows].astype(np.int64), ranks

    def _rank_texts(self) -> None:
        """Give texts numbers that rise with flavor and project name."""
        numbers = self._number_of_text
        if len(numbers) > len(self._rank_of_text):
            self._rank_of_text = np.empty(len(numbers), np.int64)
            self._rank_of_text[[numbers[text] for text in sorted(numbers)]] = np.arange(
                len(numbers)
            )

    def project_ids(self, series_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the project of each series."""
        return self._project_ids[self._series.known_rows(series_ids)]

    def meter_ids(self, series_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the meter of each series."""
        return self._meter_ids[self._series.known_rows(series_ids)].astype(np.int64)

    def names_given(
        self, label_set_ids: NDArray[np.int64], times_ms: NDArray[np.int64]
    ) -> dict[int, tuple[int, str]]:
        """Give by project when (ms) the latest of these samples that names it did so, and how."""
        rows = self._label_sets.known_rows(label_set_ids)
        last_ms = np.full(self._label_sets.row_count, NEVER_MS, np.int64)
        np.maximum.at(last_ms, rows, times_ms)
        used = np.flatnonzero(last_ms != NEVER_MS)
        project_ids = self.project_ids(self._series_ids[used])
        latest: dict[int, tuple[int, str]] = {}
        given = zip(
            project_ids.tolist(),
            last_ms[used].tolist(),
            self._name_numbers[used].tolist(),
            strict=True,
        )
        for project_id, time_ms, number in given:
            if name := self._names[number]:
                said = time_ms, name
                latest[project_id] = max(said, latest.get(project_id, said))
        return latest
