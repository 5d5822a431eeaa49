"""Reads whole series, some at a time, and has their usage and its credits recomputed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.difference import Findings, Layer
from os_credits.domain.period import EPOCH, HOUR_MS, to_ms
from os_credits.rating.audit import Whose, check_credits, check_quantities
from os_credits.rating.usage import SampleColumns
from os_credits.store import label_sets, projects, verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from os_credits.domain.exclusion import Exclusions
    from os_credits.domain.pricing import Pricing
    from os_credits.rating.audit import ChargeKey
    from os_credits.store.pool import Connection
    from os_credits.store.retention import Retention
    from os_credits.store.samples import StoredSamples
    from os_credits.store.verification import SizedSeries

# How many rows of samples and usage are held at once; one series is never cut.
ROWS_MAX = 300_000
# What a series costs to look for, in rows.
ROWS_PER_SERIES = 10


@dataclass(frozen=True, slots=True)
class Inputs:
    """What credits are made of besides samples, as of the snapshot."""

    pricing: Pricing
    exclusions: Exclusions
    retention: Retention
    window_ms: int


async def check_usage(
    conn: Connection, inputs: Inputs, series: Iterable[SizedSeries], findings: Findings
) -> dict[ChargeKey, int]:
    """Check these series; gives what their stored usage costs, in millionths, by charge."""
    first_ms = -(-to_ms(inputs.retention.samples_dropped_until) // HOUR_MS) * HOUR_MS
    sums: dict[ChargeKey, int] = {}
    for part in _slices(series):
        whose = Whose(
            {one.id: one.project_id for one in part}, {one.id: one.meter_id for one in part}
        )
        series_ids = [one.id for one in part]
        samples = await _read_samples(conn, inputs, series_ids, whose, findings)
        rows = await verification.read_usage_rows(
            conn, series_ids, inputs.retention.usage_dropped_until
        )
        findings.checked_counts["usage"] += len(rows)
        check_quantities(
            samples,
            rows,
            inputs.pricing,
            whose,
            findings,
            window_ms=inputs.window_ms,
            first_ms=first_ms,
        )
        names: dict[int, tuple[str, str]] = {}
        if inputs.pricing.whitelist.limits_anyone:
            names = await projects.names_of(conn, sorted({one.project_id for one in part}))
        for key, micro in check_credits(rows, inputs.pricing, names, whose, findings).items():
            sums[key] = sums.get(key, 0) + micro
    return sums


def _slices(series: Iterable[SizedSeries]) -> Iterator[list[SizedSeries]]:
    part: list[SizedSeries] = []
    row_count = 0
    for one in series:
        if part and row_count + one.row_count > ROWS_MAX:
            yield part
            part, row_count = [], 0
        part.append(one)
        row_count += one.row_count + ROWS_PER_SERIES
    if part:
        yield part


async def _read_samples(
    conn: Connection,
    inputs: Inputs,
    series_ids: Sequence[int],
    whose: Whose,
    findings: Findings,
) -> SampleColumns:
    """Read samples as rating takes them, floors among them; says which should not be there."""
    read = await verification.read_samples(conn, series_ids)
    rows = read.samples
    findings.checked_counts["samples"] += len(rows)
    findings.checked_counts["blocks"] += read.block_count
    for fault in read.faults:
        block = {**whose.where(fault.series_id), "time": fault.first_ms}
        findings.note(Layer.BLOCKS, "block of samples", block, fault.stored, fault.expected)
    covered = inputs.exclusions.cover(
        rows.series_ids, rows.times_ms, _each(whose.project_of), _each(whose.meter_of)
    )
    for place in np.flatnonzero(covered).tolist():
        where = _where(rows, place, whose)
        findings.note(Layer.SAMPLES, "excluded sample", where, "rated", "excluded")
    if inputs.retention.samples_dropped_until > EPOCH:
        rows = rows.join(await verification.read_floor(conn, series_ids))
    rows = rows.where(_in_order(rows))
    unique, inverse = np.unique(rows.label_set_ids, return_inverse=True)
    known = {one.id: one for one in await label_sets.read_label_sets(conn, unique.tolist())}
    facts = [known.get(one) for one in unique.tolist()]
    series = np.array([one.series_id if one else 0 for one in facts], np.int64)[inverse]
    for place in np.flatnonzero(series != rows.series_ids).tolist():
        label_set_id = int(rows.label_set_ids[place])
        where = _where(rows, place, whose)
        findings.note(Layer.SAMPLES, "label set", where, label_set_id, "one of its series")
    fits = np.array([one is not None and one.fits for one in facts], np.bool_)[inverse]
    flavors = np.array([one.flavor_id if one else 0 for one in facts], np.int64)[inverse]
    # The only NaN that is stored is the stale marker.
    fits &= ~np.isnan(rows.values)
    return SampleColumns(rows.series_ids, rows.times_ms, rows.values, fits, flavors)


def _each(found: Mapping[int, int]) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    return lambda ids: np.array([found[one] for one in ids.tolist()], np.int64)


def _in_order(rows: StoredSamples) -> NDArray[np.intp]:
    """Sort by series and time, once each: a floor may be stored as a sample too."""
    order = np.lexsort((rows.times_ms, rows.series_ids))
    series_ids, times_ms = rows.series_ids[order], rows.times_ms[order]
    is_other = (series_ids[1:] != series_ids[:-1]) | (times_ms[1:] != times_ms[:-1])
    return np.asarray(order[np.r_[True, is_other][: len(order)]])


def _where(rows: StoredSamples, place: int, whose: Whose) -> dict[str, int | str]:
    return {**whose.where(int(rows.series_ids[place])), "time": int(rows.times_ms[place])}
