"""New samples against stored ones: which count, which are new, and what was there before.

The same series and time again is decided by rule 2 of `docs/rating-rules.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Merge:
    """Indexes into the columns that were merged (stored ones after the new ones).

    `before` and `after` are the samples that count without and with the new ones, both sorted
    by series and time; `inserted` are new ones at a new time, `replaced` new ones that beat a
    stored one of the same time.
    """

    before: NDArray[np.intp]
    after: NDArray[np.intp]
    inserted: NDArray[np.intp]
    replaced: NDArray[np.intp]


def merge(
    series_ids: NDArray[np.int64],
    times_ms: NDArray[np.int64],
    values: NDArray[np.float64],
    fits: NDArray[np.bool_],
    label_ranks: NDArray[np.int64],
    new_count: int,
) -> Merge:
    """Merge columns whose first `new_count` rows are new and whose others are stored.

    A sample that fits beats one that does not, then the larger value wins, then the larger
    flavor text and project name (`label_ranks` orders them). Equal in all: the stored one
    stays. Stored rows must not repeat a series and time.
    """
    order = np.lexsort((times_ms, series_ids))
    if len(order) == 0:
        return Merge(order, order, order, order)
    series, times = series_ids[order], times_ms[order]
    starts = np.r_[True, (series[1:] != series[:-1]) | (times[1:] != times[:-1])]
    ends = np.r_[starts[1:], True]
    # Few have the time of another: only these are ordered by all that decides.
    alike = np.flatnonzero(~(starts & ends))
    if len(alike):
        rows = order[alike]
        comparable = np.where(np.isnan(values[rows]), -np.inf, values[rows])
        place = np.cumsum(starts)[alike]
        order[alike] = rows[np.lexsort((label_ranks[rows], comparable, fits[rows], place))]
    is_new = order < new_count
    had_stored = np.logical_or.reduceat(~is_new, np.flatnonzero(starts))
    after, new_wins = order[ends], is_new[ends]
    return Merge(
        before=order[~is_new],
        after=after,
        inserted=after[new_wins & ~had_stored],
        replaced=after[new_wins & had_stored],
    )
