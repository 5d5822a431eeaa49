"""A day of a small cloud as two Telegraf hosts write it, with what each line means to the oracle.

Lines are written as Telegraf's influx serializer does, see `telegraf_metric.py`.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.acceptance.shipped import DISK, MEMORY, VCPU, VOLUME
from tests.acceptance.telegraf_metric import Metric, to_influx
from tests.laws import oracle

DAY_SECONDS = 86_400
# When the exporter's counter of one project starts again at zero.
RESTART_SECOND = 50_000
HOSTS = ("tg-a", "tg-b")
REGION = "south, hall 2"
# Project, its id, what its counters count in an hour: vCPUs and GiB.
PROJECTS = (
    ("metagenome browser", "f00d", 61.7, 245.9),
    ("a=b,c", "beef", 3.0, 11.125),
    ("Ökologie", "cafe", 1999.999, 0.001),
)
REQUESTS = "gateway_requests"


@dataclass
class Day:
    """All lines of each host in the order of their times, and the samples they stand for."""

    lines: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    samples: dict[tuple[str, str], list[oracle.Sample]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, host: str, nanoseconds: int, point: "Point") -> None:
        """Write a point down, and what of it is billed."""
        self.lines[host].append(point.line(nanoseconds))
        for meter, sample in point.billed:
            self.samples[meter, point.project_id].append(
                oracle.Sample(
                    sample.series, nanoseconds // 10**6, sample.value, sample.flavor, sample.status
                )
            )


@dataclass(frozen=True)
class Point:
    """One line without its time; `billed` are samples whose time is still to come."""

    measurement: str
    project_id: str
    tags: dict[str, str]
    fields: dict[str, float | int | str | bool]
    billed: tuple[tuple[str, oracle.Sample], ...]

    def line(self, nanoseconds: int) -> str:
        """Write it as Telegraf would."""
        return to_influx([Metric(self.measurement, self.tags, self.fields, nanoseconds)]).decode()


def _sample(series: str, value: float, flavor: str = "") -> oracle.Sample:
    return oracle.Sample(series, 0, float(value), flavor)


def write_day(start_ms: int, seed: int) -> Day:
    """Make a day that begins at this time; the same seed makes the same day."""
    chance, day = random.Random(seed), Day()
    for number, host in enumerate(HOSTS):
        # Their clocks are not one: the second host measures the same a little later.
        offset = number * 17_300
        for second, points in sorted(_plan(chance, host), key=lambda one: one[0]):
            nanoseconds = (start_ms + offset + round(second * 1000)) * 10**6
            for point in points:
                day.add(host, nanoseconds + chance.randrange(10**6), point)
    return day


def _plan(chance: random.Random, host: str) -> Iterator[tuple[float, list[Point]]]:
    for second in range(0, DAY_SECONDS, 60):
        yield second + chance.random(), _counters(host, second + 17.3 * HOSTS.index(host))
    if host != HOSTS[0]:  # one sender for amounts, and one that asks OpenStack
        return
    for second in range(0, DAY_SECONDS, 300):
        yield second + chance.random(), _volumes(host, second)
        yield second + chance.random(), _requests(host, chance)
    for second in range(0, DAY_SECONDS, 1800):
        yield second + chance.random(), _disks(host, second)


def _counters(host: str, second: float) -> list[Point]:
    """Write what inputs.prometheus scraped: both counters of a project in one line."""
    points = []
    for name, project_id, vcpus, gib in PROJECTS:
        has_restarted = name == "Ökologie" and second >= RESTART_SECOND
        vcpu_hours = (
            vcpus * (second - RESTART_SECOND) / 3600
            if has_restarted
            else (7e5 + vcpus * second / 3600)
        )
        gib_hours = gib * second / 3600
        points.append(
            Point(
                "prometheus",
                project_id,
                {
                    "host": host,
                    "url": "http://exporter:9000/metrics",
                    "project_name": name,
                    "project_id": project_id,
                    "domain_name": "Default",
                    "location_id": REGION,
                },
                {MEMORY: gib_hours, "project_count": 3.0, VCPU: vcpu_hours},
                ((VCPU, _sample("", vcpu_hours)), (MEMORY, _sample("", gib_hours))),
            )
        )
    return points


def _volumes(host: str, second: int) -> list[Point]:
    """Write volumes of whole GiB that grow; the second one has a gap of two hours and a half."""
    points = []
    for number, (_, project_id, *_) in enumerate(PROJECTS):
        if number == 1 and 30_000 <= second < 39_000:
            continue
        size = 10 + 100 * number + second // 20_000
        tags = {"host": host, "tenant_id": project_id, "location_id": REGION, "id": f"v{number}"}
        points.append(
            Point(
                "prometheus",
                project_id,
                tags,
                {VOLUME: size},
                ((VOLUME, _sample(f"v{number}", size)),),
            )
        )
    return points


def _disks(host: str, second: int) -> list[Point]:
    """Write what inputs.openstack says of a server: a few numbers and texts, one of them billed."""
    name, project_id, *_ = PROJECTS[0]
    size = 20 if second < 43_200 else 80
    return [
        Point(
            "openstack_server",
            project_id,
            {
                "host": host,
                "name": "web server",
                "project": name,
                "tenant_id": project_id,
                "location_id": REGION,
                "flavor": "m1.large",
                "status": "active",
            },
            {
                "status": 'ok, "so far"\\ = 1i',
                "vcpus": 4,
                "ram_mb": 8192,
                "disk_gb": size,
                "config_drive": True,
            },
            ((DISK, _sample("web server", size)),),
        )
    ]


def _requests(host: str, chance: random.Random) -> list[Point]:
    """Write amounts: what came in since the last time, by tier."""
    name, project_id, *_ = PROJECTS[1]
    points = []
    for tier in ("gold", "silver", "free"):
        amount = chance.randrange(10_000) / 8
        tags = {"host": host, "project": name, "id": project_id, "region": REGION, "tier": tier}
        billed = ((REQUESTS, _sample(tier, amount, tier)),)
        points.append(Point("gateway", project_id, tags, {"requests": amount, "errors": 0}, billed))
    return points
