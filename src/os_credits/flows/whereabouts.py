"""Notes where series are, by the labels of their samples, as rating goes along.

Everything here runs under the lock of `rating_state`, in the transaction that writes the
samples. Where a series was is kept by hour, only where it changes (`rating/whereabouts.py`), so
samples of a series that stays where it was cost a comparison of columns and no statement.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.period import DAY_MS, HOUR_MS, to_ms
from os_credits.domain.whereabouts import NOWHERE, Whereabouts
from os_credits.flows.ids import Ids, grown
from os_credits.rating import whereabouts as rules
from os_credits.rating.whereabouts import Touched
from os_credits.store import summed_days, whereabouts
from os_credits.store.slices import slices
from os_credits.store.whereabouts import Move

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from os_credits.domain.pricing import Meters
    from os_credits.store.pool import Connection
    from os_credits.store.samples import StoredSamples

# Beyond these, where label sets and series are is read again as needed.
LABEL_SETS_MAX = 1_000_000
SERIES_MAX = 1_000_000
# How many series that moved are worked out at once.
SERIES_AT_ONCE_MAX = 500

# Host, region, provider and state, as the labels of a meter's samples are called.
LabelNames = tuple[str | None, ...]


class Places:
    """What is remembered of label sets and series: places by numbers, 0 for nowhere."""

    def __init__(self) -> None:
        """Know no labels that name places."""
        self._names: dict[int, LabelNames] = {}
        self._clear()

    def _clear(self) -> None:
        self._numbers: dict[Whereabouts, int] = {NOWHERE: rules.NOWHERE}
        self.texts: list[Whereabouts] = [NOWHERE]
        self._label_sets, self._series = Ids(), Ids()
        self._of_label_set = np.empty(0, np.int32)
        self._last = np.empty(0, np.int32)

    def use(self, meters: Meters) -> None:
        """Read label sets by the names that these meters give; forget all if they are others."""
        names = meters.place_labels
        if names != self._names:
            self._clear()
            self._names = names

    @property
    def are_named(self) -> bool:
        """Tell whether any meter names a label that tells a place."""
        return bool(self._names)

    def forget(self) -> None:
        """Forget where series are, which another writer may have changed."""
        self._series.clear()

    def forget_last(self, series_ids: NDArray[np.int64]) -> None:
        """Forget where these series are; it is read again when needed."""
        self._series.forget(series_ids)

    def number(self, where: Whereabouts) -> int:
        """Give the number of a place."""
        found = self._numbers.get(where)
        if found is None:
            found = self._numbers[where] = len(self.texts)
            self.texts.append(where)
        return found

    async def column(self, conn: Connection, label_set_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the place of each label set, reading those that are not known yet."""
        new = self._label_sets.strangers(label_set_ids)
        read: dict[int, Whereabouts] = {}
        for part in slices(len(new)):
            read |= await whereabouts.read_of_label_sets(conn, new[part].tolist())
        places = [self.number(read[one]) for one in new.tolist()]
        rows = self._label_sets.add(new)
        self._of_label_set = grown(self._of_label_set, self._label_sets.row_count)
        self._of_label_set[rows] = places
        return self._of_label_set[self._label_sets.known_rows(label_set_ids)].astype(np.int64)

    def ranks(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give numbers that rise with the texts of these places."""
        used = np.flatnonzero(np.bincount(places, minlength=1))
        in_order = sorted(used.tolist(), key=self.texts.__getitem__)
        rank = np.zeros(len(self.texts) + 1, np.int64)
        rank[in_order] = np.arange(len(in_order))
        return rank[places]

    async def last_of(self, conn: Connection, series_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give where each series was last, reading those that are not known yet."""
        new = self._series.strangers(series_ids)
        read: dict[int, Whereabouts] = {}
        for part in slices(len(new)):
            read |= await whereabouts.read_latest(conn, new[part].tolist())
        self.note_last(
            new, np.array([self.number(read.get(one, NOWHERE)) for one in new.tolist()], np.int64)
        )
        return self._last[self._series.known_rows(series_ids)].astype(np.int64)

    def note_last(self, series_ids: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        """Remember where these series, each of them once, are now."""
        self._series.add(self._series.strangers(series_ids))
        self._last = grown(self._last, self._series.row_count)
        self._last[self._series.known_rows(series_ids)] = places

    def make_room(self) -> None:
        """Forget everything if it has become too much."""
        if len(self._label_sets) > LABEL_SETS_MAX or len(self._series) > SERIES_MAX:
            self._clear()


async def follow_samples(
    conn: Connection,
    known: Places,
    counted: StoredSamples,
    places: NDArray[np.int64],
    is_new: NDArray[np.bool_],
    late_series: NDArray[np.int64],
) -> None:
    """Note where the series of new samples were.

    `counted` are the samples that count, sorted by series and time: new ones and what is next
    to them.
    """
    if not known.are_named or len(counted) == 0:
        return
    last = await known.last_of(conn, counted.series_ids)
    touched = rules.touched_hours(counted.series_ids, counted.times_ms, places, is_new, last)
    if not touched:
        return
    for part in slices(len(touched), SERIES_AT_ONCE_MAX):
        chosen = list(touched)[part]
        spans = [(one, touched[one][0].hour, _end_of(touched[one])) for one in chosen]
        stored = await _read(conn, known, spans)
        changes = {one: rules.moves_of(stored[one], touched[one]) for one in chosen}
        await _write(conn, known, changes)
    ends = np.r_[counted.series_ids[1:] != counted.series_ids[:-1], True]
    known.note_last(counted.series_ids[ends], places[ends])
    # What is next to a late sample need not be the last of its series.
    known.forget_last(late_series)


def _end_of(touched: Sequence[Touched]) -> int:
    end = touched[-1]
    return end.hour if end.following is None else end.following


async def follow_removal(
    conn: Connection, known: Places, rows: StoredSamples, inside: NDArray[np.bool_], start: datetime
) -> None:
    """Note where series were once the samples `inside` a period are gone.

    `rows` are these, and of each series what is next to them; sorted by series and time.
    """
    if not known.are_named or len(rows) == 0:
        return
    places = await known.column(conn, rows.label_set_ids)
    hours = rows.times_ms // HOUR_MS
    first = to_ms(start) // HOUR_MS
    cuts = np.flatnonzero(np.r_[True, rows.series_ids[1:] != rows.series_ids[:-1]])
    pieces: dict[int, tuple[Touched | None, int | None]] = {}
    for own in np.split(np.arange(len(rows)), cuts[1:]):
        gone = own[inside[own]]
        if not len(gone):
            continue
        earlier, later = own[own < gone[0]], own[own > gone[-1]]
        following = int(hours[later[0]]) if len(later) else None
        before = None
        if len(earlier) and int(hours[earlier[-1]]) == first != following:
            before = Touched(first, int(places[earlier[-1]]), following)
        pieces[int(rows.series_ids[own[0]])] = before, following
    last_hour = int(hours.max())
    for part in slices(len(pieces), SERIES_AT_ONCE_MAX):
        chosen = list(pieces)[part]
        stored = await _read(conn, known, [(one, first, last_hour) for one in chosen])
        changes = {one: rules.moves_without(stored[one], first, *pieces[one]) for one in chosen}
        await _write(conn, known, changes)


async def _read(
    conn: Connection, known: Places, spans: Sequence[tuple[int, int, int]]
) -> dict[int, list[tuple[int, int]]]:
    """Read the moves of series in spans of hours, and the one before each."""
    rows = await whereabouts.read_moves(
        conn, [(one, first * HOUR_MS, last * HOUR_MS) for one, first, last in spans]
    )
    stored: dict[int, list[tuple[int, int]]] = {one: [] for one, _, _ in spans}
    for series_id, moves in groupby(rows, key=lambda move: move.series_id):
        stored[series_id] = [(one.hour_ms // HOUR_MS, known.number(one.where)) for one in moves]
    return stored


async def _write(
    conn: Connection, known: Places, changes: Mapping[int, Mapping[int, int | None]]
) -> None:
    put: list[Move] = []
    gone: list[tuple[int, int]] = []
    days: set[int] = set()
    for series_id, moves in changes.items():
        hours = sorted(moves)
        for hour in hours:
            place = moves[hour]
            if place is None:
                gone.append((series_id, hour * HOUR_MS))
            else:
                put.append(Move(series_id, hour * HOUR_MS, known.texts[place]))
        if hours:
            first_day, last_day = (one * HOUR_MS // DAY_MS for one in (hours[0], hours[-1]))
            days.update(range(first_day, last_day + 1))
    if put:
        await whereabouts.put_moves(conn, put)
    if gone:
        await whereabouts.delete_moves(conn, gone)
    if days:
        await summed_days.mark_days(conn, (day * DAY_MS for day in days))
