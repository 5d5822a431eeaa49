"""Which hours a series was elsewhere than in the one before: changes of that by new samples.

The place in an hour is that of its latest sample, and holds until the next hour that has one.
A place is a number here; 0 stands for nowhere, where every series is before its first sample.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NOWHERE = 0


@dataclass(frozen=True, slots=True)
class Touched:
    """An hour whose latest sample is a new one (or the latest that is left), and its place.

    `following` is the next hour with a sample, None if there is none. Hours are counted since
    the epoch.
    """

    hour: int
    place: int
    following: int | None


def touched_hours(
    series_ids: NDArray[np.int64],
    times_ms: NDArray[np.int64],
    places: NDArray[np.int64],
    is_new: NDArray[np.bool_],
    last_places: NDArray[np.int64],
) -> dict[int, list[Touched]]:
    """Give the hours that new samples decide, of those series that may have moved.

    The samples are sorted by series and time, and next to each new one stands what is next to it
    among all that count. `last_places` says of each sample where its series was last so far.
    Series whose samples here are all where it was last are left out: nothing changes for them.
    """
    if len(times_ms) == 0:
        return {}
    hours = times_ms // HOUR_MS
    starts = np.r_[True, series_ids[1:] != series_ids[:-1]]
    ends = np.r_[starts[1:], True]
    differs = (places != last_places) | (starts & is_new & (places != NOWHERE))
    group = np.cumsum(starts) - 1
    moved = np.logical_or.reduceat(differs, np.flatnonzero(starts))[group]
    is_last_of_hour = ends | np.r_[hours[1:] != hours[:-1], True]
    chosen = np.flatnonzero(moved & is_new & is_last_of_hour)
    next_hours = np.r_[hours[1:], 0]
    found: dict[int, list[Touched]] = {}
    for series_id, hour, place, is_end, following in zip(
        series_ids[chosen].tolist(),
        hours[chosen].tolist(),
        places[chosen].tolist(),
        ends[chosen].tolist(),
        next_hours[chosen].tolist(),
        strict=True,
    ):
        one = Touched(hour, place, None if is_end else following)
        found.setdefault(series_id, []).append(one)
    return found


def moves_of(known: Sequence[tuple[int, int]], touched: Sequence[Touched]) -> dict[int, int | None]:
    """Say which stored moves of a series become others: the place by hour, None for no move.

    `known` are its moves (hour and place) as they are stored, from the last one before the
    first touched hour on; both are sorted by hour.
    """
    decided = {one.hour for one in touched}
    wanted: dict[int, int | None] = {}
    before: Touched | None = None
    for one in touched:
        adjoins = before is not None and before.following == one.hour
        previous = before.place if before and adjoins else place_at(known, one.hour - 1)
        wanted[one.hour] = None if one.place == previous else one.place
        if one.following is not None and one.following not in decided:
            kept = place_at(known, one.following)
            wanted[one.following] = None if kept == one.place else kept
        before = one
    stored = dict(known)
    return {hour: place for hour, place in wanted.items() if stored.get(hour) != place}


def moves_without(
    known: Sequence[tuple[int, int]],
    first: int,
    before: Touched | None,
    following: int | None,
) -> dict[int, int | None]:
    """Say which stored moves change when all samples of a time are taken out.

    `before` is the hour of the latest sample before that time with its place, if that hour has
    lost later ones; `following` the hour of the first sample after it. Moves from the hour
    `first` (that of the first sample taken out) up to before `following` are gone.
    """
    kept = [one for one in known if one[0] < first]
    place = kept[-1][1] if kept else NOWHERE
    wanted: dict[int, int | None] = {
        hour: None for hour, _ in known if hour >= first and (following is None or hour < following)
    }
    if before is not None:
        wanted[before.hour] = None if before.place == place else before.place
        place = before.place
    if following is not None:
        at_following = place_at(known, following)
        wanted[following] = None if at_following == place else at_following
    stored = dict(known)
    return {hour: place for hour, place in wanted.items() if stored.get(hour) != place}


def place_at(known: Sequence[tuple[int, int]], hour: int) -> int:
    """Give the place in an hour by the stored moves, which are sorted by hour."""
    index = bisect_right(known, hour, key=lambda one: one[0]) - 1
    return known[index][1] if index >= 0 else NOWHERE
