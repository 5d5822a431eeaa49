"""A real Prometheus: scrapes an exporter every second and sends on by remote write."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scripts import prometheus
from scripts.children import start_child
from scripts.ports import LOOPBACK, free_port
from tests.acceptance.exporter import SITE

JOB = "cloud"
STARTING_SECONDS_MAX = 20
STOPPING_SECONDS_MAX = 20
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
        """Give a metric of its own, added up over all labels."""
        async with self.session.get(f"{self.url}/metrics") as response:
            text = await response.text()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"prometheus_remote_storage_{name}"
        )


def _series(one: dict[str, Any]) -> Series:
    # Times are JSON numbers in seconds with three digits, values texts that read back exactly.
    return one["metric"], [(int(Decimal(at) * 1000), float(value)) for at, value in one["values"]]


@asynccontextmanager
async def prometheus_between(
    target: str, url: str, key: str, folder: Path, *, replica: str = "a"
) -> AsyncIterator[Prometheus]:
    """Run Prometheus with its files in `folder`, from the exporter at `target` to the service."""
    program = prometheus.find()
    if program is None:
        pytest.fail(
            f"there is no Prometheus: run this by make test, or {prometheus.WHAT_TO_DO}",
            pytrace=False,
        )
    configuration = CONFIGURATION.format(
        site=SITE, replica=replica, job=JOB, target=target, url=url, key=key
    )
    (folder / "prometheus.yml").write_text(configuration)
    address = f"{LOOPBACK}:{free_port()}"
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = start_child(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address={address}",
            ],
            output=output,
            cwd=folder,
        )
    try:
        async with aiohttp.ClientSession() as session:
            one = Prometheus(f"http://{address}", session)
            await _wait_until_ready(one, process, log)
            yield one
    finally:
        await _stop(process)


async def _wait_until_ready(one: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    async with asyncio.timeout(STARTING_SECONDS_MAX):
        while True:
            assert process.poll() is None, f"it ended, see {log}"
            try:
                async with one.session.get(f"{one.url}/-/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


async def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, STOPPING_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
