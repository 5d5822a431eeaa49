"""What a push is judged under, and what became of its samples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from os_credits.domain.access import Access
    from os_credits.domain.sample import Rejected


@dataclass(frozen=True, slots=True)
class AcceptanceWindow:
    """How far from the database's clock a sample may be, in milliseconds."""

    past_ms: int
    ahead_ms: int


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a push is judged under, besides itself.

    `deltas_allowed` is false for doors whose senders repeat and interleave freely (remote
    write): amounts of their own would then be wrong. Samples before `kept_from_ms` were dropped,
    or are about to be: nothing older is taken, whatever the window.
    """

    now_ms: int
    window: AcceptanceWindow
    access: Access
    deltas_allowed: bool
    kept_from_ms: int = 0


@dataclass(slots=True)
class Judgement:
    """The accepted samples in columns, and what became of the others.

    `refused_count` counts samples, even those that several meters refuse, once; `refused` says
    what each meter had against them. `unstored` counts samples that would be accepted, were
    their label sets stored: then the whole push has to be judged again. `by_site` gives for each
    site that the push names how many were accepted, and the time of the latest.
    """

    label_set_ids: NDArray[np.int64]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    accepted: Counter[str] = field(default_factory=Counter)
    last_ms: dict[str, int] = field(default_factory=dict)
    set_aside: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, Rejected]] = field(default_factory=list)
    refused_count: int = 0
    unstored: int = 0
    by_site: dict[str, tuple[int, int | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the accepted samples."""
        return len(self.times_ms)
