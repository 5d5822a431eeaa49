"""Cuts a neighbourhood into parts of whole series, so that no part is rated into too many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import HOUR_MS
from os_credits.rating.groups import distinct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from os_credits.rating.usage import SampleColumns


def parts_of(
    *sides: SampleColumns, window_ms: int, rows_max: int
) -> Iterator[tuple[SampleColumns, ...]]:
    """Give all sides in parts that hold the same series, about `rows_max` rows of usage each.

    A pair of neighbours makes as many rows as the hours between them, so a few samples after a
    long silence can make a great many. One series is never cut. Each side is sorted by series.
    """
    counts = [_row_counts(side, window_ms) for side in sides]
    if sum(int(one.sum()) for one in counts) <= rows_max:
        if any(len(one) for one in counts):
            yield sides
        return
    series_ids = distinct(*(side.series_ids for side in sides))
    rows = np.zeros(len(series_ids), np.int64)
    for side, count in zip(sides, counts, strict=True):
        np.add.at(rows, np.searchsorted(series_ids, side.series_ids), count)
    numbers = (np.cumsum(rows) - rows) // rows_max
    of_sides = [numbers[np.searchsorted(series_ids, side.series_ids)] for side in sides]
    for number in np.unique(numbers).tolist():
        yield tuple(side.where(of == number) for side, of in zip(sides, of_sides, strict=True))


def _row_counts(samples: SampleColumns, window_ms: int) -> NDArray[np.int64]:
    """Estimate how many rows of usage each sample makes with the one before it."""
    times_ms = samples.times_ms
    counts = np.ones(len(times_ms), np.int64)
    starts_ms = np.maximum(times_ms[:-1], times_ms[1:] - window_ms)
    hours = (times_ms[1:] - 1) // HOUR_MS - starts_ms // HOUR_MS + 1
    is_pair = samples.series_ids[1:] == samples.series_ids[:-1]
    counts[1:][is_pair] = hours[is_pair]
    return counts
