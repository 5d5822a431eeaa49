"""Samples that people took out of the set: bad ones, and those of before an opening (rule 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import ceil_ms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

FIRST_MS = -(2**62)
LAST_MS = 2**62


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Takes the samples of a project out of the set, from `starts_at` up to before `ends_at`.

    None means since ever, and for ever. `meter_id` and `series_id` narrow it where given.
    """

    id: int
    project_id: int
    meter_id: int | None
    series_id: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    reason: str
    author: str

    @property
    def start_ms(self) -> int:
        """Give its start in milliseconds since the epoch."""
        return FIRST_MS if self.starts_at is None else ceil_ms(self.starts_at)

    @property
    def end_ms(self) -> int:
        """Give its end in milliseconds since the epoch."""
        return LAST_MS if self.ends_at is None else ceil_ms(self.ends_at)


class Exclusions:
    """The exclusions that hold, for finding the samples that they take out."""

    def __init__(self, exclusions: Sequence[Exclusion] = ()) -> None:
        """Take those that were not lifted."""
        self._exclusions = exclusions

    def __len__(self) -> int:
        """Count them."""
        return len(self._exclusions)

    def cover(
        self,
        series_ids: NDArray[np.int64],
        times_ms: NDArray[np.int64],
        project_of: dict[int, int],
        meter_of: dict[int, int],
    ) -> NDArray[np.bool_]:
        """Tell which samples lie in one; the dictionaries say whose a series is."""
        covered = np.zeros(len(series_ids), np.bool_)
        if not self._exclusions:
            return covered
        unique, inverse = np.unique(series_ids, return_inverse=True)
        series = unique.tolist()
        projects = {project_of[one] for one in series}
        for one in self._exclusions:
            if one.project_id not in projects:
                continue
            concerned = np.array(
                [
                    project_of[series_id] == one.project_id
                    and one.meter_id in (None, meter_of[series_id])
                    and one.series_id in (None, series_id)
                    for series_id in series
                ],
                np.bool_,
            )
            inside = (times_ms >= one.start_ms) & (times_ms < one.end_ms)
            covered |= concerned[inverse] & inside
        return covered
