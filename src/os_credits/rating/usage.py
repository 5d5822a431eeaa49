"""How neighbouring samples become usage per hour: rules 2, 3 and 4 of `docs/rating-rules.md`.

Everything here works on columns sorted by series and time, no time twice in a series, and is
a pure function of them. Arithmetic is in whole steps: int64 where it cannot overflow, Python
integers (dtype object) where it could.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from os_credits.domain.meter import (
    STEPS_MAX,
    MeterDefinition,
    MeterKind,
    MeterValue,
    OnReset,
)
from os_credits.domain.period import HOUR_MS, to_ms
from os_credits.domain.usage import UsageColumns, UsageKind
from os_credits.rating.groups import INT64_MAX, grouped, sums_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from os_credits.domain.meter import MeterVersion


@dataclass(frozen=True, slots=True)
class SampleColumns:
    """Samples of series of one meter, sorted by series and time.

    `fits` is false for samples outside the meter's `match` and for stale markers: they end a
    level. `flavor_ids` is the flavor that each sample names.
    """

    series_ids: NDArray[np.int64]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    fits: NDArray[np.bool_]
    flavor_ids: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> SampleColumns:
        """Keep the chosen samples, in the order chosen."""
        return SampleColumns(
            self.series_ids[chosen],
            self.times_ms[chosen],
            self.values[chosen],
            self.fits[chosen],
            self.flavor_ids[chosen],
        )


@dataclass(frozen=True, slots=True)
class _Intervals:
    """Amounts to be spread over time: `totals` from `starts_ms` to `ends_ms`."""

    series_ids: NDArray[np.int64]
    flavor_ids: NDArray[np.int64]
    kinds: NDArray[np.int64]
    starts_ms: NDArray[np.int64]
    ends_ms: NDArray[np.int64]
    totals: NDArray[Any]


def usage_of(
    samples: SampleColumns, definition: MeterDefinition, *, window_ms: int
) -> UsageColumns:
    """Rate all neighbours under one definition; rows may repeat a key, sums are what counts.

    `window_ms` is the acceptance window: a pair further apart counts for that long before its
    later sample (rule 4).
    """
    if len(samples.times_ms) == 0:
        return UsageColumns.empty()
    if definition.kind is MeterKind.GAUGE:
        return _gauge(samples, definition, window_ms)
    fitting = samples.where(samples.fits)
    if definition.kind is MeterKind.COUNTER:
        return _counter(fitting, definition, window_ms)
    return _delta(fitting, definition)


def usage_by_versions(
    samples: SampleColumns, versions: Sequence[MeterVersion], *, window_ms: int
) -> UsageColumns:
    """Rate samples of one meter, each hour by the version that holds in it (rule 7)."""
    if len(versions) == 1:
        return usage_of(samples, versions[0].definition, window_ms=window_ms)
    eras = []
    for version in versions:
        usage = usage_of(samples, version.definition, window_ms=window_ms)
        inside = usage.hours_ms >= to_ms(version.valid_from)
        if version.valid_until is not None:
            inside &= usage.hours_ms < to_ms(version.valid_until)
        eras.append(usage.where(inside))
    return joined(eras)


def steps_of(values: NDArray[np.float64], definition: MeterDefinition) -> NDArray[np.int64]:
    """Turn values into whole steps, rounded half-even in IEEE double (rule 2).

    The one place where a float becomes a number that money is made of. Stale markers (NaN)
    become 0; they never fit, so they never count.
    """
    if definition.value is MeterValue.ONE:
        return np.full(len(values), definition.steps_per_unit, np.int64)
    finite = np.where(np.isnan(values), 0.0, values)
    return np.rint(finite * float(definition.steps_per_unit)).astype(np.int64)


def in_range(values: NDArray[np.float64], definition: MeterDefinition) -> NDArray[np.bool_]:
    """Tell which values can be counted: not negative, and whole steps below `STEPS_MAX`."""
    with np.errstate(invalid="ignore", over="ignore"):
        inside: NDArray[np.bool_] = (values >= 0) & (
            values * float(definition.steps_per_unit) < float(STEPS_MAX)
        )
    return inside


def _gauge(samples: SampleColumns, definition: MeterDefinition, window_ms: int) -> UsageColumns:
    """Bill level x time from each fitting sample to its next neighbour, split at the hours."""
    levels = steps_of(samples.values, definition)
    pairs = np.flatnonzero(
        (samples.series_ids[1:] == samples.series_ids[:-1]) & samples.fits[:-1] & (levels[:-1] > 0)
    )
    level = levels[pairs]
    ends = samples.times_ms[pairs + 1]
    gaps = ends - samples.times_ms[pairs]
    kinds = np.where(
        gaps <= definition.max_gap_seconds * 1000, UsageKind.BILLED, UsageKind.UNMETERED
    )
    if definition.max_rate is not None:
        # Compared as Python integers: no rounding, no overflow.
        fast = level.astype(object) > int(definition.max_rate * definition.steps_per_unit)
        kinds = np.where((kinds == UsageKind.BILLED) & fast.astype(bool), UsageKind.SUSPECT, kinds)
    starts = np.maximum(samples.times_ms[pairs], ends - window_ms)
    index, hours, from_ms, to_ms = _split_at_hours(starts, ends)
    if len(level) and int(level.max()) > INT64_MAX // HOUR_MS:
        level = level.astype(object)
    return UsageColumns(
        samples.series_ids[pairs][index],
        samples.flavor_ids[pairs][index],
        hours,
        kinds[index].astype(np.int64),
        level[index] * (to_ms - from_ms),
    )


def _counter(samples: SampleColumns, definition: MeterDefinition, window_ms: int) -> UsageColumns:
    """Find what a running total grew by, and spread it over the time in which it grew.

    Measured against the larger of the two values before, so that small dips, interleaved
    replicas and a single bad low value cost nothing.
    """
    steps = steps_of(samples.values, definition)
    later = np.flatnonzero(samples.series_ids[1:] == samples.series_ids[:-1]) + 1
    before = steps[later - 1]
    if definition.on_reset is OnReset.RESTART:
        grown = np.where(steps[later] >= before, steps[later] - before, steps[later])
    else:
        third = np.maximum(later - 2, 0)
        has_two = (later > 1) & (samples.series_ids[third] == samples.series_ids[later])
        before = np.where(has_two, np.maximum(before, steps[third]), before)
        grown = np.maximum(steps[later] - before, 0)
    ends = samples.times_ms[later]
    gaps = ends - samples.times_ms[later - 1]
    kinds = _suspects(grown, gaps, definition)
    counted = grown > 0
    intervals = _Intervals(
        samples.series_ids[later][counted],
        samples.flavor_ids[later][counted],
        kinds[counted],
        np.maximum(samples.times_ms[later - 1], ends - window_ms)[counted],
        ends[counted],
        grown[counted],
    )
    return _spread(intervals)


def _suspects(
    grown: NDArray[np.int64], gaps_ms: NDArray[np.int64], definition: MeterDefinition
) -> NDArray[np.int64]:
    """Mark growth above `max_rate` units per hour; compared as integers, without division."""
    kinds = np.full(len(grown), int(UsageKind.BILLED), np.int64)
    if definition.max_rate is not None:
        numerator, denominator = (
            definition.max_rate * definition.steps_per_unit
        ).as_integer_ratio()
        fast = grown.astype(object) * (HOUR_MS * denominator) > gaps_ms.astype(object) * numerator
        kinds[fast.astype(bool)] = UsageKind.SUSPECT
    return kinds


def _delta(samples: SampleColumns, definition: MeterDefinition) -> UsageColumns:
    """Each value is usage of its own, in the hour of its sample."""
    steps = steps_of(samples.values, definition)
    # An amount has no interval of its own: it is held against what one hour may bring.
    kinds = _suspects(steps, np.full(len(steps), HOUR_MS, np.int64), definition)
    counted = steps > 0
    return UsageColumns(
        samples.series_ids[counted],
        samples.flavor_ids[counted],
        (samples.times_ms // HOUR_MS * HOUR_MS)[counted],
        kinds[counted],
        steps[counted],
    )


def _split_at_hours(
    starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut periods [start, end) at full hours: index of period, hour, start and end of a part."""
    first = starts // HOUR_MS
    counts = (ends - 1) // HOUR_MS - first + 1
    if (counts == 1).all():  # as nearly always
        return np.arange(len(starts)), first * HOUR_MS, starts, ends
    index = np.repeat(np.arange(len(starts)), counts)
    within = np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)
    hours = (first[index] + within) * HOUR_MS
    return index, hours, np.maximum(starts[index], hours), np.minimum(ends[index], hours + HOUR_MS)


def _spread(intervals: _Intervals) -> UsageColumns:
    """Spread totals in proportion to time by cumulative floor, so that parts add up exactly."""
    index, hours, from_ms, to_ms = _split_at_hours(intervals.starts_ms, intervals.ends_ms)
    totals = intervals.totals[index]
    whole = (from_ms == intervals.starts_ms[index]) & (to_ms == intervals.ends_ms[index])
    if not whole.all():
        # Only pairs that cross an hour need the division; total x time may exceed int64.
        part = ~whole
        total = totals[part].astype(object)
        start = intervals.starts_ms[index][part]
        length = (intervals.ends_ms[index][part] - start).astype(object)
        until_end = total * (to_ms[part] - start) // length
        until_start = total * (from_ms[part] - start) // length
        totals[part] = (until_end - until_start).astype(np.int64)
    return UsageColumns(
        intervals.series_ids[index],
        intervals.flavor_ids[index],
        hours,
        intervals.kinds[index],
        totals,
    )


def difference(after: UsageColumns, before: UsageColumns) -> UsageColumns:
    """Sum `after` less `before` by key; keys whose sum is zero are left out.

    This is how new samples change what is stored: both sides are rated over the same
    neighbourhood, with and without the new samples, and pairs that did not change cancel.
    """
    both = joined([after, replace(before, quantities=-before.quantities)])
    if len(both) == 0:
        return UsageColumns.empty()
    order, starts = grouped(both.series_ids, both.hours_ms, both.flavor_ids, both.kinds)
    sums = sums_of(both.quantities, order, starts)
    kept = np.flatnonzero(sums != 0)
    return replace(both.where(order[starts[kept]]), quantities=sums[kept])


def joined(parts: Sequence[UsageColumns]) -> UsageColumns:
    """Put usage one after the other; keys may repeat."""
    return UsageColumns(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("series_ids", "flavor_ids", "hours_ms", "kinds", "quantities")
        )
    )
