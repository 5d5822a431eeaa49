"""Running totals of a simulated project's servers: what its counters show at any moment."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

from os_credits.demo.cast import Project
from os_credits.demo.rhythm import ANCHOR_MS, day_of, runs_of_day

# Curves are made for this many days at once, and kept.
_DAYS = 30


@dataclass(frozen=True, slots=True)
class Curve:
    """What a project has used since the anchor, by the moments at which its level changed.

    `vcpus` and `memory_gib` are the levels from each moment on, the totals are in vCPU x ms
    and GiB x ms at that moment.
    """

    times_ms: list[int]
    vcpus: list[int]
    memory_gib: list[int]
    vcpu_totals: list[int]
    memory_totals: list[int]

    def totals_at(self, time_ms: int) -> tuple[int, int]:
        """Give both totals at a moment, in vCPU x ms and GiB x ms."""
        place = bisect_right(self.times_ms, time_ms) - 1
        if place < 0:
            return 0, 0
        passed_ms = time_ms - self.times_ms[place]
        return (
            self.vcpu_totals[place] + self.vcpus[place] * passed_ms,
            self.memory_totals[place] + self.memory_gib[place] * passed_ms,
        )


def curve_of(project: Project, time_ms: int) -> Curve:
    """Give the project's curve, which is known up to this moment at least."""
    return _curve_up_to(project, (day_of(time_ms) // _DAYS + 1) * _DAYS)


@lru_cache(maxsize=16)
def _curve_up_to(project: Project, last_day: int) -> Curve:
    vcpu_changes: dict[int, int] = defaultdict(int, {ANCHOR_MS: 0})
    memory_changes: dict[int, int] = defaultdict(int, {ANCHOR_MS: 0})
    for server in project.servers:
        for day in range(last_day + 1):
            for run in runs_of_day(server, day):
                for moment, sign in ((run.start_ms, 1), (run.end_ms, -1)):
                    vcpu_changes[moment] += sign * run.flavor.vcpus
                    memory_changes[moment] += sign * run.flavor.memory_gib
    times = sorted(vcpu_changes)
    vcpus = list(accumulate(vcpu_changes[moment] for moment in times))
    memory = list(accumulate(memory_changes[moment] for moment in times))
    lengths = [after - before for before, after in pairwise(times)]
    return Curve(times, vcpus, memory, _totals(vcpus, lengths), _totals(memory, lengths))


def _totals(levels: list[int], lengths_ms: list[int]) -> list[int]:
    parts = (level * length for level, length in zip(levels, lengths_ms, strict=False))
    return list(accumulate(parts, initial=0))
