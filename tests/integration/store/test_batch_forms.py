"""How accepted samples wait: short where that is possible, and as older versions wrote them."""

from __future__ import annotations

import numpy as np
import pytest

from os_credits.store.batches import BatchColumns, packed, unpacked

NOW_MS = 1_795_000_000_000
STALE = np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0]


def columns(ids: list[int], times_ms: list[int], values: list[float]) -> BatchColumns:
    return BatchColumns(
        np.array(ids, np.int64), np.array(times_ms, np.int64), np.array(values, np.float64)
    )


@pytest.mark.parametrize(
    "written, bytes_each",
    [
        (columns([7], [NOW_MS], [0.1]), 28),
        (columns([7, 2**32 - 1], [NOW_MS, NOW_MS + 2**32 - 1], [-0.0, STALE]), 22),
        (columns([1, 2], [NOW_MS + 5, NOW_MS], [1e308, 5e-324]), 22),
        (columns([2**32, 1], [NOW_MS, NOW_MS], [1.0, 2.0]), 24),
        (columns([1, 1], [NOW_MS, NOW_MS - 2**32], [1.0, 2.0]), 24),
        (columns([1], [-(2**62)], [1.0]), 28),
    ],
)
def test_what_waits_is_read_as_it_was_written(written: BatchColumns, bytes_each: int) -> None:
    row = packed(written)
    read = unpacked(row, len(written))

    assert bytes_each * len(written) == len(row)
    assert written.label_set_ids.tolist() == read.label_set_ids.tolist()
    assert written.times_ms.tolist() == read.times_ms.tolist()
    assert written.values.tobytes() == read.values.tobytes()


def test_what_an_older_version_left_is_read_too() -> None:
    row = np.array([(7, NOW_MS, 1.5), (8, NOW_MS + 1, 2.5)], "<i8,<i8,<f8").tobytes()

    read = unpacked(row, 2)

    assert ([7, 8], [NOW_MS, NOW_MS + 1], [1.5, 2.5]) == (
        read.label_set_ids.tolist(),
        read.times_ms.tolist(),
        read.values.tolist(),
    )


def test_the_two_forms_are_never_as_long_as_each_other() -> None:
    # Else nobody could tell which one a row has.
    assert not any(12 + 16 * count == 24 * count for count in range(1, 100_000))
