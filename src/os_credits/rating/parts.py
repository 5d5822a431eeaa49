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
    after: SampleColumns, before: SampleColumns, *, window_ms: int, rows_max: int
) -> Iterator[tuple[SampleColumns, SampleColumns]]:
    """Give both sides in parts that hold the same series, about `rows_max` rows of usage each.

    A pair of neighbours makes as many rows as the hours between them, so a few samples after a
    long silence can make a great many. One series is never cut. Both sides are sorted by
    series; every series of `before` is in `after`.
    """
    if len(after.series_ids) == 0:
        return
    numbers, series_ids = _part_numbers(after, window_ms, rows_max)
    of_before = numbers[np.searchsorted(series_ids, before.series_ids)]
    of_after = numbers[np.searchsorted(series_ids, after.series_ids)]
    for number in np.unique(numbers).tolist():
        yield after.where(of_after == number), before.where(of_before == number)


def _part_numbers(
    samples: SampleColumns, window_ms: int, rows_max: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give each series the number of its part; the parts, and the series they belong to."""
    gaps = np.diff(samples.times_ms, prepend=samples.times_ms[0])
    rows = np.clip(gaps, 0, window_ms) // HOUR_MS + 2
    series_ids, starts = np.unique(samples.series_ids, return_index=True)
    rows[starts] = 1
    rows_before = np.cumsum(rows) - rows
    return rows_before[starts] // rows_max, series_ids
