"""Which samples the usage of an hour is made of: each pair of neighbours, and what it brings.

Nothing is rated a second way here. What a sample b brings is the usage of its neighbourhood
with it less the usage without it, by the functions that rate (`usage.py`): of b and the two
samples before it, since no rule looks back further. So a trace cannot tell another story than
the one by which credits were made, and its pairs add up to the hour's usage exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.explanation import Pair, Point, Silence
from os_credits.domain.meter import MeterKind, OnReset
from os_credits.domain.period import HOUR_MS, to_ms
from os_credits.domain.usage import UsageColumns, UsageKind
from os_credits.rating.usage import (
    SampleColumns,
    difference,
    steps_of,
    usage_by_versions,
    usage_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from os_credits.domain.meter import MeterDefinition, MeterVersion

# How many samples before a sample can matter for what it brings.
LOOKED_BACK = 2


@dataclass(frozen=True, slots=True)
class TracedHour:
    """The hour to trace: its start, the versions of the meter, and the acceptance window (ms)."""

    hour_ms: int
    versions: Sequence[MeterVersion]
    window_ms: int

    @property
    def definition(self) -> MeterDefinition:
        """Give the version that holds in the hour."""
        holding = [one for one in self.versions if to_ms(one.valid_from) <= self.hour_ms]
        return (holding[-1] if holding else self.versions[0]).definition


def trace(
    samples: SampleColumns, label_set_ids: NDArray[np.int64], hour: TracedHour
) -> dict[int, list[Pair]]:
    """Give the pairs of neighbours that touch the hour, by series and in the order of time.

    The samples are those of series of one meter, sorted by series and time: at least all in
    the hour, two before it, and the one that follows it.
    """
    definition = hour.definition
    if definition.kind is not MeterKind.GAUGE:
        label_set_ids = label_set_ids[samples.fits]
        samples = samples.where(samples.fits)
    later = _touching(samples, definition, hour)
    if len(later) == 0:
        return {}
    neighbourhoods = _Neighbourhoods(samples, later)
    brought = {
        number: (flavor_id, UsageKind(kind), int(quantity))
        for number, flavor_id, kind, quantity in _rows(
            neighbourhoods.brought(
                lambda some: usage_by_versions(some, hour.versions, window_ms=hour.window_ms)
            ),
            hour.hour_ms,
        )
    }
    grown: dict[int, int] = dict.fromkeys(range(len(later)), 0)
    if definition.kind is MeterKind.COUNTER:
        for number, _, _, quantity in _rows(
            neighbourhoods.brought(
                lambda some: usage_of(some, definition, window_ms=hour.window_ms)
            )
        ):
            grown[number] += int(quantity)
    points = _Points(samples, label_set_ids, definition)
    pairs: dict[int, list[Pair]] = {}
    for number, index in enumerate(later.tolist()):
        pair = points.pair(index, hour, brought.get(number), grown[number])
        pairs.setdefault(int(samples.series_ids[index]), []).append(pair)
    return pairs


def folded(pairs: Iterable[Pair], definition: MeterDefinition) -> list[Pair]:
    """Join neighbouring pairs that one calculation covers: a level that stays, steady growth.

    What they bring in sum does not change.
    """
    result: list[Pair] = []
    for pair in pairs:
        if result and _continues(result[-1], pair, definition):
            last = result[-1]
            result[-1] = replace(
                last,
                before=None,
                later=pair.later,
                end_ms=pair.end_ms,
                grown=last.grown + pair.grown,
                quantity=last.quantity + pair.quantity,
                pair_count=last.pair_count + pair.pair_count,
            )
        else:
            result.append(pair)
    return result


def _continues(last: Pair, pair: Pair, definition: MeterDefinition) -> bool:
    if pair.earlier is None or last.earlier is None or pair.earlier != last.later:
        return False
    same = ("kind", "flavor_id", "label_set_id", "silence")
    if any(getattr(last, name) != getattr(pair, name) for name in same):
        return False
    if pair.silence is not None:
        return True
    if definition.kind is MeterKind.GAUGE:
        # Each gap that is too long is told by itself.
        return pair.kind is not UsageKind.UNMETERED and last.earlier.value == pair.earlier.value
    return pair.kind is UsageKind.BILLED and _is_plain(last) and _is_plain(pair)


def _is_plain(pair: Pair) -> bool:
    """Tell whether a counter's pair lies in the hour whole, and brings later less earlier."""
    return (
        pair.earlier is not None
        and pair.start_ms == pair.earlier.time_ms
        and pair.end_ms == pair.later.time_ms
        and pair.quantity == pair.later.steps - pair.earlier.steps
    )


def _touching(
    samples: SampleColumns, definition: MeterDefinition, hour: TracedHour
) -> NDArray[np.intp]:
    """Find the samples that may bring something to the hour."""
    times, hour_end = samples.times_ms, hour.hour_ms + HOUR_MS
    if definition.kind is MeterKind.DELTA:
        return np.flatnonzero((times >= hour.hour_ms) & (times < hour_end))
    follows = samples.series_ids[1:] == samples.series_ids[:-1]
    starts = np.maximum(times[:-1], times[1:] - hour.window_ms)
    return np.flatnonzero(follows & (times[1:] > hour.hour_ms) & (starts < hour_end)) + 1


class _Neighbourhoods:
    """Some samples, each with up to two before it, as series of their own, numbered from 0."""

    def __init__(self, samples: SampleColumns, chosen: NDArray[np.intp]) -> None:
        self._samples = samples
        places = chosen[:, None] - np.arange(LOOKED_BACK, -1, -1)
        is_there = (places >= 0) & (
            samples.series_ids[np.maximum(places, 0)] == samples.series_ids[chosen][:, None]
        )
        is_before = is_there.copy()
        is_before[:, -1] = False
        self._with = self._columns(places, is_there)
        self._without = self._columns(places, is_before)

    def _columns(self, places: NDArray[np.intp], chosen: NDArray[np.bool_]) -> SampleColumns:
        numbers = np.broadcast_to(np.arange(len(places))[:, None], places.shape)[chosen]
        columns = self._samples.where(places[chosen])
        return replace(columns, series_ids=numbers.astype(np.int64))

    def brought(self, rate: Callable[[SampleColumns], UsageColumns]) -> UsageColumns:
        """Give what each sample brings, under its number instead of a series."""
        return difference(rate(self._with), rate(self._without))


def _rows(usage: UsageColumns, hour_ms: int | None = None) -> list[tuple[int, int, int, int]]:
    if hour_ms is not None:
        usage = usage.where(usage.hours_ms == hour_ms)
    return list(
        zip(
            usage.series_ids.tolist(),
            usage.flavor_ids.tolist(),
            usage.kinds.tolist(),
            usage.quantities.tolist(),
            strict=True,
        )
    )


class _Points:
    """Samples as they are told, one by one."""

    def __init__(
        self,
        samples: SampleColumns,
        label_set_ids: NDArray[np.int64],
        definition: MeterDefinition,
    ) -> None:
        self._definition = definition
        self._series = samples.series_ids.tolist()
        self._times = samples.times_ms.tolist()
        self._values = samples.values.tolist()
        self._fits = samples.fits.tolist()
        self._flavors = samples.flavor_ids.tolist()
        self._steps = steps_of(samples.values, definition).tolist()
        self._label_sets = label_set_ids.tolist()

    def pair(
        self, index: int, hour: TracedHour, brought: tuple[int, UsageKind, int] | None, grown: int
    ) -> Pair:
        """Give the pair that ends with a sample."""
        later = self._point(index)
        earlier = before = None
        start_ms = end_ms = spread_from_ms = later.time_ms
        if self._definition.kind is not MeterKind.DELTA:
            earlier, before = self._point(index - 1), self._before(index)
            spread_from_ms = max(earlier.time_ms, later.time_ms - hour.window_ms)
            start_ms = max(spread_from_ms, hour.hour_ms)
            end_ms = min(later.time_ms, hour.hour_ms + HOUR_MS)
        flavor_id, kind, quantity = brought or (self._deciding(self._flavors, index), None, 0)
        return Pair(
            before=before,
            earlier=earlier,
            later=later,
            start_ms=start_ms,
            end_ms=end_ms,
            spread_from_ms=spread_from_ms,
            grown=grown,
            flavor_id=flavor_id,
            label_set_id=self._deciding(self._label_sets, index),
            kind=kind,
            quantity=quantity,
            silence=None if brought else self._silence(index, grown),
        )

    def _point(self, index: int) -> Point:
        return Point(self._times[index], _text_of(self._values[index]), self._steps[index])

    def _before(self, index: int) -> Point | None:
        """Give the sample ahead of the earlier one, where the meter looks at it."""
        is_compared = (
            self._definition.kind is MeterKind.COUNTER
            and self._definition.on_reset is OnReset.ABSORB
        )
        if not is_compared or index < LOOKED_BACK:
            return None
        far = index - LOOKED_BACK
        return self._point(far) if self._series[far] == self._series[index] else None

    def _deciding(self, column: list[int], index: int) -> int:
        """Give what the sample says whose labels decide: the one that began a level."""
        return column[index - 1 if self._definition.kind is MeterKind.GAUGE else index]

    def _silence(self, index: int, grown: int) -> Silence:
        if self._definition.kind is MeterKind.DELTA:
            return Silence.ZERO
        if self._definition.kind is MeterKind.COUNTER:
            return Silence.TOO_LITTLE if grown else Silence.NO_GROWTH
        if self._fits[index - 1]:
            return Silence.NOTHING
        is_stale = self._values[index - 1] != self._values[index - 1]
        return Silence.STALE if is_stale else Silence.NO_MATCH


def _text_of(value: object) -> str:
    """Write a value as briefly as it can be read back exactly; a stale marker has a name."""
    text = repr(value)
    return "stale" if text == "nan" else text.removesuffix(".0")
