"""Cuts long lists, so that no statement runs into its time limit however much there is to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# How many rows one statement reads, writes or looks for.
ROWS_MAX = 5000


def slices(count: int, rows_max: int = ROWS_MAX) -> Iterator[slice]:
    """Give the slices of `count` rows, `rows_max` each but for the last."""
    return (slice(start, start + rows_max) for start in range(0, count, rows_max))


def groups_of(counts: Mapping[int, int], total_max: int) -> Iterator[list[int]]:
    """Put keys together, in their order, as long as their counts stay below a total."""
    group: list[int] = []
    total = 0
    for key, count in counts.items():
        if group and total + count > total_max:
            yield group
            group, total = [], 0
        group.append(key)
        total += count
    if group:
        yield group
