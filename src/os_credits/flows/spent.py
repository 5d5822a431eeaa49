"""Walks from all that a project used down to one hour; every level adds up to the one above."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from os_credits.domain.amount import Credits, added, from_micro
from os_credits.store import flavors, meters, resources, spending

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from os_credits.domain.meter import MeterDefinition
    from os_credits.store.pool import Connection
    from os_credits.store.resources import ResourceSpent
    from os_credits.store.spending import Spent, Uncharged

StepName = Literal["hour", "day", "month"]
DAY = timedelta(days=1)
# Up to so long a period is told by the hour, up to the other by the day, then by the month.
HOURLY_MAX = DAY
DAILY_MAX = 93 * DAY
NOTHING = from_micro(0)


@dataclass(frozen=True, slots=True)
class Item:
    """What a meter and flavor ('' for none) cost in the period."""

    meter_id: int
    meter: MeterDefinition
    flavor_id: int
    flavor: str
    credits: Credits


@dataclass(frozen=True, slots=True)
class SpentStep:
    """What one hour, UTC day or month cost, in all and by item."""

    start: datetime
    credits: Credits
    by_item: Mapping[tuple[int, int], Credits]


@dataclass(frozen=True, slots=True)
class PeriodSpent:
    """What a project used from `start` up to `end`, three times over: the sums are the same.

    `steps` are the hours, days or months (`by`) that cost anything; `items` and `resources` are
    sorted by what they cost, and `opened` is what an older service had charged, which no resource
    is known of. `uncharged` is what was metered and costs nothing (yet).
    """

    start: datetime
    end: datetime
    by: StepName
    credits: Credits
    steps: tuple[SpentStep, ...]
    items: tuple[Item, ...]
    resources: tuple[ResourceSpent, ...]
    opened: Credits
    uncharged: tuple[Uncharged, ...]
    meters: Mapping[int, MeterDefinition]
    flavors: Mapping[int, str]


def step_of(length: timedelta) -> StepName:
    """Say in what a period of this length is told."""
    if length <= HOURLY_MAX:
        return "hour"
    return "day" if length <= DAILY_MAX else "month"


async def read_spent(
    conn: Connection, project_id: int, *, start: datetime, end: datetime, by: StepName
) -> PeriodSpent:
    """Sum what a project used in a period of whole UTC days, by step, item and resource.

    The connection must be a `store.pool.snapshot`.
    """
    charges = await spending.sum_charges(conn, project_id, start=start, end=end, by=by)
    versions = await meters.list_versions(conn)
    definitions = {version.meter_id: version.definition for version in versions}
    names = await flavors.list_flavors(conn)
    sums: dict[tuple[int, int], list[Credits]] = defaultdict(list)
    for one in charges:
        sums[one.meter_id, one.flavor_id].append(one.credits)
    items = [
        Item(meter_id, definitions[meter_id], flavor_id, names[flavor_id], added(*amounts))
        for (meter_id, flavor_id), amounts in sums.items()
    ]
    items.sort(key=lambda one: (-one.credits, one.meter_id, one.flavor_id))
    return PeriodSpent(
        start=start,
        end=end,
        by=by,
        credits=added(*(one.credits for one in charges)),
        steps=tuple(_steps(charges)),
        items=tuple(one for one in items if one.credits),
        resources=tuple(await resources.sum_by_resource(conn, project_id, start=start, end=end)),
        opened=await spending.sum_opened(conn, project_id, start=start, end=end),
        uncharged=tuple(await spending.sum_uncharged(conn, project_id, start=start, end=end)),
        meters=definitions,
        flavors=names,
    )


def _steps(charges: Iterable[Spent]) -> list[SpentStep]:
    by_start: dict[datetime, dict[tuple[int, int], Credits]] = defaultdict(dict)
    for one in charges:
        by_start[one.start][one.meter_id, one.flavor_id] = one.credits
    return [
        SpentStep(start, added(*by_item.values()), by_item)
        for start, by_item in sorted(by_start.items())
    ]
