"""A real vmagent, and a VictoriaMetrics beside the service that tells what vmagent scraped.

vmagent has no memory that could be asked. But it hands all it scrapes on to each of its URLs, and
what it did not get rid of at one it keeps on disk for that one alone.
"""

import json
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from scripts.ports import LOOPBACK, free_port
from tests.acceptance.needed import figure_of, needed, running_program
from tests.acceptance.scraped import BILLED, Samples, labelled
from tests.laws import oracle

Series = tuple[dict[str, str], list[tuple[int, float | None]]]


@dataclass(frozen=True, slots=True)
class VictoriaMetrics:
    """A running one, which takes remote write without a key."""

    url: str
    session: aiohttp.ClientSession

    async def series(self, selector: str) -> list[Series]:
        """Give labels, and time (ms) and value of each sample; a stale marker has no value."""
        async with self.session.get(f"{self.url}/internal/force_flush") as response:
            assert response.status == 200
        query = {"match[]": selector}
        async with self.session.get(f"{self.url}/api/v1/export", params=query) as response:
            found = [json.loads(line) for line in (await response.text()).splitlines()]
        return [
            (one["metric"], list(zip(one["timestamps"], one["values"], strict=True)))
            for one in found
        ]

    async def scraped(self, cloud: str) -> Samples:
        """Read back the samples of our meters in which the ids of projects begin so."""
        result: Samples = defaultdict(list)
        for meter in BILLED:
            for labels, samples in await self.series(meter):
                project = labels.get("project_id") or labels["tenant_id"]
                if project.startswith(cloud):
                    result[meter, project] += [
                        labelled(labels, time, oracle.STALE if value is None else value)
                        for time, value in samples
                    ]
        return result


@asynccontextmanager
async def victoria_metrics(folder: Path) -> AsyncIterator[VictoriaMetrics]:
    """Run a VictoriaMetrics with its files in `folder`."""
    address = f"{LOOPBACK}:{free_port()}"
    command: list[str | Path] = [
        needed("victoria-metrics"),
        f"-httpListenAddr={address}",
        f"-storageDataPath={folder / 'data'}",
    ]
    async with running_program(f"http://{address}/health", command, folder) as session:
        yield VictoriaMetrics(f"http://{address}", session)


@dataclass(frozen=True, slots=True)
class VMAgent:
    """A running one, asked for its own figures."""

    url: str
    session: aiohttp.ClientSession

    async def figure(self, name: str) -> float:
        """Give a metric of its sending, added up over all of its URLs."""
        return await figure_of(self.session, self.url, f"vmagent_remotewrite_{name}")


@asynccontextmanager
async def running_vmagent(
    program: Path, script: Path, flags: Sequence[str], folder: Path
) -> AsyncIterator[VMAgent]:
    """Run a script that starts vmagent, which it finds in its PATH, with some more flags."""
    address = f"{LOOPBACK}:{free_port()}"
    command: list[str | Path] = ["sh", script, f"-httpListenAddr={address}", *flags]
    env = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    async with running_program(f"http://{address}/health", command, folder, env) as session:
        yield VMAgent(f"http://{address}", session)
