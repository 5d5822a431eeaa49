"""A small cloud that Prometheus scrapes: counters of projects, servers that come and go.

Everything that rating must get right happens to it within `LIFE_SECONDS`: a counter dips, one
starts again at zero, servers are resized, stopped, flapping, created, deleted, and one scrape
finds the exporter broken.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
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
IDLE = ((0.0, "m1.small", "ACTIVE"),)
DIP_SECONDS = (11.0, 12.5)
DIP = 0.005
RESET_SECONDS = 21.0
BROKEN_SECONDS = (28.0, 29.5)


@dataclass
class Exporter:
    """Speaks from `begin` to `end`; before and after, every scrape fails.

    It is found at `address`, and at two more that each tell a part: the counters or the servers.
    `cloud` begins the ids of its projects, so that several do not meet; `idle_count` servers of
    its first project do nothing but run.
    """

    cloud: str = ""
    idle_count: int = 0
    address: str = ""
    counters_address: str = ""
    servers_address: str = ""
    began: float | None = field(default=None)

    def begin(self) -> None:
        """Let the cloud live from now on."""
        self.began = time.monotonic()

    def end(self) -> None:
        """Say nothing any more."""
        self.began = None

    @property
    def project_ids(self) -> list[str]:
        """Name its projects as the cloud's API does."""
        return [self.cloud + id_ for id_, *_ in PROJECTS.values()]

    async def scrape(self, _request: web.Request) -> web.Response:
        """Answer Prometheus."""
        return self._answer(self._counters, self._servers)

    async def scrape_counters(self, _request: web.Request) -> web.Response:
        """Answer with the counters of the projects only."""
        return self._answer(self._counters)

    async def scrape_servers(self, _request: web.Request) -> web.Response:
        """Answer with the servers only."""
        return self._answer(self._servers)

    def _answer(self, *parts: Callable[[float], Iterator[str]]) -> web.Response:
        seconds = -1.0 if self.began is None else time.monotonic() - self.began
        if seconds < 0 or BROKEN_SECONDS[0] <= seconds < BROKEN_SECONDS[1]:
            return web.Response(status=503)
        return web.Response(
            text="\n".join([*(line for part in parts for line in part(seconds)), ""])
        )

    def _counters(self, seconds: float) -> Iterator[str]:
        yield "# TYPE project_vcpu_usage counter"
        for name, (_, vcpus, _) in PROJECTS.items():
            yield f"project_vcpu_usage{self._project(name)} {_total(name, vcpus, seconds)!r}"
        yield "# TYPE project_mb_usage counter"
        for name, (_, _, gib) in PROJECTS.items():
            yield f"project_mb_usage{self._project(name)} {_total(name, gib, seconds)!r}"

    def _project(self, name: str) -> str:
        labels = {
            "project_name": self.cloud + name,
            "project_id": self.cloud + PROJECTS[name][0],
            "domain_name": DOMAIN,
            "location_id": SITE,
        }
        return _written(labels)

    def _servers(self, seconds: float) -> Iterator[str]:
        yield "# TYPE openstack_nova_server_status gauge"
        idle = (Server(f"idle-{number}", "alpha", IDLE) for number in range(self.idle_count))
        for server in (*SERVERS, *idle):
            now = server.at(seconds)
            if now is not None:
                flavor, status = now
                labels = {
                    "id": server.id,
                    "name": f"the {server.id} one",
                    "tenant_id": self.cloud + PROJECTS[server.project][0],
                    "flavor_id": flavor,
                    "status": status,
                }
                yield f"openstack_nova_server_status{_written(labels)} {STATUS_VALUES[status]}"
        yield "# TYPE openstack_nova_total_vms gauge"
        yield f"openstack_nova_total_vms {len(SERVERS)}"


def _total(name: str, per_hour: float, seconds: float) -> float:
    if name == "beta" and seconds >= RESET_SECONDS:
        return per_hour * (seconds - RESET_SECONDS) / 3600
    dips = name == "alpha" and DIP_SECONDS[0] <= seconds < DIP_SECONDS[1]
    return 1000.1 + per_hour * seconds / 3600 - (DIP if dips else 0)


def _written(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


@asynccontextmanager
async def exporting(cloud: str = "", idle_count: int = 0) -> AsyncIterator[Exporter]:
    """Run an exporter in this event loop."""
    exporter = Exporter(cloud, idle_count)
    async with (
        _listening(exporter.scrape) as exporter.address,
        _listening(exporter.scrape_counters) as exporter.counters_address,
        _listening(exporter.scrape_servers) as exporter.servers_address,
    ):
        yield exporter


@asynccontextmanager
async def _listening(
    handler: Callable[[web.Request], Awaitable[web.Response]],
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/metrics", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    try:
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()
