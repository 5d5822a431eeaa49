"""What the exporters of the simulated cloud would measure, as a pure function of time."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from uuid import UUID

from os_credits.demo.cast import PROJECTS, Door, Flavor, Measure, Project, Server, Volume
from os_credits.demo.curve import curve_of
from os_credits.demo.rhythm import day_of, runs_between
from os_credits.domain.period import HOUR_MS
from os_credits.domain.sample import Labels

# One series: its labels, then time in ms and value of each sample, oldest first.
Series = tuple[Labels, list[tuple[int, float]]]
# The numbers by which openstack-exporter tells a status in the value.
_STATUS_NUMBERS = {"ACTIVE": 0.0, "SHUTOFF": 11.0}


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


def _counters(project: Project, times: Sequence[int]) -> Iterator[Series]:
    curve = curve_of(project, times[-1])
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
    return labels, [(time_ms, float(size_gib(volume, time_ms))) for time_ms in times]


def size_gib(volume: Volume, time_ms: int) -> int:
    """Give a volume's size in GiB; it grows by the week."""
    return volume.size_gib + volume.growth_gib * max(day_of(time_ms) // 7, 0)


def _uuid(*parts: str) -> str:
    return str(UUID(bytes=hashlib.blake2b("/".join(parts).encode(), digest_size=16).digest()))


def _sorted(**labels: str) -> Labels:
    return tuple(sorted(labels.items()))
