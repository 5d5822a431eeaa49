"""Points of a busy cloud, and the bodies that senders make of them: by any door, in any cut."""

import gzip
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from os_credits.decode.remote_write_encode import encode_v1
from tests.acceptance.conftest import Service
from tests.acceptance.senders import V1
from tests.acceptance.shipped import METERS, SERVERS, VCPU
from tests.acceptance.stored import Place, SamplePlace
from tests.laws import oracle

SITE = "site1"
FLAVORS = ("m1.small", "m1.large", "g1.large", "c9.without-a-price")
STEP_MS_MAX = 90_000


@dataclass(frozen=True, slots=True)
class Point:
    """One sample of a project's vCPU counter, or of one of its servers."""

    meter: str
    project: str
    time_ms: int
    value: float
    server: str = ""
    flavor: str = ""
    status: str = ""
    replica: str = "a"

    @property
    def place(self) -> SamplePlace:
        """Say where it is stored."""
        return self.meter, self.project, self.server, self.time_ms

    @property
    def labels(self) -> dict[str, str]:
        """Name it as an exporter does."""
        common = {"location_id": SITE, "replica": self.replica, "project_name": self.project}
        if self.meter == VCPU:
            return {**common, "project_id": self.project}
        server = {"id": self.server, "flavor_id": self.flavor, "status": self.status}
        return {**common, **server, "tenant_id": self.project}


def points_of(project: str, start_ms: int, chance: random.Random) -> Iterator[Point]:
    """Give a project's samples without end: a counter that sometimes restarts, three servers.

    Some come twice at one time, from a second replica that saw something else.
    """
    time_ms, total = start_ms, chance.uniform(0, 1000)
    life = {f"s{number}": ("m1.small", "ACTIVE") for number in range(3)}
    while True:
        time_ms += chance.randrange(1, STEP_MS_MAX)
        total = 0.0 if chance.random() < 0.01 else total + chance.uniform(0, 3)
        point = Point(VCPU, project, time_ms, total)
        if chance.random() < 0.6:
            server = chance.choice(sorted(life))
            if chance.random() < 0.1:
                status = chance.choice(["ACTIVE", "ACTIVE", "SHUTOFF"])
                life[server] = chance.choice(FLAVORS), status
            point = Point(SERVERS, project, time_ms, 0.0, server, *life[server])
        yield point
        if chance.random() < 0.05:
            other = {"value": total + 1} if point.meter == VCPU else {"flavor": "m1.large"}
            yield replace(point, replica="b", **other)


def charges_of(points: Iterable[Point]) -> dict[Place, int]:
    """Ask the oracle what these points cost."""
    groups: dict[tuple[str, str], list[oracle.Sample]] = defaultdict(list)
    for point in points:
        sample = oracle.Sample(point.server, point.time_ms, point.value, point.flavor, point.status)
        groups[point.project, point.meter].append(sample)
    return {
        (project, meter, flavor, hour): micro
        for (project, meter), samples in groups.items()
        for (flavor, hour), micro in oracle.credits(METERS[meter], samples).items()
    }


async def push(service: Service, points: list[Point], chance: random.Random) -> int:
    """Hand in points by one of two doors; gives the status."""
    request = _remote_write(points) if chance.random() < 0.5 else _lines(points)
    async with service.request("POST", key="ingest", **request) as response:
        status: int = response.status
        assert status in (204, 503), await response.text()
        return status


def _remote_write(points: list[Point]) -> dict[str, Any]:
    series = [
        (
            tuple(sorted({"__name__": point.meter, **point.labels}.items())),
            [(point.time_ms, point.value)],
        )
        for point in points
    ]
    return {"path": "/api/v1/write", "data": encode_v1(series), "headers": V1}


def _lines(points: list[Point]) -> dict[str, Any]:
    lines = []
    for point in points:
        tags = ",".join(f"{name}={value}" for name, value in sorted(point.labels.items()))
        lines.append(f"{point.meter},{tags} value={point.value!r} {point.time_ms}")
    return {
        "path": "/write?db=telegraf&precision=ms",
        "data": gzip.compress("\n".join(lines).encode()),
        "headers": {"Content-Encoding": "gzip"},
    }
