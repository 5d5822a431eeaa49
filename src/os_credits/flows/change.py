"""Brings usage and charges in step with a change of what they are made of.

Both sides, before and after, are rated over the same neighbourhood, and only their difference
is written (`rating/usage.py: difference`). Everything here runs under the lock of
`rating_state`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.usage import Owners
from os_credits.flows.open_usage import OpenUsage
from os_credits.flows.reprice import Change, apply_usage
from os_credits.rating.groups import distinct
from os_credits.rating.parts import parts_of
from os_credits.rating.usage import SampleColumns, difference, usage_by_versions
from os_credits.store import samples
from os_credits.store.slices import groups_of, slices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from os_credits.domain.pricing import Pricing
    from os_credits.flows.facts import Facts
    from os_credits.store.pool import Connection
    from os_credits.store.samples import StoredSamples

# How many rows of usage are worked out at once.
USAGE_ROWS_MAX = 250_000
# How many series are counted, and how many samples are held in memory, at once.
SERIES_AT_ONCE_MAX = 500
SAMPLES_AT_ONCE_MAX = 200_000


def in_columns(rows: StoredSamples, facts: Facts) -> SampleColumns:
    """Give stored rows, sorted by series and time, as the rating functions take them."""
    fits, flavor_ids, _ = facts.columns(rows.label_set_ids)
    # The only NaN that is stored is the stale marker.
    fits &= ~np.isnan(rows.values)
    return SampleColumns(rows.series_ids, rows.times_ms, rows.values, fits, flavor_ids)


async def sample_groups(
    conn: Connection, series_ids: Sequence[int], start: datetime, end: datetime
) -> AsyncIterator[dict[int, int]]:
    """Give the series that have samples from `start` up to before `end`, with their counts.

    As many at once as have about `SAMPLES_AT_ONCE_MAX` together.
    """
    for part in slices(len(series_ids), SERIES_AT_ONCE_MAX):
        counts = await samples.count_samples(conn, series_ids[part], start, end)
        for group in groups_of(counts, SAMPLES_AT_ONCE_MAX):
            yield {one: counts[one] for one in group}


async def apply_change(
    conn: Connection,
    facts: Facts,
    *,
    after: SampleColumns,
    before: SampleColumns,
    pricing: Pricing,
    pricing_before: Pricing | None = None,
    window_ms: int,
    known: OpenUsage | None = None,
) -> Change:
    """Store what changes when the samples `before` become those of `after`.

    Both are sorted by series and time, hold the same series, and of each what is next to a sample
    that changes.
    `pricing_before` holds the meters that `before` was rated with, if they are others; `known` is
    what is remembered of stored usage.
    """
    change = Change()
    series_ids = distinct(after.series_ids, before.series_ids)
    meters_of_sides = [facts.meter_ids(side.series_ids) for side in (after, before)]
    for meter_id in np.unique(facts.meter_ids(series_ids)).tolist():
        sides = [
            side.where(meters == meter_id)
            for side, meters in zip((after, before), meters_of_sides, strict=True)
        ]
        versions = [
            which.meters.versions_of(meter_id) for which in (pricing, pricing_before or pricing)
        ]
        for part in parts_of(*sides, window_ms=window_ms, rows_max=USAGE_ROWS_MAX):
            rated = (
                usage_by_versions(side, by, window_ms=window_ms)
                for side, by in zip(part, versions, strict=True)
            )
            new = difference(*rated)
            owners = Owners(facts.project_ids(new.series_ids), facts.meter_ids(new.series_ids))
            change.join(await apply_usage(conn, new, owners, pricing, known or OpenUsage()))
    return change
