"""A small cloud that Prometheus scrapes: counters of projects, servers that come and go.

Everything that rating must get right happens to it within `LIFE_SECONDS`: a counter dips, one
starts again at zero, servers are resized, stopped, flapping, created, deleted, and one scrape
finds the exporter broken.
"""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

LIFE_SECONDS = 40
# Who owns what: the project's name, its id, and how many vCPUs and GiB its counters count.
PROJECTS = {"alpha": ("id/alpha", 37.3, 148.1), "beta": ("id/beta", 1201.7, 7.77)}
DOMAIN = "Default"
SITE = "north"
# openstack-exporter writes a number for the status; our meter looks at the label only.
STATUS_VALUES = {"ACTIVE": 0, "SHUTOFF": 14}


@dataclass(frozen=True, slots=True)
class Server:
    """What one server is, second by second: (from then on, flavor, status); no flavor: deleted."""

    id: str
    project: str
    life: tuple[tuple[float, str, str], ...]

    def at(self, seconds: float) -> tuple[str, str] | None:
        """Give flavor and status, None while it does not exist."""
        now = [(flavor, status) for start, flavor, status in self.life if start <= seconds]
        return now[-1] if now and now[-1][0] else None


SERVERS = (
    Server("steady", "alpha", ((0, "m1.small", "ACTIVE"),)),
    Server("resized", "alpha", ((0, "m1.medium", "ACTIVE"), (13, "m1.xlarge", "ACTIVE"))),
    Server(
        "stopped",
        "alpha",
        ((0, "m1.large", "ACTIVE"), (9, "m1.large", "SHUTOFF"), (26, "m1.large", "ACTIVE")),
    ),
    Server("short-lived", "beta", ((6, "g1.large", "ACTIVE"), (31, "", ""))),
    Server("without-a-price", "beta", ((0, "c9.huge", "ACTIVE"),)),
    Server(
        "flapping",
        "beta",
        tuple((second, "m1.small", "SHUTOFF" if second % 2 else "ACTIVE") for second in range(40)),
    ),
)
DIP_SECONDS = (11.0, 12.5)
DIP = 0.005
RESET_SECONDS = 21.0
BROKEN_SECONDS = (28.0, 29.5)


@dataclass
class Exporter:
    """Speaks from `begin` to `end`; before and after, every scrape fails."""

    address: str = ""
    began: float | None = field(default=None)

    def begin(self) -> None:
        """Let the cloud live from now on."""
        self.began = time.monotonic()

    def end(self) -> None:
        """Say nothing any more."""
        self.began = None

    async def scrape(self, _request: web.Request) -> web.Response:
        """Answer Prometheus."""
        seconds = -1.0 if self.began is None else time.monotonic() - self.began
        if seconds < 0 or BROKEN_SECONDS[0] <= seconds < BROKEN_SECONDS[1]:
            return web.Response(status=503)
        return web.Response(text="\n".join([*_counters(seconds), *_servers(seconds), ""]))


def _counters(seconds: float) -> Iterator[str]:
    yield "# TYPE project_vcpu_usage counter"
    for name, (_, vcpus, _) in PROJECTS.items():
        yield f"project_vcpu_usage{_project(name)} {_total(name, vcpus, seconds)!r}"
    yield "# TYPE project_mb_usage counter"
    for name, (_, _, gib) in PROJECTS.items():
        yield f"project_mb_usage{_project(name)} {_total(name, gib, seconds)!r}"


def _total(name: str, per_hour: float, seconds: float) -> float:
    if name == "beta" and seconds >= RESET_SECONDS:
        return per_hour * (seconds - RESET_SECONDS) / 3600
    dips = name == "alpha" and DIP_SECONDS[0] <= seconds < DIP_SECONDS[1]
    return 1000.1 + per_hour * seconds / 3600 - (DIP if dips else 0)


def _project(name: str) -> str:
    labels = {
        "project_name": name,
        "project_id": PROJECTS[name][0],
        "domain_name": DOMAIN,
        "location_id": SITE,
    }
    return _written(labels)


def _servers(seconds: float) -> Iterator[str]:
    yield "# TYPE openstack_nova_server_status gauge"
    for server in SERVERS:
        now = server.at(seconds)
        if now is not None:
            flavor, status = now
            labels = {
                "id": server.id,
                "name": f"the {server.id} one",
                "tenant_id": PROJECTS[server.project][0],
                "flavor_id": flavor,
                "status": status,
            }
            yield f"openstack_nova_server_status{_written(labels)} {STATUS_VALUES[status]}"
    yield "# TYPE openstack_nova_total_vms gauge"
    yield f"openstack_nova_total_vms {len(SERVERS)}"


def _written(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


@asynccontextmanager
async def exporting() -> AsyncIterator[Exporter]:
    """Run an exporter in this event loop."""
    exporter = Exporter()
    app = web.Application()
    app.router.add_get("/metrics", exporter.scrape)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    exporter.address = f"{host}:{port}"
    try:
        yield exporter
    finally:
        await runner.cleanup()
