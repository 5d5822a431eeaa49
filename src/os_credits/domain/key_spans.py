"""The label sets of a push, as the sender wrote them, side by side in one piece of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, overload

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class KeySpans(Sequence[bytes]):
    """Keys that lie in `body`: key i from `starts[i]` up to before `ends[i]`.

    So thousands of them are looked up without any being cut out.
    """

    __slots__ = ("body", "ends", "starts")

    def __init__(self, body: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        """Keep the bytes, and where the keys lie in them."""
        self.body = body
        self.starts = starts
        self.ends = ends

    @classmethod
    def of(cls, keys: Iterable[bytes]) -> KeySpans:
        """Put keys one after the other."""
        parts = list(keys)
        ends = np.fromiter(accumulate(map(len, parts)), np.int64, len(parts))
        starts = np.zeros_like(ends)
        starts[1:] = ends[:-1]
        return cls(b"".join(parts), starts, ends)

    def __len__(self) -> int:
        """Count the keys."""
        return len(self.starts)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> list[bytes]: ...
    def __getitem__(self, place: int | slice) -> bytes | list[bytes]:
        """Cut out a key, or some of them."""
        if isinstance(place, slice):
            cuts = zip(self.starts[place].tolist(), self.ends[place].tolist(), strict=True)
            return [self.body[start:end] for start, end in cuts]
        return self.body[self.starts[place] : self.ends[place]]
