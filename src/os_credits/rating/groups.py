"""Which rows of columns belong together: those that are equal in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
