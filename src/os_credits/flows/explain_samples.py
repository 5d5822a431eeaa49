"""Finds the raw samples behind rows of usage, and tells what each pair of them brings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.explanation import Contribution, LabelSet, Pair, Reach, Trace
from os_credits.domain.period import HOUR, from_ms, to_ms
from os_credits.flows.facts import Facts
from os_credits.rating.formula import contribution_of, total_of
from os_credits.rating.trace import TracedHour, folded, trace
from os_credits.rating.usage import SampleColumns
from os_credits.store import explanations, samples

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from os_credits.domain.explanation import LinePlace
    from os_credits.domain.meter import MeterDefinition
    from os_credits.domain.pricing import Pricing
    from os_credits.store.explanations import HourScope
    from os_credits.store.pool import Connection
    from os_credits.store.samples import StoredSamples

# One explanation reads at most so many samples of its hour, whole series of them ...
SAMPLES_READ_MAX = 50_000
# ... and writes at most so many calculations, shared out among its lines.
PAIRS_TOLD_MAX = 20_000


@dataclass(frozen=True, slots=True)
class View:
    """How much of an explanation is shown.

    At most `lines_max` lines of usage, those behind the place `after`; of each at most
    `pairs_max` calculations, one for each pair of samples if `each` is true, else one for
    neighbouring pairs that a single calculation covers.
    """

    lines_max: int
    pairs_max: int
    each: bool = False
    after: LinePlace = (0, 0, 0, -1)


@dataclass(frozen=True, slots=True)
class Ground:
    """What lines are judged by: prices, the names that a whitelist knows, and the window (ms)."""

    pricing: Pricing
    project_names: tuple[str, ...]
    window_ms: int
    reach: Reach


async def read_traces(
    conn: Connection, scope: HourScope, places: Sequence[LinePlace], ground: Ground, view: View
) -> dict[LinePlace, Trace | None]:
    """Trace lines of usage; None for those whose samples would be too many."""
    counts = await samples.count_samples(
        conn, sorted({place[2] for place in places}), scope.hour, scope.hour + HOUR
    )
    series_ids = _affordable({place[2]: counts.get(place[2], 0) for place in places})
    pairs = await _read_pairs(conn, scope, sorted(series_ids), ground)
    excluded = await _count_excluded(conn, scope, sorted(series_ids), pairs)
    meters = {place: ground.pricing.meters.latest(place[0]) for place in places}
    pairs_max = min(view.pairs_max, PAIRS_TOLD_MAX // len(places))

    def tell() -> dict[LinePlace, _Told]:
        return {
            place: _tell(pairs.get(place[2], ()), place, meters[place], pairs_max, each=view.each)
            for place in places
            if place[2] in series_ids
        }

    # Beside the event loop, since there may be very many.
    told = await asyncio.to_thread(tell)
    label_set_ids = {id_ for one in told.values() for id_ in one.label_set_ids}
    labels = await explanations.read_labels(conn, sorted(label_set_ids))
    return {
        place: told[place].trace(
            labels, meters[place], counts.get(place[2], 0), excluded.get(place[2], 0)
        )
        if place in told
        else None
        for place in places
    }


def _affordable(counts: Mapping[int, int]) -> set[int]:
    """Choose series, in their order, as long as they do not have too many samples together."""
    chosen, total = set(), 0
    for series_id, count in counts.items():
        if total + count <= SAMPLES_READ_MAX:
            chosen.add(series_id)
            total += count
    return chosen


@dataclass(frozen=True, slots=True)
class _Told:
    """The calculations of one line, the count of pairs they leave out, and what all add up to."""

    contributions: tuple[Contribution, ...]
    hidden_count: int
    quantity: int

    @property
    def label_set_ids(self) -> list[int]:
        return list(dict.fromkeys(one.pair.label_set_id for one in self.contributions))

    def trace(
        self,
        labels: Mapping[int, LabelSet],
        definition: MeterDefinition,
        sample_count: int,
        excluded_count: int,
    ) -> Trace:
        return Trace(
            contributions=self.contributions,
            hidden_count=self.hidden_count,
            sample_count=sample_count,
            excluded_count=excluded_count,
            quantity=self.quantity,
            label_sets=tuple(labels[one] for one in self.label_set_ids),
            total=total_of(self.quantity, definition),
        )


def _tell(
    pairs: Iterable[Pair],
    place: LinePlace,
    definition: MeterDefinition,
    pairs_max: int,
    *,
    each: bool,
) -> _Told:
    """Tell the pairs that bring something to a line, and those that bring nothing to any."""
    _, flavor_id, _, kind = place
    own = [
        one for one in pairs if one.kind is None or (one.flavor_id, one.kind) == (flavor_id, kind)
    ]
    shown = own if each else folded(own, definition)
    return _Told(
        contributions=tuple(contribution_of(one, definition) for one in shown[:pairs_max]),
        hidden_count=sum(one.pair_count for one in shown[pairs_max:]),
        quantity=sum(one.quantity for one in own),
    )


async def _read_pairs(
    conn: Connection, scope: HourScope, series_ids: list[int], ground: Ground
) -> dict[int, list[Pair]]:
    if not series_ids:
        return {}
    read = await samples.read_period(conn, series_ids, scope.hour, scope.hour + HOUR)
    facts = Facts()
    await facts.learn(conn, read.label_set_ids)
    return await asyncio.to_thread(_pairs, read, facts, to_ms(scope.hour), ground)


def _pairs(
    read: StoredSamples, facts: Facts, hour_ms: int, ground: Ground
) -> dict[int, list[Pair]]:
    """Trace all series, meter by meter."""
    fits, flavor_ids, _ = facts.columns(read.label_set_ids)
    columns = SampleColumns(
        read.series_ids,
        read.times_ms,
        read.values,
        fits & ~np.isnan(read.values),  # as rating: the only NaN that is stored is stale
        flavor_ids,
    )
    meter_ids = facts.meter_ids(read.series_ids)
    pairs: dict[int, list[Pair]] = {}
    for meter_id in np.unique(meter_ids).tolist():
        is_own = meter_ids == meter_id
        hour = TracedHour(hour_ms, ground.pricing.meters.versions_of(meter_id), ground.window_ms)
        pairs |= trace(columns.where(is_own), read.label_set_ids[is_own], hour)
    return pairs


async def _count_excluded(
    conn: Connection, scope: HourScope, series_ids: list[int], pairs: Mapping[int, list[Pair]]
) -> dict[int, int]:
    """Count what was taken out where it could have mattered: between the first and last sample."""
    spans = {one: [scope.hour, scope.hour + HOUR] for one in series_ids}
    for series_id, own in pairs.items():
        first, last = own[0].earlier or own[0].later, own[-1].later
        spans[series_id] = [
            min(scope.hour, from_ms(first.time_ms)),
            max(scope.hour + HOUR, from_ms(last.time_ms)),
        ]
    return await explanations.count_excluded(
        conn,
        list(spans),
        [first for first, _ in spans.values()],
        [last for _, last in spans.values()],
    )
