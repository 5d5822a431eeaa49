"""Which rows of columns belong together: those that are equal in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

INT64_MAX = 2**63 - 1


def distinct(*columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give what stands in any of these sorted columns, sorted and each once."""
    return np.unique(
        np.concatenate([one[np.r_[True, one[1:] != one[:-1]][: len(one)]] for one in columns])
    )


def grouped(*columns: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the order in which equal rows stand together, and where in it each group begins."""
    order = np.lexsort(columns[::-1])
    if len(order) == 0:
        return order, order
    differs = np.zeros(len(order) - 1, np.bool_)
    for column in columns:
        ordered = column[order]
        differs |= ordered[1:] != ordered[:-1]
    return order, np.flatnonzero(np.r_[True, differs])


def groups_of(*columns: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Give the rows of each group."""
    order, starts = grouped(*columns)
    return np.split(order, starts[1:]) if len(order) else []


def sums_of(
    numbers: NDArray[Any], order: NDArray[np.intp], starts: NDArray[np.intp]
) -> NDArray[Any]:
    """Sum at least one whole number by the groups of `grouped`.

    Exactly: as Python integers (dtype object) where int64 could overflow.
    """
    if numbers.dtype != object:
        largest = max(int(numbers.max()), -int(numbers.min()))
        if largest * len(numbers) > INT64_MAX:
            numbers = numbers.astype(object)
    return np.add.reduceat(numbers[order], starts)
