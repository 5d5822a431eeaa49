"""A real Prometheus: scrapes an exporter every second and sends on by remote write."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from scripts.ports import LOOPBACK, free_port
from tests.acceptance.exporter import SITE
from tests.acceptance.needed import figure_of, needed, running_program

JOB = "cloud"
# One shard sends in the order of time: what the newest sample sent says holds for all before.
# openstack-exporter knows no site, so Prometheus adds it, as our meter file advises.
CONFIGURATION = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  external_labels: {{ location_id: {site}, replica: {replica} }}
scrape_configs:
- job_name: {job}
  static_configs: [{{ targets: ["{target}"] }}]
remote_write:
- url: {url}/api/v1/write
  authorization: {{ credentials: {key} }}
  queue_config: {{ max_shards: 1, batch_send_deadline: 1s }}
"""

# The labels of a series, then time (ms since the epoch) and value of each sample.
Series = tuple[dict[str, str], list[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running one, asked over its own HTTP API."""

    url: str
    session: aiohttp.ClientSession

    async def samples(self, selector: str) -> list[Series]:
        """Give the raw samples of the last ten minutes; stale markers are never given."""
        query = {"query": f"{selector}[10m]"}
        async with self.session.get(f"{self.url}/api/v1/query", params=query) as response:
            answer = json.loads(await response.text(), parse_float=Decimal)
        assert answer["status"] == "success", answer
        return [_series(one) for one in answer["data"]["result"]]

    async def figure(self, name: str) -> float:
        """Give a metric of its own sending, added up over all labels."""
        return await figure_of(self.session, self.url, f"prometheus_remote_storage_{name}")


def _series(one: dict[str, Any]) -> Series:
    # Times are JSON numbers in seconds with three digits, values texts that read back exactly.
    return one["metric"], [(int(Decimal(at) * 1000), float(value)) for at, value in one["values"]]


@asynccontextmanager
async def prometheus_between(
    target: str, url: str, key: str, folder: Path, *, replica: str = "a"
) -> AsyncIterator[Prometheus]:
    """Run Prometheus with its files in `folder`, from the exporter at `target` to the service."""
    configuration = CONFIGURATION.format(
        site=SITE, replica=replica, job=JOB, target=target, url=url, key=key
    )
    async with running_prometheus(needed("prometheus"), configuration, folder) as one:
        yield one


@asynccontextmanager
async def running_prometheus(
    program: Path, configuration: str, folder: Path
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus with its files in `folder`."""
    (folder / "prometheus.yml").write_text(configuration)
    address = f"{LOOPBACK}:{free_port()}"
    command: list[str | Path] = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={address}",
    ]
    async with running_program(f"http://{address}/-/ready", command, folder) as session:
        yield Prometheus(f"http://{address}", session)
