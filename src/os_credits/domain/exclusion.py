"""Samples that people took out of the set: bad ones, and those of before an opening (rule 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import ceil_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
        """Take those that were not lifted; there may be several for each of many projects."""
        self._count = len(exclusions)
        self._of_series: dict[int, list[Exclusion]] = {}
        self._of_project: dict[int, list[Exclusion]] = {}
        for one in exclusions:
            if one.series_id is None:
                self._of_project.setdefault(one.project_id, []).append(one)
            else:
                self._of_series.setdefault(one.series_id, []).append(one)

    def __len__(self) -> int:
        """Count them."""
        return self._count

    def cover(
        self,
        series_ids: NDArray[np.int64],
        times_ms: NDArray[np.int64],
        projects_of: Callable[[NDArray[np.int64]], NDArray[np.int64]],
        meters_of: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    ) -> NDArray[np.bool_]:
        """Tell which samples lie in one; the functions say whose series are."""
        covered = np.zeros(len(series_ids), np.bool_)
        if not self._count:
            return covered
        unique, inverse = np.unique(series_ids, return_inverse=True)
        owners = zip(unique, projects_of(unique), meters_of(unique), strict=True)
        spans = [self._spans(*map(int, one)) for one in owners]
        for layer in range(max(map(len, spans), default=0)):
            starts, ends = np.array(
                [one[layer] if layer < len(one) else (LAST_MS, LAST_MS) for one in spans], np.int64
            ).T
            covered |= (times_ms >= starts[inverse]) & (times_ms < ends[inverse])
        return covered

    def _spans(self, series_id: int, project_id: int, meter_id: int) -> list[tuple[int, int]]:
        """Give from when up to when (ms) the samples of a series are out, one for each."""
        found = [
            *self._of_series.get(series_id, ()),
            *self._of_project.get(project_id, ()),
        ]
        return [
            (one.start_ms, one.end_ms)
            for one in found
            if one.project_id == project_id and one.meter_id in (None, meter_id)
        ]
