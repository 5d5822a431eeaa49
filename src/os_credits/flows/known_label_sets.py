"""Remembers what label sets mean, within bounds, in two generations.

When the younger one is full it becomes the older, whose content is forgotten; what is asked for
again is young again. So a flood of strange label sets costs the honest ones nothing but a move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from os_credits.domain.claim import KnownLabelSet


class KnownLabelSets:
    """What is known of label sets, by the door and the bytes of each."""

    def __init__(self, *, count_max: int, bytes_max: int) -> None:
        """Start with nothing; each generation may grow to half of the bounds."""
        self._count_max = max(count_max // 2, 1)
        self._bytes_max = bytes_max // 2
        self._young: dict[tuple[str, bytes], KnownLabelSet] = {}
        self._old: dict[tuple[str, bytes], KnownLabelSet] = {}
        self._young_bytes = 0

    def __len__(self) -> int:
        """Count what is remembered."""
        return len(self._young) + len(self._old)

    def clear(self) -> None:
        """Forget everything."""
        self._young, self._old, self._young_bytes = {}, {}, 0

    def find(self, door: str, keys: Sequence[bytes]) -> list[KnownLabelSet | None]:
        """Give what is known of each key, None for a stranger."""
        young, old = self._young, self._old
        found = [young.get((door, key)) for key in keys]
        if not old or None not in found:
            return found
        again: dict[bytes, KnownLabelSet] = {}
        for key, known in zip(keys, found, strict=True):
            if known is None and (one := old.pop((door, key), None)):
                again[key] = one
        self.remember(door, again)
        return [known or again.get(key) for key, known in zip(keys, found, strict=True)]

    def remember(self, door: str, known: Mapping[bytes, KnownLabelSet]) -> None:
        """Remember what these keys of a door mean."""
        for key, one in known.items():
            if len(self._young) >= self._count_max or self._young_bytes > self._bytes_max:
                self._old, self._young, self._young_bytes = self._young, {}, 0
            self._young[door, key] = one
            self._young_bytes += len(key)
