"""Cuts long lists, so that no statement runs into its time limit however much there is to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# How many rows one statement reads, writes or looks for.
ROWS_MAX = 5000


def slices(count: int) -> Iterator[slice]:
    """Give the slices of `count` rows, `ROWS_MAX` each but for the last."""
    return (slice(start, start + ROWS_MAX) for start in range(0, count, ROWS_MAX))
