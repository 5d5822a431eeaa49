"""What the exporters of the simulated cloud would measure, as a pure function of time."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from uuid import UUID

from os_credits.demo.cast import Door, Flavor, Measure, Project, Server, Volume
from os_credits.demo.curve import curve_of
from os_credits.demo.projects import PROJECTS
from os_credits.demo.rhythm import day_of, outages_between, runs_between
from os_credits.domain.period import HOUR_MS
from os_credits.domain.sample import Labels

# One series: its labels, then time in ms and value of each sample, oldest first.
Series = tuple[Labels, list[tuple[int, float]]]
# The numbers by which openstack-exporter tells a status in the value.
_STATUS_NUMBERS = {"ACTIVE": 0.0, "SHUTOFF": 11.0}
_INSTANCE_STATES = {"ACTIVE": "running", "SHUTOFF": "stopped"}
_INSTANCE_REGIONS = ("eu-central-1", "eu-west-1")
# Servers move to another compute node at times; so many there are at each site.
_COMPUTE_NODES = 6


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
                measured[project.door].extend(_statuses(project, server, _measured(project, times)))
        for volume in project.volumes:
            measured[Door.LINES].append(_sizes(project, volume, times))
    return measured


def _measured(project: Project, times: range) -> Sequence[int]:
    """Leave out when nobody measured the project's servers."""
    if not project.fails:
        return times
    outages = list(outages_between(times[0], times[-1] + 1))
    return [time_ms for time_ms in times if not any(time_ms in outage for outage in outages)]


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
            provider="openstack",
            region=project.site,
        )
        hours = [round(total[place] / HOUR_MS, 6) for total in totals]
        yield labels, list(zip(times, hours, strict=True))


def _statuses(project: Project, server: Server, times: Sequence[int]) -> Iterator[Series]:
    """Give a series for each set of labels that a server has in this time."""
    by_labels: dict[Labels, list[tuple[int, float]]] = defaultdict(list)
    if not times:
        return
    runs = list(runs_between(server, times[0], times[-1] + 1))
    place = 0
    for time_ms in times:
        while place < len(runs) and runs[place].end_ms <= time_ms:
            place += 1
        if place < len(runs) and runs[place].start_ms <= time_ms:
            run = runs[place]
            week = day_of(time_ms) // 7
            labels = _server_labels(project, server, run.flavor, "ACTIVE", run.day, week)
            by_labels[labels].append((time_ms, _STATUS_NUMBERS["ACTIVE"]))
        elif not server.rhythm.leaves:
            week = day_of(time_ms) // 7
            flavor = server.flavors[week % len(server.flavors)]
            labels = _server_labels(project, server, flavor, "SHUTOFF", 0, week)
            by_labels[labels].append((time_ms, _STATUS_NUMBERS["SHUTOFF"]))
    yield from by_labels.items()


@lru_cache(maxsize=4096)
def _server_labels(
    project: Project, server: Server, flavor: Flavor, status: str, day: int, week: int
) -> Labels:
    unique = (server.name, str(day) if server.rhythm.leaves else "")
    if project.measure is Measure.INSTANCES:
        region = _INSTANCE_REGIONS[_number(project.name) % len(_INSTANCE_REGIONS)]
        return _sorted(
            __name__="aws_ec2_instance",
            availability_zone=region + "abc"[_number(server.name) % 3],
            instance_id="i-" + _uuid(*unique).replace("-", "")[:17],
            instance_type=flavor.label,
            location_id=project.site,
            name=server.name,
            provider="aws",
            region=region,
            state=_INSTANCE_STATES[status],
            tag_project=project.name,
        )
    node = _number(f"{server.name}/{week // 2}") % _COMPUTE_NODES + 1
    return _sorted(
        __name__="openstack_nova_server_status",
        availability_zone="nova",
        flavor_id=flavor.label,
        hypervisor_hostname=f"{project.site}-compute-{node:02}",
        id=_uuid(*unique),
        location_id=project.site,
        name=server.name,
        project_name=project.name,
        provider="openstack",
        region=project.site,
        status=status,
        tenant_id=project.id,
        uuid=_uuid(*unique),
    )


def _sizes(project: Project, volume: Volume, times: Sequence[int]) -> Series:
    labels = _sorted(
        __name__="openstack_cinder_volume_gb",
        availability_zone="nova",
        id=_uuid(volume.name),
        location_id=project.site,
        name=volume.name,
        project_name=project.name,
        provider="openstack",
        region=project.site,
        tenant_id=project.id,
        volume_type="ssd",
    )
    return labels, [(time_ms, float(size_gib(volume, time_ms))) for time_ms in times]


def size_gib(volume: Volume, time_ms: int) -> int:
    """Give a volume's size in GiB; it grows by the week."""
    return volume.size_gib + volume.growth_gib * max(day_of(time_ms) // 7, 0)


def held_back(
    measured: Mapping[Door, Sequence[Series]], server_name: str, times: range
) -> tuple[dict[Door, list[Series]], dict[Door, list[Series]]]:
    """Part what is measured into what comes in time and one server's samples that come late."""
    prompt: dict[Door, list[Series]] = {door: [] for door in Door}
    late: dict[Door, list[Series]] = {door: [] for door in Door}
    for door, series in measured.items():
        for labels, samples in series:
            if dict(labels).get("name") != server_name:
                prompt[door].append((labels, samples))
                continue
            for target, wanted in ((prompt, False), (late, True)):
                part = [sample for sample in samples if (sample[0] in times) is wanted]
                if part:
                    target[door].append((labels, part))
    return prompt, late


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _uuid(*parts: str) -> str:
    return str(UUID(bytes=hashlib.blake2b("/".join(parts).encode(), digest_size=16).digest()))


def _sorted(**labels: str) -> Labels:
    return tuple(sorted(labels.items()))
