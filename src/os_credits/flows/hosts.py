"""Reads what was used on compute nodes: all of them, by region or provider, and a single one."""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits, added
from os_credits.domain.meter import MeterDefinition, MeterValue
from os_credits.domain.period import DAY_MS, floor_day, from_ms, to_ms
from os_credits.errors import InvalidInput, NotFound
from os_credits.rating.host_pieces import pieces_of
from os_credits.store import (
    batches,
    flavors,
    host_reads,
    hosts,
    meters,
    projects,
    resource_places,
    summed_days,
)
from os_credits.store.host_reads import HostQuery

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.project import Project
    from os_credits.store.host_reads import (
        After,
        Fingerprint,
        HostDay,
        HostResource,
        HostSum,
        HostTotals,
    )
    from os_credits.store.hosts import Host
    from os_credits.store.pool import Connection
    from os_credits.store.resource_places import ResourcePlace

DAYS_DEFAULT = 30
DAYS_MAX = 732
HOST_DAYS_DEFAULT = 7
HOST_DAYS_MAX = 62
# A host with more series than this (the one that nobody names, mostly) shows none of them.
SERIES_MAX = 5000
# So many reports are kept: sums over hundreds of hosts change only when the job has summed again.
KEPT_MAX = 32


_kept: dict[tuple[Fingerprint, HostQuery], tuple[Sequence[HostSum], HostTotals | None]] = {}


class HostBy(StrEnum):
    """What a line stands for."""

    HOST = "host"
    """A compute node."""
    REGION = "region"
    """A region of a provider."""
    PROVIDER = "provider"
    """A provider."""


class HostSort(StrEnum):
    """By what lines are sorted: the largest first, or by name."""

    CREDITS = "credits"
    """Credits."""
    VCPUS = "vcpus"
    """vCPU-hours."""
    RAM = "ram"
    """GiB-hours of memory."""
    RESOURCES = "resources"
    """Resources, day by day."""
    NAME = "name"
    """Host, region, provider."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which days (UTC, from `start` up to before `end`), of which meter, summed by what."""

    start: datetime | None = None
    end: datetime | None = None
    by: HostBy = HostBy.HOST
    meter: str | None = None
    sort: HostSort = HostSort.CREDITS
    after: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class HostReport:
    """The lines asked for, the sum of all lines, and `after` of the next ones (None: no more).

    `meter` is the one asked for; `summed_at` is when the newest days were summed last.
    """

    start: datetime
    end: datetime
    lines: Sequence[HostSum]
    totals: HostTotals | None
    next: str | None
    meter: MeterDefinition | None
    summed_at: datetime | None
    meters: Sequence[str]

    @property
    def day_count(self) -> int:
        """Count the days asked for."""
        return (to_ms(self.end) - to_ms(self.start)) // DAY_MS

    def share(self, line: HostSum) -> Decimal | None:
        """Give the per cent of all credits that a line has; None where nothing costs anything."""
        if self.totals is None or not self.totals.credits:
            return None
        return line.credits * 100 / self.totals.credits


async def read_hosts(conn: Connection, asked: Asked) -> HostReport:
    """Sum what was used in some days; raises InvalidInput, NotFound for an unknown meter."""
    start, end = await _days(conn, asked.start, asked.end, DAYS_DEFAULT, DAYS_MAX)
    known = await _definitions(conn)
    meter_id = None
    if asked.meter is not None:
        meter_id = next((id_ for id_, one in known.items() if one.name == asked.meter), None)
        if meter_id is None:
            raise NotFound(f"there is no meter {asked.meter[:200]!r}")
    lines, totals = await _sum(
        conn,
        HostQuery(
            pieces=tuple(pieces_of(start, end)),
            by=str(asked.by),
            sort=str(asked.sort),
            meter_id=meter_id,
            steps_of=tuple(steps_of(known).items()),
            after=None if asked.after is None else _read_cursor(asked.after),
            limit=asked.limit + 1,
        ),
    )
    has_more = len(lines) > asked.limit
    lines = lines[: asked.limit]
    return HostReport(
        start,
        end,
        lines,
        totals,
        _cursor(lines[-1]) if has_more else None,
        None if meter_id is None else known[meter_id],
        await summed_days.read_summed_at(conn),
        sorted(one.name for one in known.values()),
    )


async def _sum(conn: Connection, query: HostQuery) -> tuple[Sequence[HostSum], HostTotals | None]:
    """Sum hosts, or give what was summed before, as long as no day was summed anew since."""
    key = await host_reads.read_fingerprint(conn), query
    if key not in _kept:
        while len(_kept) >= KEPT_MAX:
            _kept.pop(next(iter(_kept)))
        _kept[key] = await host_reads.sum_hosts(conn, query)
    return _kept[key]


async def _days(
    conn: Connection,
    start: datetime | None,
    end: datetime | None,
    days_default: int,
    days_max: int,
) -> tuple[datetime, datetime]:
    now = await batches.read_now(conn)
    for where, moment in (("start", start), ("end", end)):
        if moment is not None and floor_day(moment) != moment:
            raise InvalidInput("must be a day (UTC) like 2026-01-31", where=where)
    if end is None:
        end = from_ms(to_ms(floor_day(now)) + DAY_MS)
        if start is not None and start >= end:
            raise InvalidInput("lies ahead", where="start")
    if start is None:
        start = from_ms(to_ms(end) - days_default * DAY_MS)
    if start >= end:
        raise InvalidInput("must be after start", where="end")
    if (to_ms(end) - to_ms(start)) // DAY_MS > days_max:
        raise InvalidInput(f"at most {days_max} days at once", where="start")
    return start, end


async def _definitions(conn: Connection) -> dict[int, MeterDefinition]:
    return {one.meter_id: one.definition for one in await meters.list_versions(conn)}


def steps_of(known: dict[int, MeterDefinition]) -> dict[int, int]:
    """Say of the meters that count servers (by their presence) how many steps make an hour."""
    return {
        meter_id: one.quantity_per_unit
        for meter_id, one in known.items()
        if one.value is MeterValue.ONE
    }


def _cursor(line: HostSum) -> str:
    parts = [str(line.rank), line.host, line.region, line.provider]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def _read_cursor(text: str) -> After:
    problem = InvalidInput("is not what an earlier answer gave as next", where="after")
    try:
        rank, *names = json.loads(base64.urlsafe_b64decode(text.encode()))
        value = Decimal(rank)
    except (binascii.Error, ValueError, TypeError, InvalidOperation):
        raise problem from None
    if len(names) != 3 or not value.is_finite():  # noqa: PLR2004 - host, region, provider
        raise problem
    if not all(isinstance(one, str) and "\0" not in one for one in names):
        raise problem
    return value, names[0], names[1], names[2]


@dataclass(frozen=True, slots=True)
class HostProject:
    """What a project has used on a host."""

    project: Project
    credits: Credits
    resource_count: int


@dataclass(frozen=True, slots=True)
class HostLine:
    """A resource on a host, with names, and where it is now (None: unknown)."""

    used: HostResource
    project: Project
    meter: MeterDefinition
    flavor: str
    place: ResourcePlace | None


@dataclass(frozen=True, slots=True)
class HostDetail:
    """A host, day by day, with its projects and resources (None where they are too many)."""

    host: Host
    start: datetime
    end: datetime
    days: Sequence[HostDay]
    projects: Sequence[HostProject] | None
    resources: Sequence[HostLine] | None


async def read_host(
    conn: Connection, host_id: int, start: datetime | None, end: datetime | None
) -> HostDetail:
    """Read one host; raises NotFound for an unknown one, InvalidInput for other than days."""
    host = await hosts.find_host(conn, host_id) if host_id < 2**31 else None
    if host is None:
        raise NotFound(f"there is no compute node {host_id}")
    start, end = await _days(conn, start, end, HOST_DAYS_DEFAULT, HOST_DAYS_MAX)
    known = await _definitions(conn)
    days = await host_reads.list_days(conn, host_id, start, end, steps_of(known))
    count = await host_reads.count_series(conn, host_id, at_most=SERIES_MAX + 1)
    if host_id == 0 or count > SERIES_MAX:
        return HostDetail(host, start, end, days, None, None)
    today = min(max(floor_day(await batches.read_now(conn)), start), end)
    found = await host_reads.list_resources(conn, host_id, start, today, end)
    ids = sorted({one.project_id for one in found})
    named = {one.id: one for one in await projects.list_projects_by_id(conn, ids)}
    names = await flavors.list_flavors(conn)
    places = await resource_places.read_resource_places(conn, [one.series_id for one in found])
    lines = [
        HostLine(
            one,
            named[one.project_id],
            known[one.meter_id],
            names[one.flavor_id],
            places.get(one.series_id),
        )
        for one in found
    ]
    return HostDetail(host, start, end, days, _by_project(lines), lines)


def _by_project(lines: Sequence[HostLine]) -> list[HostProject]:
    by_project: dict[int, list[HostLine]] = defaultdict(list)
    for line in lines:
        by_project[line.project.id].append(line)
    summed = [
        HostProject(
            own[0].project,
            added(*(one.used.credits for one in own)),
            len({one.used.resource for one in own}),
        )
        for own in by_project.values()
    ]
    return sorted(summed, key=lambda one: (-one.credits, one.project.id))
