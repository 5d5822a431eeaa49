"""What a billed sample costs, beside a raw COPY and peers that only store it, in one run.

    make bench          all figures
    make bench-quick    those that need no long history, in under two minutes

Everything runs in turns on the same machine, so that ratios are what counts: seconds move with
it. Each figure is the median of the rounds, with the least and the largest. Writes
`benchmarks/results/latest.json` and appends to `history.jsonl`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.bodies import Dirt, Form, Load
from benchmarks.runs import Run, Service, by_copy, serving, through_peer, through_service
from os_credits.decode import snappy
from os_credits.decode.remote_write import decode_v1
from os_credits.store.migrate import migrate
from tests import database

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).parent / "results"
WIDE, DEEP = Form(2000, 1), Form(500, 4)
CLEAN, DIRTY = Dirt(), Dirt(duplicates=0.05, late=0.01)
DAY_MS = 86_400_000
# Bodies are decoded so often for one figure.
DECODED = 40


@dataclass(slots=True)
class Figures:
    """What was measured, by key, a value for each round."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, key: str, value: float) -> None:
        """Take in what a round gave."""
        self.values.setdefault(key, []).append(value)

    def add_run(self, prefix: str, run: Run) -> None:
        """Take in what a run through a receiver cost."""
        self.add(f"{prefix}_samples_per_second", run.rate)
        for whose, seconds in run.cpu.per_million(run.samples).items():
            self.add(f"{prefix}_{whose}_cpu_per_million", seconds)
        self.add(f"{prefix}_wal_bytes_per_sample", run.wal_per_sample)

    def summary(self) -> dict[str, dict[str, float]]:
        """Give median, least and largest of each."""
        return {
            key: {
                "median": round(statistics.median(values), 4),
                "min": round(min(values), 4),
                "max": round(max(values), 4),
            }
            for key, values in self.values.items()
        }


@dataclass(slots=True)
class Times:
    """Hands out times for loads, one after the other, so that no load meets another."""

    next_ms: int = field(default_factory=lambda: int(time.time() - 5 * 86_400) * 1000)

    def take(self, load: Load, steps: int) -> Load:
        """Place a load where nothing was sent yet."""
        placed = replace(load, start_ms=self.next_ms)
        self.next_ms += (steps + 1) * load.step_ms
        return placed


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int
    steps: int
    series: int
    with_peers: bool


QUICK = Scale(rounds=3, steps=40, series=4_000, with_peers=True)
FULL = Scale(rounds=7, steps=80, series=8_000, with_peers=True)


async def measure(owner_url: str, service_url: str, scale: Scale, folder: Path) -> Figures:
    """Run all rounds, in turns; the first one meets every series for the first time."""
    figures, times = Figures(), Times()
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(owner_url, service_url))
        others = [
            await stack.enter_async_context(peers.running(name, folder / name))
            for name in ("prometheus", "victoria-metrics")
            if scale.with_peers
        ]
        for number in range(scale.rounds + 1):
            found = await _round(service, others, scale, times)
            if number:
                for key, value in found.values.items():
                    figures.add(key, value[0])
    return figures


async def _round(service: Service, others: list[peers.Peer], scale: Scale, times: Times) -> Figures:
    found = Figures()
    load = times.take(Load(scale.series, 40, WIDE, 0), scale.steps)
    copied = await by_copy(service.conn, load, scale.steps, service.postmaster)
    billed = await through_service(service, load, scale.steps)
    found.add_run("copy", copied)
    found.add_run("service", billed)
    found.add("throughput_vs_copy", billed.rate / copied.rate)
    found.add("wal_vs_copy", billed.wal_per_sample / copied.wal_per_sample)
    for peer in others:
        stored = await through_peer(peer, load, scale.steps)
        key = peer.name.replace("-", "")
        found.add_run(key, stored)
        found.add(f"cpu_vs_{key}", billed.cpu_per_million / stored.cpu_per_million)
    deep = await _cpu_of(service, times, Load(scale.series, 40, DEEP, 0), scale)
    found.add("deep_bodies_cpu_per_million", deep)
    clean = billed.cpu_per_million
    dirty = await _cpu_of(service, times, Load(scale.series, 40, WIDE, 0, dirt=DIRTY), scale)
    found.add("dirty_vs_clean", dirty / clean)
    few = await _cpu_of(service, times, Load(scale.series, 20, WIDE, 0), scale)
    many = await _cpu_of(service, times, Load(scale.series, 2_000, WIDE, 0), scale)
    found.add("projects_2000_vs_20", many / few)
    found.add("decode_vs_snappy", decode_vs_snappy(load))
    return found


async def _cpu_of(service: Service, times: Times, load: Load, scale: Scale) -> float:
    run = await through_service(service, times.take(load, scale.steps), scale.steps)
    return run.cpu_per_million


def decode_vs_snappy(load: Load) -> float:
    """Hold reading a body up to its columns against unpacking it alone."""
    [[body]] = replace(load, lanes=1, series=WIDE.series).lane_bodies(1)
    return _cpu_seconds(lambda: decode_v1(snappy.decompress(body, 2**27))) / _cpu_seconds(
        lambda: snappy.decompress(body, 2**27)
    )


def _cpu_seconds(work: Callable[[], object]) -> float:
    work()
    best = []
    for _ in range(5):
        started = time.process_time()
        for _ in range(DECODED):
            work()
        best.append(time.process_time() - started)
    return statistics.median(best)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="what CI has time for")
    given = parser.parse_args()
    scale = QUICK if given.quick else FULL
    with (
        database.database(database.server_url()) as url,
        tempfile.TemporaryDirectory(prefix="os_credits-bench-") as folder,
    ):
        service_url = database.as_service(url)
        migrate(url, service_url)
        figures = asyncio.run(measure(url, service_url, scale, Path(folder)))
    summary = figures.summary()
    for name, figure in summary.items():
        print(f"{name:44} {figure['median']:>12} ({figure['min']} - {figure['max']})")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    with (RESULTS / "history.jsonl").open("a", encoding="utf-8") as history:
        history.write(json.dumps({"at": int(time.time()), "quick": given.quick, **summary}) + "\n")


if __name__ == "__main__":
    main()
