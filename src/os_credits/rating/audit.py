"""Rates and prices anew what is stored, and says where it is something else; pure functions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from os_credits.domain.amount import from_micro, to_micro
from os_credits.domain.difference import Findings, Layer
from os_credits.domain.usage import UsageColumns, UsageKind
from os_credits.rating.charge import credits_of_usage
from os_credits.rating.usage import SampleColumns, difference, joined, usage_by_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from os_credits.domain.amount import Credits
    from os_credits.domain.charge import StoredCharge
    from os_credits.domain.pricing import Pricing

# A stored row: series, hour (ms since the epoch), flavor, kind, quantity, credits.
StoredUsage = tuple[int, int, int, int, int, "Credits | None"]
# Project, hour (ms since the epoch), meter, flavor.
ChargeKey = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Whose:
    """Project and meter of each series that is looked at."""

    project_of: dict[int, int]
    meter_of: dict[int, int]

    def where(self, series_id: int) -> dict[str, int | str]:
        """Name a series and whose it is."""
        project_id, meter_id = self.project_of[series_id], self.meter_of[series_id]
        return {"project": project_id, "meter": meter_id, "series": series_id}

    def where_usage(
        self, series_id: int, hour_ms: int, flavor_id: int, kind: int
    ) -> dict[str, int | str]:
        """Name a row of usage."""
        place = self.where(series_id)
        place |= {"hour": hour_ms, "flavor": flavor_id, "kind": UsageKind(kind).name.lower()}
        return place


def check_quantities(
    samples: SampleColumns,
    rows: Sequence[StoredUsage],
    pricing: Pricing,
    whose: Whose,
    findings: Findings,
    *,
    window_ms: int,
    first_ms: int,
) -> None:
    """Hold the quantities of whole series against their samples, from an hour on.

    That hour is the first that has all its samples. A quantity of 0 equals an absent row.
    """
    stored = _columns(rows)
    parts = [UsageColumns.empty()]
    series_ids, inverse = np.unique(samples.series_ids, return_inverse=True)
    meter_ids = np.array([whose.meter_of[one] for one in series_ids.tolist()], np.int64)[inverse]
    for meter_id in np.unique(meter_ids).tolist():
        versions = pricing.meters.versions_of(meter_id)
        of_meter = samples.where(meter_ids == meter_id)
        parts.append(usage_by_versions(of_meter, versions, window_ms=window_ms))
    recomputed = joined(parts)
    changed = difference(
        recomputed.where(recomputed.hours_ms >= first_ms),
        stored.where(stored.hours_ms >= first_ms),
    )
    if not len(changed):
        return
    known = {row[:4]: row[4] for row in rows}
    for *key, more in zip(
        changed.series_ids.tolist(),
        changed.hours_ms.tolist(),
        changed.flavor_ids.tolist(),
        changed.kinds.tolist(),
        changed.quantities.tolist(),
        strict=True,
    ):
        series_id, hour_ms, flavor_id, kind = key
        quantity = known.get((series_id, hour_ms, flavor_id, kind), 0)
        where = whose.where_usage(series_id, hour_ms, flavor_id, kind)
        findings.note(Layer.USAGE, "quantity", where, quantity, quantity + int(more))


def _columns(rows: Sequence[StoredUsage]) -> UsageColumns:
    quantities = [row[4] for row in rows]
    try:
        exact: NDArray[np.int64] | NDArray[np.object_] = np.array(quantities, np.int64)
    except OverflowError:
        exact = np.array(quantities, object)
    return UsageColumns(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[3] for row in rows], np.int64),
        exact,
    )


def check_credits(
    rows: Iterable[StoredUsage],
    pricing: Pricing,
    names: Mapping[int, tuple[str, ...]],
    whose: Whose,
    findings: Findings,
) -> dict[ChargeKey, int]:
    """Price each row anew; gives what the stored ones cost, in millionths, by charge.

    `names` are those by which the whitelist knows a project.
    """
    sums: dict[ChargeKey, int] = defaultdict(int)
    for series_id, hour_ms, flavor_id, kind, quantity, credits in rows:
        project_id, meter_id = whose.project_of[series_id], whose.meter_of[series_id]
        expected = credits_of_usage(
            pricing,
            project_id=project_id,
            meter_id=meter_id,
            series_id=series_id,
            flavor_id=flavor_id,
            hour_ms=hour_ms,
            kind=kind,
            quantity=quantity,
            project_names=names.get(project_id, ()),
        )
        if expected != credits:
            where = whose.where_usage(series_id, hour_ms, flavor_id, kind)
            findings.note(Layer.CREDITS, "credits", where, credits, expected)
        if credits is not None:
            sums[project_id, hour_ms, meter_id, flavor_id] += to_micro(credits)
    return sums


def check_charges(
    charges: Mapping[int, Iterable[StoredCharge]],
    sums: Mapping[ChargeKey, int],
    findings: Findings,
    *,
    first_ms: int,
) -> None:
    """Hold charges, by project, against what their usage costs, from an hour on."""
    left = dict(sums)
    for project_id, of_project in charges.items():
        for charge in of_project:
            key = project_id, charge.hour_ms, charge.meter_id, charge.flavor_id
            micro = left.pop(key, 0)
            if charge.hour_ms >= first_ms and to_micro(charge.charged) != micro:
                recomputed = from_micro(micro)
                findings.note(Layer.CHARGES, "charged", _where(key), charge.charged, recomputed)
    for key, micro in left.items():
        if micro:
            findings.note(Layer.CHARGES, "charged", _where(key), "no charge", from_micro(micro))


def _where(key: ChargeKey) -> dict[str, int | str]:
    project_id, hour_ms, meter_id, flavor_id = key
    return {"project": project_id, "hour": hour_ms, "meter": meter_id, "flavor": flavor_id}
