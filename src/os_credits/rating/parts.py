"""Cuts a neighbourhood into parts of whole series, so that no part is rated into too many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import HOUR_MS

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
    series_ids = np.unique(np.concatenate([side.series_ids for side in sides]))
    if len(series_ids) == 0:
        return
    rows = np.sum([_row_counts(side, series_ids, window_ms) for side in sides], axis=0)
    numbers = (np.cumsum(rows) - rows) // rows_max
    of_sides = [numbers[np.searchsorted(series_ids, side.series_ids)] for side in sides]
    for number in np.unique(numbers).tolist():
        yield tuple(side.where(of == number) for side, of in zip(sides, of_sides, strict=True))


def _row_counts(
    samples: SampleColumns, series_ids: NDArray[np.int64], window_ms: int
) -> NDArray[np.int64]:
    """Estimate for each series how many rows of usage its samples make."""
    gaps = np.diff(samples.times_ms, prepend=samples.times_ms[:1])
    rows = np.clip(gaps, 0, window_ms) // HOUR_MS + 2
    is_first = np.diff(samples.series_ids, prepend=-1) != 0
    counts = np.zeros(len(series_ids), np.int64)
    np.add.at(counts, np.searchsorted(series_ids, samples.series_ids), np.where(is_first, 1, rows))
    return counts
