"""Remembers what label sets mean, within bounds, in two generations.

When the younger one is full it becomes the older, whose content is forgotten; what is asked for
again is young again. So a flood of strange label sets costs the honest ones nothing but a move.

Nearly all label sets are plain: what sets one apart from others of its meter and site is its id
alone. Such a one is remembered as a single number, its kind and its id side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.claim import KnownKeys, KnownLabelSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

# A plain label set as a number: its kind above so many bits, its id below (10^12 of them).
_ID_BITS = 40
_ID_MASK = (1 << _ID_BITS) - 1
# More kinds (meter, site, whether it fits) than any cloud has: then all is forgotten.
KINDS_MAX = 10_000

# What is remembered of a label set: a number, or all of it where it is not plain.
Remembered = int | KnownLabelSet


class KnownLabelSets:
    """What is known of label sets, by the door and the bytes of each."""

    def __init__(self, *, count_max: int, bytes_max: int) -> None:
        """Start with nothing; each generation may grow to half of the bounds."""
        self._count_max = max(count_max // 2, 1)
        self._bytes_max = bytes_max // 2
        self.clear()

    def __len__(self) -> int:
        """Count what is remembered."""
        return self._young_count + sum(map(len, self._old.values()))

    def clear(self) -> None:
        """Forget everything."""
        self._young: dict[str, dict[bytes, Remembered]] = {}
        self._old: dict[str, dict[bytes, Remembered]] = {}
        self._young_bytes = 0
        self._young_count = 0
        self._kinds: list[KnownLabelSet] = []
        self._kind_numbers: dict[tuple[str, int, str, bool], int] = {}

    def find(self, door: str, keys: Sequence[bytes]) -> list[Remembered | None]:
        """Give what is known of each key, None for a stranger."""
        if len(self._kinds) > KINDS_MAX:
            self.clear()
        found: list[Remembered | None] = list(map(self._young.get(door, {}).get, keys))
        old = self._old.get(door)
        if not old or None not in found:
            return found
        again: dict[bytes, Remembered] = {}
        for key, known in zip(keys, found, strict=True):
            if known is None and (one := old.pop(key, None)) is not None:
                again[key] = one
        self._keep(door, again)
        return [
            again.get(key) if known is None else known
            for key, known in zip(keys, found, strict=True)
        ]

    def remember(self, door: str, known: Mapping[bytes, KnownLabelSet]) -> None:
        """Remember what these keys of a door mean."""
        self._keep(door, {key: self.packed(one) for key, one in known.items()})

    def _keep(self, door: str, known: Mapping[bytes, Remembered]) -> None:
        for key, one in known.items():
            if self._young_count >= self._count_max or self._young_bytes > self._bytes_max:
                self._old, self._young = self._young, {}
                self._young_bytes = self._young_count = 0
            own = self._young.setdefault(door, {})
            self._young_count += key not in own
            own[key] = one
            self._young_bytes += len(key)

    def packed(self, known: KnownLabelSet) -> Remembered:
        """Put a plain label set into a number; leave any other as it is."""
        if not known.is_plain:
            return known
        [claim] = known.claims
        kind = known.metric, claim.version.id, claim.site, claim.fits
        number = self._kind_numbers.get(kind)
        if number is None:
            number = self._kind_numbers[kind] = len(self._kinds)
            self._kinds.append(known.kind())
        return number << _ID_BITS | claim.label_set_id

    def columns(self, found: Sequence[Remembered]) -> KnownKeys:
        """Put what was found into columns."""
        try:
            packed = np.array(found, np.int64)
        except TypeError:
            return self._mixed(found)
        return self._plain(packed)

    def _plain(self, packed: NDArray[np.int64]) -> KnownKeys:
        numbers = packed >> _ID_BITS
        used = np.flatnonzero(np.bincount(numbers, minlength=len(self._kinds)))
        index = np.zeros(len(self._kinds), np.int64)
        index[used] = np.arange(len(used))
        kinds = [self._kinds[number] for number in used.tolist()]
        return KnownKeys(kinds, index[numbers], packed & _ID_MASK)

    def _mixed(self, found: Sequence[Remembered]) -> KnownKeys:
        """Let the ones that are not plain follow the kinds, each as a kind of its own."""
        is_plain = np.array([isinstance(one, int) for one in found], np.bool_)
        plain = self._plain(np.array([one for one in found if isinstance(one, int)], np.int64))
        others = [one for one in found if isinstance(one, KnownLabelSet)]
        kind_index = np.empty(len(found), np.int64)
        kind_index[is_plain] = plain.kind_index
        kind_index[~is_plain] = len(plain.kinds) + np.arange(len(others))
        ids = np.empty(len(found), np.int64)
        ids[is_plain] = plain.label_set_ids
        ids[~is_plain] = KnownKeys.of(others).label_set_ids
        return KnownKeys([*plain.kinds, *others], kind_index, ids)
