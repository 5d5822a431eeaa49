"""What a billed sample costs, beside a raw COPY and peers that only store it, in one run.

    make bench          all figures
    make bench-quick    those that need no long history, in about two minutes

Everything runs in turns on the same machine, so that ratios are what counts: seconds move with
it. Each figure is the median of the rounds, with the least and the largest. Writes
`benchmarks/results/latest.json`, where a figure that was not measured now stays as it was, with
its time; and appends to `history.jsonl`.
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

from benchmarks import limits, memory, peers, years
from benchmarks.bodies import Dirt, Form, Load
from benchmarks.copying import by_copy
from benchmarks.decode import decoding
from benchmarks.runs import Run, Service, serving, through_peer, through_service
from os_credits.store.migrate import migrate
from tests import database

RESULTS = Path(__file__).parent / "results"
WIDE, DEEP = Form(2000, 1), Form(500, 4)
DIRTY = Dirt(duplicates=0.05, late=0.01)
# So many samples of each series make everybody know it.
MEETING_STEPS = 2


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

    next_ms: int = field(default_factory=lambda: int(time.time() - 22 * 3_600) * 1000)

    def take(self, load: Load, steps: int) -> Load:
        """Place a load where nothing was sent yet."""
        placed = replace(load, start_ms=self.next_ms)
        self.next_ms += (steps + 1) * load.step_ms
        return placed


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: rounds, the steps of each load, and of the one that everybody gets.

    That one is longer: how it begins and ends is not what a sample costs.
    """

    rounds: int
    steps: int
    long_steps: int


QUICK = Scale(rounds=2, steps=32, long_steps=200)
FULL = Scale(rounds=5, steps=80, long_steps=400)
# A full body of 2,000 series is in flight on each of four lanes.
SERIES = 8_000
PROJECTS = 40
LOADS = {
    "clean": Load(SERIES, PROJECTS, WIDE, 0),
    "dirty": Load(SERIES, PROJECTS, WIDE, 0, dirt=DIRTY),
    "deep": Load(SERIES, PROJECTS, DEEP, 0),
    "few_projects": Load(SERIES, 20, WIDE, 0),
    "many_projects": Load(SERIES, 2_000, WIDE, 0),
}
# Hours are open, as those of samples of now are: what is measured is not the booking of the past.
SETTINGS = {"OS_CREDITS_GRACE_PERIOD_SECONDS": "86400"}


async def measure(owner_url: str, service_url: str, scale: Scale, folder: Path) -> Figures:
    """Run all rounds, everybody in turns."""
    figures, times = Figures(), Times()
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(owner_url, service_url, SETTINGS))
        others = [
            await stack.enter_async_context(peers.running(name, folder / name))
            for name in ("prometheus", "victoria-metrics")
        ]
        await _meet(service, others, times)
        for _ in range(scale.rounds):
            await _against_others(figures, service, others, scale.long_steps, times)
            await _against_itself(figures, service, scale.steps, times)
            figures.add("service_resident_megabytes", service.resident_bytes / 2**20)
    return figures


async def _meet(service: Service, others: list[peers.Peer], times: Times) -> None:
    """Let everybody see every series for the first time, which is not counted."""
    for load in LOADS.values():
        placed = times.take(load, MEETING_STEPS)
        await through_service(service, placed, MEETING_STEPS)
        for peer in others:
            await through_peer(peer, placed, MEETING_STEPS)


async def _against_others(
    figures: Figures, service: Service, others: list[peers.Peer], steps: int, times: Times
) -> None:
    """Give everybody the same samples."""
    load = times.take(LOADS["clean"], steps)
    copied = await by_copy(service.conn, load, steps, service.postmaster)
    billed = await through_service(service, load, steps)
    figures.add_run("copy", copied)
    figures.add_run("service", billed)
    figures.add("acknowledged_per_second", billed.samples / billed.acknowledged_seconds)
    figures.add("throughput_vs_copy", billed.rate / copied.rate)
    figures.add("wal_vs_copy", billed.wal_per_sample / copied.wal_per_sample)
    for peer in others:
        stored = await through_peer(peer, load, steps)
        key = peer.name.replace("-", "")
        figures.add_run(key, stored)
        figures.add(f"cpu_vs_{key}", billed.cpu_per_million / stored.cpu_per_million)


async def _against_itself(figures: Figures, service: Service, steps: int, times: Times) -> None:
    """Give the service other loads, all of the same length."""
    cpu = {}
    for name, load in LOADS.items():
        run = await through_service(service, times.take(load, steps), steps)
        cpu[name] = run.cpu_per_million
        figures.add(f"{name}_cpu_per_million", run.cpu_per_million)
    figures.add("dirty_vs_clean", cpu["dirty"] / cpu["clean"])
    figures.add("projects_2000_vs_20", cpu["many_projects"] / cpu["few_projects"])


def main() -> None:
    """Measure, print, record and judge."""
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
    for _ in range(scale.rounds):
        for key, value in decoding().items():
            figures.add(key, value)
    for value in memory.run(memory.QUICK if given.quick else memory.FULL):
        figures.add("bytes_per_series", value)
    if not given.quick:
        figures.values |= years.run(years.FULL)
    summary = figures.summary()
    _record(summary, is_quick=given.quick)
    gross = limits.report({key: figure["median"] for key, figure in summary.items()})
    if gross:
        raise SystemExit(f"more than {limits.GROSS:g} times as bad as usual: {'; '.join(gross)}")


def _record(summary: dict[str, dict[str, float]], *, is_quick: bool) -> None:
    for name, figure in summary.items():
        print(f"{name:40} {figure['median']:>12} ({figure['min']} - {figure['max']})")
    print()
    RESULTS.mkdir(exist_ok=True)
    how = {"at": int(time.time()), "quick": is_quick}
    latest = RESULTS / "latest.json"
    known = json.loads(latest.read_text(encoding="utf-8")) if latest.exists() else {}
    known |= {key: {**figure, **how} for key, figure in summary.items()}
    latest.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    with (RESULTS / "history.jsonl").open("a", encoding="utf-8") as history:
        history.write(json.dumps({**how, **summary}) + "\n")


if __name__ == "__main__":
    main()
