"""Finds the rows of columns by the ids of what they describe, for many ids at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Item = TypeVar("Item", bound=np.generic)

# By how much columns grow beyond what is needed: memory against copies.
_SPARE = 8
UNKNOWN = -1
# Up to so many times as far apart as there are ids, their rows stand in a table without gaps.
_SPARSE = 8


class Ids:
    """Sorted ids, each with the number of its row: about 20 bytes, where a dictionary takes 130.

    The database gives ids one after the other, so a table by id finds rows some thirty times
    faster than a search does. Ids that lie too far apart for it are searched for.
    """

    def __init__(self) -> None:
        """Know no id."""
        self.clear()

    def __len__(self) -> int:
        """Count the ids that are known."""
        return len(self._ids)

    def clear(self) -> None:
        """Forget all ids; rows begin at 0 again."""
        self._ids = np.empty(0, np.int64)
        self._rows = np.empty(0, np.int64)
        self._unused = np.empty(0, np.int64)
        self._table: NDArray[np.int32] | None = None
        self.row_count = 0

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the row of each id, `UNKNOWN` where there is none."""
        if not len(self._ids):
            return np.full(len(ids), UNKNOWN, np.int64)
        first, last = int(self._ids[0]), int(self._ids[-1])
        if last - first > _SPARSE * len(self._ids):
            return self._searched(ids)
        if self._table is None:
            self._table = np.full(last - first + 3, UNKNOWN, np.int32)
            self._table[self._ids - (first - 1)] = self._rows
        # What lies before or behind meets the unknown ones at either end.
        return self._table.take(ids - (first - 1), mode="clip").astype(np.int64)

    def _searched(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        places = np.searchsorted(self._ids, ids)
        places[places == len(self._ids)] = 0
        return np.where(self._ids[places] == ids, self._rows[places], UNKNOWN)

    def known_rows(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the row of each id; raises LookupError for one that has none.

        What is told of a stranger would be that of somebody else.
        """
        rows = self.rows(ids)
        if len(rows) and int(rows.min()) == UNKNOWN:
            raise LookupError(f"nothing is known of number {int(ids[rows == UNKNOWN][0])}")
        return rows

    def strangers(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the ids that have no row, sorted and each once."""
        return np.unique(ids[self.rows(ids) == UNKNOWN])

    def add(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give new ids, sorted and each once, rows: forgotten ones first, then the next.

        What stands in a forgotten one still does.
        """
        again, self._unused = self._unused[: len(ids)], self._unused[len(ids) :]
        fresh_count = len(ids) - len(again)
        fresh = np.arange(self.row_count, self.row_count + fresh_count)
        rows = np.concatenate([again, fresh])
        places = np.searchsorted(self._ids, ids)
        self._ids = np.insert(self._ids, places, ids)
        self._rows = np.insert(self._rows, places, rows)
        self._table = None
        self.row_count += fresh_count
        return rows

    def forget(self, ids: NDArray[np.int64]) -> None:
        """Forget these ids; others get their rows."""
        gone = np.isin(self._ids, ids)
        self._unused = np.concatenate([self._unused, self._rows[gone]])
        self._ids, self._rows = self._ids[~gone], self._rows[~gone]
        self._table = None


def grown(column: NDArray[Item], row_count: int) -> NDArray[Item]:
    """Give a column room for so many rows and some more; the new ones are 0."""
    if row_count <= len(column):
        return column
    larger = np.zeros((row_count + row_count // _SPARE, *column.shape[1:]), column.dtype)
    larger[: len(column)] = column
    return larger
