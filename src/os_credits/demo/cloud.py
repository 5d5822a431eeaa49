"""What the exporters of the simulated cloud would measure, as a pure function of time."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate, pairwise
from uuid import UUID

from os_credits.demo.cast import (
    CREDITS_PER_GIB_HOUR,
    CREDITS_PER_VCPU_HOUR,
    CREDITS_PER_VOLUME_GIB_HOUR,
    PROJECTS,
    Door,
    Flavor,
    Measure,
    Project,
    Server,
    Volume,
)
from os_credits.demo.rhythm import ANCHOR_MS, DAY_MS, day_of, runs_between, runs_of_day
from os_credits.domain.period import HOUR_MS
from os_credits.domain.sample import Labels

# One series: its labels, then time in ms and value of each sample, oldest first.
Series = tuple[Labels, list[tuple[int, float]]]
# The numbers by which openstack-exporter tells a status in the value.
_STATUS_NUMBERS = {"ACTIVE": 0.0, "SHUTOFF": 11.0}
_CURVE_DAYS = 30


def samples_between(start_ms: int, end_ms: int, step_ms: int) -> dict[Door, list[Series]]:
    """Measure everything at each multiple of `step_ms` from `start_ms` to before `end_ms`."""
    times = range(-(-start_ms // step_ms) * step_ms, end_ms, step_ms)
    measured: dict[Door, list[Series]] = {door: [] for door in Door}
    if not times:
        return measured
    for project in PROJECTS:
        if project.measure is Measure.COUNTERS:
            measured[project.door].extend(_counters(project, times))
        else:
            for server in project.servers:
                measured[project.door].extend(_statuses(project, server, times))
        for volume in project.volumes:
            measured[Door.LINES].append(_sizes(project, volume, times))
    return measured


def credits_between(project: Project, start_ms: int, end_ms: int, step_ms: int) -> Decimal:
    """Say what the project costs in this time at the shipped prices, measured in these steps.

    This is for sizing a budget; what is really charged is the service's to say.
    """
    total = Decimal(0)
    for server in project.servers:
        for run in runs_between(server, start_ms, end_ms):
            part = range(max(run.start_ms, start_ms), min(run.end_ms, end_ms))
            length_ms = len(part)
            if project.measure is Measure.INVENTORY:
                leaves = server.rhythm.leaves and run.end_ms <= end_ms
                length_ms = _seen_ms(part, step_ms, leaves=leaves)
            total += _credits_per_hour(project, run.flavor) * length_ms
    for volume in project.volumes:
        for part_start in range(start_ms, end_ms, DAY_MS):
            length_ms = min(part_start + DAY_MS, end_ms) - part_start
            total += _size_gib(volume, part_start) * CREDITS_PER_VOLUME_GIB_HOUR * length_ms
    return total / HOUR_MS


def _seen_ms(part: range, step_ms: int, *, leaves: bool) -> int:
    """Say for how long a server is seen running: from sample to sample.

    One that leaves has no sample after its last one, so its last interval is never known.
    """
    sample_count = -(-part.stop // step_ms) - -(-part.start // step_ms)
    return max(sample_count - leaves, 0) * step_ms


def _credits_per_hour(project: Project, flavor: Flavor) -> Decimal:
    if project.measure is Measure.INVENTORY:
        return flavor.credits_per_hour
    return flavor.vcpus * CREDITS_PER_VCPU_HOUR + flavor.memory_gib * CREDITS_PER_GIB_HOUR


def _counters(project: Project, times: Sequence[int]) -> Iterator[Series]:
    last_day = (day_of(times[-1]) // _CURVE_DAYS + 1) * _CURVE_DAYS
    curve = _curve(project, last_day)
    totals = [curve.totals_at(time_ms) for time_ms in times]
    for place, metric in enumerate(("project_vcpu_usage", "project_mb_usage")):
        labels = _sorted(
            __name__=metric,
            project_id=project.id,
            project_name=project.name,
            domain_name=project.domain,
            location_id=project.site,
        )
        hours = [round(total[place] / HOUR_MS, 6) for total in totals]
        yield labels, list(zip(times, hours, strict=True))


@dataclass(frozen=True, slots=True)
class _Curve:
    """What a project has used since the anchor, by the moments at which its level changed.

    `vcpus` and `memory_gib` are the levels from each moment on, the totals are in vCPU x ms
    and GiB x ms at that moment.
    """

    times_ms: list[int]
    vcpus: list[int]
    memory_gib: list[int]
    vcpu_totals: list[int]
    memory_totals: list[int]

    def totals_at(self, time_ms: int) -> tuple[int, int]:
        place = bisect_right(self.times_ms, time_ms) - 1
        if place < 0:
            return 0, 0
        passed_ms = time_ms - self.times_ms[place]
        return (
            self.vcpu_totals[place] + self.vcpus[place] * passed_ms,
            self.memory_totals[place] + self.memory_gib[place] * passed_ms,
        )


@lru_cache(maxsize=16)
def _curve(project: Project, last_day: int) -> _Curve:
    vcpu_changes: dict[int, int] = defaultdict(int, {ANCHOR_MS: 0})
    memory_changes: dict[int, int] = defaultdict(int, {ANCHOR_MS: 0})
    for server in project.servers:
        for day in range(last_day + 1):
            for run in runs_of_day(server, day):
                for moment, sign in ((run.start_ms, 1), (run.end_ms, -1)):
                    vcpu_changes[moment] += sign * run.flavor.vcpus
                    memory_changes[moment] += sign * run.flavor.memory_gib
    times = sorted(vcpu_changes)
    vcpus = list(accumulate(vcpu_changes[moment] for moment in times))
    memory = list(accumulate(memory_changes[moment] for moment in times))
    lengths = [after - before for before, after in pairwise(times)]
    return _Curve(times, vcpus, memory, _totals(vcpus, lengths), _totals(memory, lengths))


def _totals(levels: list[int], lengths_ms: list[int]) -> list[int]:
    parts = (level * length for level, length in zip(levels, lengths_ms, strict=False))
    return list(accumulate(parts, initial=0))


def _statuses(project: Project, server: Server, times: Sequence[int]) -> Iterator[Series]:
    """Give a series for each set of labels that a server has in this time."""
    by_labels: dict[Labels, list[tuple[int, float]]] = defaultdict(list)
    runs = list(runs_between(server, times[0], times[-1] + 1))
    place = 0
    for time_ms in times:
        while place < len(runs) and runs[place].end_ms <= time_ms:
            place += 1
        if place < len(runs) and runs[place].start_ms <= time_ms:
            run = runs[place]
            labels = _server_labels(project, server, run.flavor, "ACTIVE", run.day)
            by_labels[labels].append((time_ms, _STATUS_NUMBERS["ACTIVE"]))
        elif not server.rhythm.leaves:
            flavor = server.flavors[day_of(time_ms) // 7 % len(server.flavors)]
            labels = _server_labels(project, server, flavor, "SHUTOFF", 0)
            by_labels[labels].append((time_ms, _STATUS_NUMBERS["SHUTOFF"]))
    yield from by_labels.items()


@lru_cache(maxsize=4096)
def _server_labels(
    project: Project, server: Server, flavor: Flavor, status: str, day: int
) -> Labels:
    server_id = _uuid(server.name, str(day) if server.rhythm.leaves else "")
    return _sorted(
        __name__="openstack_nova_server_status",
        availability_zone="nova",
        flavor_id=flavor.label,
        id=server_id,
        location_id=project.site,
        name=server.name,
        project_name=project.name,
        status=status,
        tenant_id=project.id,
        uuid=server_id,
    )


def _sizes(project: Project, volume: Volume, times: Sequence[int]) -> Series:
    labels = _sorted(
        __name__="openstack_cinder_volume_gb",
        availability_zone="nova",
        id=_uuid(volume.name),
        location_id=project.site,
        name=volume.name,
        project_name=project.name,
        tenant_id=project.id,
        volume_type="ssd",
    )
    return labels, [(time_ms, float(_size_gib(volume, time_ms))) for time_ms in times]


def _size_gib(volume: Volume, time_ms: int) -> int:
    return volume.size_gib + volume.growth_gib * max(day_of(time_ms) // 7, 0)


def _uuid(*parts: str) -> str:
    return str(UUID(bytes=hashlib.blake2b("/".join(parts).encode(), digest_size=16).digest()))


def _sorted(**labels: str) -> Labels:
    return tuple(sorted(labels.items()))
