"""Real senders, each with a cloud of its own, run by the files of `examples/`.

Of those only hosts, key, places of files, the site and the times between scrapes are changed.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.acceptance.example_files import HOST, example
from tests.acceptance.exporter import SITE, Exporter, exporting
from tests.acceptance.needed import needed, version_of
from tests.acceptance.own_process import ServiceProcess
from tests.acceptance.prometheus import Prometheus, running_prometheus
from tests.acceptance.scraped import Samples, scraped
from tests.acceptance.vmagent import VictoriaMetrics, running_vmagent
from tests.crash.proxy import Proxy

IDLE_SERVERS = 40
# What is stored, and the sender does not hear it, comes once more.
SUCCESSES_BETWEEN_LOSSES = 6
STARTING_SECONDS_MAX = 30
# One could overtake what was scraped before it.
SCRAPES_AT_END = 3
ENDS = "openstack-exporter.example:9180", "usage-exporter.example:8080"
QUICKLY = {
    "scrape_interval: 60s": "scrape_interval: 1s",
    "scrape_interval: 5m": "scrape_interval: 1s",
    "scrape_timeout: 2m": "scrape_timeout: 1s",
    "my-cloud": SITE,
}
V2 = "protobuf_message: io.prometheus.write.v2.Request"


@dataclass(slots=True)
class Way:
    """How a sender reaches the service, and what was answered on it."""

    address: str = ""
    answers: Counter[int] = field(default_factory=Counter)
    lost_answers: int = 0

    def loses(self, piece: bytes) -> bool:
        """Lose the first success and then some; note the status of the other answers."""
        if not piece.startswith(b"HTTP/1.1 "):
            return False
        status = int(piece.split(maxsplit=2)[1])
        if status == 204 and self.answers[204] >= self.lost_answers * SUCCESSES_BETWEEN_LOSSES:
            self.lost_answers += 1
            return True
        self.answers[status] += 1
        return False


@dataclass(frozen=True, slots=True)
class Sender:
    """A running sender and how to ask what it did."""

    name: str
    version: str
    protocol: str
    cloud: Exporter
    way: Way
    scraped: Callable[[], Awaitable[Samples]]
    scrapes: Callable[[], Awaitable[Iterable[list[float]]]]
    """Give for each job whether its scrapes succeeded (1) or failed (0), in their order."""
    dropped: Callable[[], Awaitable[float]]
    """Count what it gave up."""

    async def saw_the_end(self) -> bool:
        """Tell whether the last scrapes failed: nothing more comes, and all before is told."""
        scrapes = list(await self.scrapes())
        return len(scrapes) == len(ENDS) and all(
            len(one) >= SCRAPES_AT_END and not any(one[-SCRAPES_AT_END:]) for one in scrapes
        )


@asynccontextmanager
async def way_to(process: ServiceProcess) -> AsyncIterator[Way]:
    """Lay a way to the service that stays while the service does not, and loses answers."""
    way = Way()
    async with Proxy(process.port, cuts_before=way.loses).listening() as proxy:
        way.address = f"{urlsplit(process.url).hostname}:{proxy.port}"
        yield way


def _scraping(cloud: Exporter) -> dict[str, str]:
    return {
        **QUICKLY,
        **dict(zip(ENDS, (cloud.servers_address, cloud.counters_address), strict=True)),
    }


def _key_file(folder: Path, key: str) -> Path:
    path = folder / "os_credits.key"
    path.write_text(f"{key}\n")
    return path


@asynccontextmanager
async def prometheus_sender(
    name: str, tool: str, process: ServiceProcess, key: str, folder: Path
) -> AsyncIterator[Sender]:
    """Run a Prometheus by `examples/prometheus.yml`; with a name that ends in 2.0, by that."""
    protocol = "2.0" if name.endswith("2.0") else "1.0"
    async with (
        exporting(f"{name}/", IDLE_SERVERS) as cloud,
        way_to(process) as way,
    ):
        changes = {
            **_scraping(cloud),
            HOST: way.address,
            "/etc/prometheus/os_credits.key": str(_key_file(folder, key)),
            **({f"# {V2}": V2} if protocol == "2.0" else {}),
        }
        configuration = example("prometheus.yml", changes)
        async with running_prometheus(needed(tool), configuration, folder) as one:
            await _until_reading(one)

            async def scrapes() -> list[list[float]]:
                return [[value for _, value in up] for _, up in await one.samples("up")]

            yield Sender(
                "Prometheus",
                version_of(tool),
                protocol,
                cloud,
                way,
                lambda: scraped(one),
                scrapes,
                lambda: _dropped(one),
            )


async def _until_reading(one: Prometheus) -> None:
    """Wait until it read something to send, and left it away: what it scrapes now it will send."""
    async with asyncio.timeout(STARTING_SECONDS_MAX):
        while await one.figure("samples_dropped_total") == 0:
            await asyncio.sleep(0.1)


async def _dropped(one: Prometheus) -> float:
    return await one.figure("samples_failed_total") + await one.figure("metadata_failed_total")


@asynccontextmanager
async def vmagent_sender(
    tool: str, process: ServiceProcess, key: str, folder: Path, beside: VictoriaMetrics
) -> AsyncIterator[Sender]:
    """Run a vmagent by `examples/vmagent.sh`, which sends to a VictoriaMetrics too."""
    async with (
        exporting(f"{tool}/", IDLE_SERVERS) as cloud,
        way_to(process) as way,
    ):
        (folder / "vmagent.yml").write_text(example("vmagent.yml", _scraping(cloud)))
        script = folder / "vmagent.sh"
        changes = {
            HOST: way.address,
            "/etc/vmagent/vmagent.yml": str(folder / "vmagent.yml"),
            "/etc/vmagent/os_credits.key": str(_key_file(folder, key)),
            "/var/lib/vmagent": str(folder / "queue"),
        }
        script.write_text(example("vmagent.sh", changes))
        flags = [f"-remoteWrite.url={beside.url}/api/v1/write"]
        async with running_vmagent(needed(tool), script, flags, folder) as one:

            async def scrapes() -> list[list[float]]:
                ends = cloud.servers_address, cloud.counters_address
                return [
                    [value for _, value in up if value is not None]
                    for labels, up in await beside.series("up")
                    if labels["instance"] in ends
                ]

            yield Sender(
                "vmagent",
                version_of(tool),
                "1.0",
                cloud,
                way,
                lambda: beside.scraped(cloud.cloud),
                scrapes,
                lambda: one.figure("packets_dropped_total"),
            )
