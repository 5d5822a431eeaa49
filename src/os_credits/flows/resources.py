"""Lists the servers, volumes ... that the samples of a project name, and tells of one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from os_credits.domain.flavor import FlavorSpec
from os_credits.domain.meter import MeterKind, MeterValue
from os_credits.domain.period import HOUR, floor_day
from os_credits.errors import NotFound
from os_credits.store import batches, flavors, meters, resources
from os_credits.store.flavor_specs import read_specs
from os_credits.store.resource_places import read_resource_places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any, Literal

    from os_credits.domain.amount import Credits
    from os_credits.domain.meter import MeterDefinition
    from os_credits.store.pool import Connection
    from os_credits.store.resource_places import ResourcePlace
    from os_credits.store.resources import (
        Cost,
        FlavorTime,
        LastSample,
        ResourceStep,
        StoredLabels,
        StoredResource,
    )

RECENT_DAYS = 30
# From so many on, what all of them cost is summed only if somebody sorts by it.
MANY = 100
# A sample may be stored this long after it was measured, at most: the longest window there is.
WINDOW_MAX = timedelta(days=3660)
# How many forms of labels are told of one resource, the latest.
LABEL_SETS_MAX = 20


class ResourceState(StrEnum):
    """What became of a resource, as its last sample and the age of that tell."""

    RUNNING = "running"
    """Its last sample is recent, and counts."""
    STOPPED = "stopped"
    """Its last sample is recent and says that there is nothing to count."""
    GONE = "gone"
    """No sample came for longer than its meter lets count."""


class ResourceSort(StrEnum):
    """By what resources are sorted."""

    NAME = "name"
    """Their names, whatever the case of letters."""
    RECENT = "recent"
    """What they cost in the last days."""
    CREDITS = "credits"
    """What they cost to date."""
    FIRST = "first"
    """When they were seen first."""
    LAST = "last"
    """When they were seen last."""


_BY_COST = (ResourceSort.RECENT, ResourceSort.CREDITS)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which resources to list; `after` is the number of the one before them.

    `sort` None: by what they cost lately, or where there are many, by when they were seen last.
    """

    is_running: bool = False
    meter_id: int | None = None
    sort: ResourceSort | None = None
    descending: bool = True
    after: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Place:
    """Where a resource runs, or ran last: '' where nobody says."""

    provider: str = ""
    region: str = ""
    host: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """A metered thing of a project; `last_seen` is its last sample, or its last hour of usage."""

    series_id: int
    meter: MeterDefinition
    name: str
    identity: Mapping[str, str]
    state: ResourceState
    flavor: str
    spec: FlavorSpec
    place: Place
    first_seen: datetime
    last_seen: datetime
    credits: Credits
    recent: Credits


@dataclass(frozen=True, slots=True)
class ResourceList:
    """A part of a project's resources; `total` is what all of them (or of the meter) cost.

    `counts` are of all states, whatever is shown. `next` is the value of `after` for what follows.
    """

    rows: tuple[Resource, ...]
    shown_count: int
    counts: Mapping[ResourceState, int]
    total: Cost
    sort: ResourceSort
    meters: tuple[MeterDefinition, ...]
    first_rank: int
    next: int | None
    as_of: datetime


@dataclass(frozen=True, slots=True)
class ResourceDetail:
    """A resource over a time: what it used per step, its flavors and its labels.

    `flavors` names them; `times` tell which it had when, of all time.
    """

    resource: Resource
    steps: tuple[ResourceStep, ...]
    times: tuple[FlavorTime, ...]
    labels: tuple[StoredLabels, ...]
    flavors: Mapping[int, str]
    as_of: datetime


async def read_resources(conn: Connection, project_id: int, asked: Asked) -> ResourceList:
    """Read a part of a project's resources; the connection must be a `store.pool.snapshot`."""
    now = await batches.read_now(conn)
    definitions = await _definitions(conn)
    found = await _stored(conn, project_id, None, definitions, now)
    states = {one.series_id: _state(one, definitions[one.meter_id], now) for one in found}
    own_meters = {one.meter_id: definitions[one.meter_id] for one in found}
    shown = [
        one
        for one in found
        if (asked.meter_id is None or one.meter_id == asked.meter_id)
        and (not asked.is_running or states[one.series_id] is ResourceState.RUNNING)
    ]
    sort = asked.sort or (ResourceSort.LAST if len(shown) > MANY else ResourceSort.RECENT)
    costs: Mapping[int, Cost] = {}
    if sort in _BY_COST:
        costs = await _costs(conn, project_id, shown, now)
    shown.sort(key=lambda one: _key(one, sort, costs), reverse=asked.descending)
    place = next((at for at, one in enumerate(shown) if one.series_id == asked.after), -1) + 1
    page = shown[place : place + asked.limit]
    if sort not in _BY_COST:
        costs = await _costs(conn, project_id, page, now)
    return ResourceList(
        rows=tuple(await _rows(conn, page, states, costs, definitions)),
        shown_count=len(shown),
        counts={
            state: sum(1 for one in states.values() if one is state) for state in ResourceState
        },
        total=await resources.sum_all_costs(
            conn, project_id, asked.meter_id, recent_since=recent_since(now)
        ),
        sort=sort,
        meters=tuple(own_meters[key] for key in sorted(own_meters)),
        first_rank=place + 1 if page else 0,
        next=page[-1].series_id if place + len(page) < len(shown) else None,
        as_of=now,
    )


async def read_resource(
    conn: Connection,
    project_id: int,
    series_id: int,
    *,
    start: datetime,
    end: datetime,
    by: Literal["hour", "day"],
) -> ResourceDetail:
    """Read one resource and its steps from `start` up to `end` (excluded), oldest first.

    Raises NotFound for a number that is none of this project's. The connection must be a
    `store.pool.snapshot`.
    """
    now = await batches.read_now(conn)
    definitions = await _definitions(conn)
    found = await _stored(conn, project_id, series_id, definitions, now)
    if not found:
        raise NotFound(f"there is no resource {series_id} in this project")
    states = {one.series_id: _state(one, definitions[one.meter_id], now) for one in found}
    costs = await _costs(conn, project_id, found, now)
    [resource] = await _rows(conn, found, states, costs, definitions)
    return ResourceDetail(
        resource=resource,
        steps=tuple(
            await resources.sum_steps_of_resource(
                conn, project_id, series_id, start=start, end=end, by=by
            )
        ),
        times=tuple(await resources.list_flavor_times(conn, project_id, series_id)),
        labels=tuple(await resources.list_labels_of(conn, series_id, limit=LABEL_SETS_MAX)),
        flavors=await flavors.list_flavors(conn),
        as_of=now,
    )


async def find_meter(conn: Connection, name: str) -> int:
    """Find a meter by its name; raises NotFound."""
    for meter_id, definition in (await _definitions(conn)).items():
        if definition.name == name:
            return meter_id
    raise NotFound(f"there is no meter {name[:200]!r}")


async def _definitions(conn: Connection) -> dict[int, MeterDefinition]:
    versions = await meters.list_versions(conn)
    return {version.meter_id: version.definition for version in versions}


async def _stored(
    conn: Connection,
    project_id: int,
    series_id: int | None,
    definitions: Mapping[int, MeterDefinition],
    now: datetime,
) -> list[StoredResource]:
    longest = max((one.max_gap_seconds for one in definitions.values()), default=0)
    return await resources.list_resources(
        conn,
        project_id,
        series_id=series_id,
        sampled_since=now - timedelta(seconds=longest),
    )


def recent_since(now: datetime) -> datetime:
    """Give the day with which the last days begin, today among them."""
    return floor_day(now) - timedelta(days=RECENT_DAYS - 1)


def _state(one: StoredResource, definition: MeterDefinition, now: datetime) -> ResourceState:
    """Tell by the last sample, and by how long its meter lets it count, what became of it."""
    longest = timedelta(seconds=definition.max_gap_seconds)
    is_recent = one.sampled_at is not None and one.sampled_at >= now - longest
    if not is_recent or one.level is None or math.isnan(one.level):
        return ResourceState.GONE
    is_level = definition.kind is MeterKind.GAUGE and definition.value is MeterValue.VALUE
    if not one.fits or (is_level and one.level <= 0):
        return ResourceState.STOPPED
    return ResourceState.RUNNING


def _first_seen(one: StoredResource) -> datetime:
    return one.first_hour or one.sampled_at or one.stored_at


def _last_seen(one: StoredResource) -> datetime:
    return one.sampled_at or one.last_hour or one.stored_at


def _key(one: StoredResource, sort: ResourceSort, costs: Mapping[int, Cost]) -> tuple[Any, ...]:
    match sort:
        case ResourceSort.NAME:
            return one.resource.lower(), one.series_id
        case ResourceSort.RECENT:
            return costs[one.series_id].recent, costs[one.series_id].credits, one.series_id
        case ResourceSort.CREDITS:
            return costs[one.series_id].credits, one.series_id
        case ResourceSort.FIRST:
            return _first_seen(one), one.series_id
        case ResourceSort.LAST:
            return _last_seen(one), one.series_id


async def _costs(
    conn: Connection, project_id: int, of: Sequence[StoredResource], now: datetime
) -> dict[int, Cost]:
    ids = [one.series_id for one in of]
    return await resources.sum_costs(conn, project_id, ids, recent_since=recent_since(now))


async def _rows(
    conn: Connection,
    page: Sequence[StoredResource],
    states: Mapping[int, ResourceState],
    costs: Mapping[int, Cost],
    definitions: Mapping[int, MeterDefinition],
) -> list[Resource]:
    """Add what only those that are shown need: flavors, places, and when they were seen last."""
    if not page:
        return []
    seen = await resources.list_last_samples(
        conn, {one.series_id: one.last_hour or one.stored_at - WINDOW_MAX for one in page}
    )
    unseen = {
        one.series_id: one.last_hour
        for one in page
        if one.last_hour is not None and one.series_id not in seen
    }
    flavor_of = {one.series_id: one.flavor_id for one in seen.values()}
    if unseen:
        flavor_of |= await resources.list_last_flavors(conn, unseen)
    names = await flavors.list_flavors(conn)
    places = await read_resource_places(conn, [one.series_id for one in page])
    specs = await read_specs(conn)
    return [
        Resource(
            series_id=one.series_id,
            meter=definitions[one.meter_id],
            name=one.resource,
            identity=one.identity,
            state=states[one.series_id],
            flavor=names.get(flavor_of.get(one.series_id, 0), ""),
            spec=specs.get(flavor_of.get(one.series_id, 0), FlavorSpec()),
            place=_place(places.get(one.series_id)),
            first_seen=_first_seen(one),
            last_seen=_latest(one, seen.get(one.series_id)),
            credits=costs[one.series_id].credits,
            recent=costs[one.series_id].recent,
        )
        for one in page
    ]


def _latest(one: StoredResource, last: LastSample | None) -> datetime:
    if last is not None:
        return last.measured_at
    return one.stored_at if one.last_hour is None else one.last_hour + HOUR


def _place(stored: ResourcePlace | None) -> Place:
    if stored is None:
        return Place()
    return Place(stored.provider, stored.region, stored.host, stored.state)
