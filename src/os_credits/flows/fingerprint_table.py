"""Numbers by fingerprint: some 50 bytes for each, where a dictionary of keys takes 600."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from os_credits.flows.fingerprints import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

# In the place of a number: there is none.
STRANGER = -1
SLOTS_MIN = 1024
# At most so much of the slots is in use, so that what is looked for is near where it belongs.
FILLED_MAX = 2 / 3
SLOT = np.dtype([("print", np.uint64, 2), ("number", np.int64)])


class FingerprintTable:
    """Finds numbers, 0 or larger or below `STRANGER`, by fingerprints, for many at once.

    A fingerprint belongs into the slot that its lowest bits say, or the next one that is free.
    """

    def __init__(self) -> None:
        """Hold nothing."""
        self._slots = _free_slots(SLOTS_MIN)
        self._count = 0

    def __len__(self) -> int:
        """Count the fingerprints."""
        return self._count

    def find(self, prints: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Give the number of each fingerprint, `STRANGER` where there is none."""
        if compiled is None:
            return find_python(self._slots, prints)
        return np.frombuffer(compiled.find(self._slots, prints), np.int64)

    def put(self, prints: NDArray[np.uint64], numbers: NDArray[np.int64]) -> None:
        """Keep these numbers; of one fingerprint that is named more than once, the last."""
        size = len(self._slots)
        while self._count + len(prints) > size * FILLED_MAX:
            size *= 2
        if size > len(self._slots):
            held = self._slots[self._slots["number"] != STRANGER]
            self._slots, self._count = _free_slots(size), 0
            self._place(held["print"], held["number"])
        self._place(prints, numbers)

    def _place(self, prints: NDArray[np.uint64], numbers: NDArray[np.int64]) -> None:
        slots, mask = self._slots, len(self._slots) - 1
        places, at = np.arange(len(prints)), _first_slots(prints, mask)
        while len(places):
            is_free = slots["number"][at] == STRANGER
            # Of several that want the same slot one gets it, and the others go on.
            slots["print"][at[is_free]] = prints[places[is_free]]
            is_own = (slots["print"][at] == prints[places]).all(axis=1)
            slots["number"][at[is_own]] = numbers[places[is_own]]
            self._count += len(np.unique(at[is_own & is_free]))
            places, at = places[~is_own], at[~is_own] + 1 & mask


def find_python(slots: NDArray[np.void], prints: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Do what `FingerprintTable.find` does, without a compiler."""
    mask = len(slots) - 1
    numbers = np.full(len(prints), STRANGER, np.int64)
    places, at = np.arange(len(prints)), _first_slots(prints, mask)
    while len(places):
        held = slots[at]
        is_own = (held["print"] == prints[places]).all(axis=1)
        numbers[places[is_own]] = held["number"][is_own]
        goes_on = ~is_own & (held["number"] != STRANGER)
        places, at = places[goes_on], at[goes_on] + 1 & mask
    return numbers


def _first_slots(prints: NDArray[np.uint64], mask: int) -> NDArray[np.int64]:
    return (prints[:, 0] & np.uint64(mask)).astype(np.int64)


def _free_slots(count: int) -> NDArray[np.void]:
    slots = np.zeros(count, SLOT)
    slots["number"] = STRANGER
    return slots
