"""Remembers what label sets mean, within bounds, in two generations.

When the younger one is full it becomes the older, whose content is forgotten; what is asked for
again is young again. So a flood of strange label sets costs the honest ones nothing but a move.

Nearly all label sets are plain: what sets one apart from others of its meter and site is its id
alone. Such a one is remembered as a single number, its kind and its id side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from os import urandom
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.claim import KnownKeys, KnownLabelSet
from os_credits.domain.key_spans import KeySpans
from os_credits.flows.fingerprint_table import STRANGER, FingerprintTable
from os_credits.flows.fingerprints import SECRET_BYTES, fingerprints

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

# A plain label set as a number: its kind above so many bits, its id below (10^12 of them).
_ID_BITS = 40
_ID_MASK = (1 << _ID_BITS) - 1
# The number of one that is not plain, and of the first such one of a generation.
_OTHER = STRANGER - 1
# More kinds (meter, site, whether it fits) than any cloud has: then all is forgotten.
KINDS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of some keys: of key i the number of a plain label set, or `others[i]`."""

    numbers: NDArray[np.int64]
    others: dict[int, KnownLabelSet] = field(default_factory=dict)

    def strangers(self) -> NDArray[np.intp]:
        """Give the places of the keys of which nothing is known."""
        return np.flatnonzero(self.numbers == STRANGER)

    def at(self, places: NDArray[np.intp]) -> Found:
        """Give what is known of the keys at these places."""
        others = {
            place: self.others[one]
            for place, one in enumerate(places.tolist() if self.others else ())
            if one in self.others
        }
        return Found(self.numbers[places], others)

    def put(self, places: NDArray[np.intp], found: Found) -> None:
        """Take over what was found of the keys at these places."""
        self.numbers[places] = found.numbers
        self.others.update({int(places[one]): known for one, known in found.others.items()})


class _Generation:
    """Numbers by fingerprint; one that is not plain is the number of its place in a list."""

    def __init__(self) -> None:
        self._table = FingerprintTable()
        self._others: list[KnownLabelSet] = []
        self.text_bytes = 0

    def __len__(self) -> int:
        return len(self._table)

    def find(self, prints: NDArray[np.uint64]) -> Found:
        numbers = self._table.find(prints)
        places = np.flatnonzero(numbers <= _OTHER)
        if not len(places):
            return Found(numbers.copy())
        others = {
            place: self._others[_OTHER - number]
            for place, number in zip(places.tolist(), numbers[places].tolist(), strict=True)
        }
        return Found(np.where(numbers <= _OTHER, _OTHER, numbers), others)

    def keep(self, prints: NDArray[np.uint64], known: Found) -> None:
        numbers = known.numbers
        if known.others:
            numbers = numbers.copy()
            numbers[list(known.others)] = _OTHER - len(self._others) - np.arange(len(known.others))
            self._others += known.others.values()
            self.text_bytes += sum(
                len(one.metric) + len(one.invalid or "") for one in known.others.values()
            )
        self._table.put(prints, numbers)


class KnownLabelSets:
    """What is known of label sets, by the door and the bytes of each."""

    def __init__(self, *, count_max: int, text_bytes_max: int) -> None:
        """Start with nothing; each generation may grow to half of the bounds.

        The texts are the metrics and reasons of label sets that are not plain.
        """
        self._count_max = max(count_max // 2, 1)
        self._text_bytes_max = text_bytes_max // 2
        self.clear()

    def __len__(self) -> int:
        """Count what is remembered; what was asked for again may count twice."""
        return len(self._young) + len(self._old)

    def clear(self) -> None:
        """Forget everything."""
        self._secrets: dict[str, bytes] = {}
        self._young, self._old = _Generation(), _Generation()
        self._kinds: list[KnownLabelSet] = []
        self._kind_numbers: dict[tuple[str, int, str, bool], int] = {}

    def find(self, door: str, keys: KeySpans) -> Found:
        """Give what is known of each key of a door."""
        if len(self._kinds) > KINDS_MAX:
            self.clear()
        prints = fingerprints(keys, self._secret(door))
        found = self._young.find(prints)
        missing = found.strangers()
        if len(missing) and len(self._old):
            again = self._old.find(prints[missing])
            found.put(missing, again)
            places = missing[again.numbers != STRANGER]
            self._keep(prints[places], found.at(places))
        return found

    def remember(self, door: str, known: Mapping[bytes, KnownLabelSet]) -> None:
        """Remember what these keys of a door mean."""
        self._keep(
            fingerprints(KeySpans.of(known), self._secret(door)), self.packed(known.values())
        )

    def _secret(self, door: str) -> bytes:
        """Give what tells the keys of a door apart from the same ones of another."""
        return self._secrets.setdefault(door, urandom(SECRET_BYTES))

    def _keep(self, prints: NDArray[np.uint64], known: Found) -> None:
        places = np.arange(len(prints))
        while len(places):
            young = self._young
            if len(young) >= self._count_max or young.text_bytes > self._text_bytes_max:
                self._old, self._young = self._young, _Generation()
            chosen = places[: self._count_max - len(self._young)]
            self._young.keep(prints[chosen], known.at(chosen))
            places = places[len(chosen) :]

    def packed(self, known: Iterable[KnownLabelSet]) -> Found:
        """Put plain label sets into numbers; leave any other as it is."""
        numbers: list[int] = []
        others: dict[int, KnownLabelSet] = {}
        for place, one in enumerate(known):
            if not one.is_plain:
                others[place] = one
            numbers.append(self._number(one) if one.is_plain else _OTHER)
        return Found(np.array(numbers, np.int64), others)

    def _number(self, known: KnownLabelSet) -> int:
        [claim] = known.claims
        kind = known.metric, claim.version.id, claim.site, claim.fits
        number = self._kind_numbers.get(kind)
        if number is None:
            number = self._kind_numbers[kind] = len(self._kinds)
            self._kinds.append(known.kind())
        return number << _ID_BITS | claim.label_set_id

    def columns(self, found: Found) -> KnownKeys:
        """Put what was found of each key, none of them a stranger, into columns."""
        if not found.others:
            return self._plain(found.numbers)
        is_plain = np.ones(len(found.numbers), np.bool_)
        places, others = list(found.others), list(found.others.values())
        is_plain[places] = False
        plain = self._plain(found.numbers[is_plain])
        # Those that are not plain follow the kinds, each as a kind of its own.
        kind_index = np.empty(len(is_plain), np.int64)
        kind_index[is_plain] = plain.kind_index
        kind_index[places] = len(plain.kinds) + np.arange(len(others))
        ids = np.empty(len(is_plain), np.int64)
        ids[is_plain] = plain.label_set_ids
        ids[places] = KnownKeys.of(others).label_set_ids
        return KnownKeys([*plain.kinds, *others], kind_index, ids)

    def _plain(self, packed: NDArray[np.int64]) -> KnownKeys:
        numbers = packed >> _ID_BITS
        used = np.flatnonzero(np.bincount(numbers, minlength=len(self._kinds)))
        index = np.zeros(len(self._kinds), np.int64)
        index[used] = np.arange(len(used))
        kinds = [self._kinds[number] for number in used.tolist()]
        return KnownKeys(kinds, index[numbers], packed & _ID_MASK)
