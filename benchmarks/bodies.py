"""Bodies as real Prometheus servers send them: forms, mixtures, duplicates and late samples.

A load is split by series over lanes: each connection sends its own series in the order of time,
as the shards of a Prometheus do, since a receiver that takes nothing out of order refuses more.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.decode.remote_write_encode import encode_v1

if TYPE_CHECKING:
    from collections.abc import Iterator

METERS = ("project_vcpu_usage", "project_mb_usage", "openstack_nova_server_status")
FLAVORS = ("m1.tiny", "m1.small", "m1.medium", "m1.large")
# Labels beyond the eight that every series has: real ones carry between 8 and 12.
MORE_LABELS = (("prometheus", "site-a"), ("availability_zone", "nova"), ("cluster", "compute-1"))
# How many scrapes later a late sample comes.
LATE_BY = 7


@dataclass(frozen=True, slots=True)
class Form:
    """How many series are in one body, and how many samples of each."""

    series: int
    samples: int


@dataclass(frozen=True, slots=True)
class Dirt:
    """Which parts of the samples come twice, and which come late."""

    duplicates: float = 0.0
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """`series` of `projects`, sampled each `step_ms` from `start_ms` on, sent over some lanes."""

    series: int
    projects: int
    form: Form
    start_ms: int
    step_ms: int = 15_000
    lanes: int = 4
    dirt: Dirt = Dirt()

    def labels(self, number: int) -> tuple[tuple[str, str], ...]:
        """Give the labels of one series: counters of its project, else a server's state."""
        project = number % self.projects
        meter = METERS[min(number // self.projects, 2)]
        labels = {
            "__name__": meter,
            "instance": f"exporter-{number % 7}:9180",
            "job": "openstack",
            "location_id": "1",
            "project_id": f"{project:032x}",
            "project_name": f"project-{project}",
            "domain_name": "default",
            "tenant_id": f"{project:032x}",
        }
        if meter == METERS[2]:
            labels |= {
                "id": f"server-{number}",
                "flavor_id": FLAVORS[number % len(FLAVORS)],
                "status": "ACTIVE",
            }
        labels |= dict(MORE_LABELS[: number % (len(MORE_LABELS) - (2 if len(labels) > 9 else 0))])
        return tuple(sorted(labels.items()))

    def sample(self, number: int, step: int) -> tuple[int, float]:
        """Give time (ms) and value of a series at a step: counters grow, servers are there."""
        return self.start_ms + step * self.step_ms, round(step * 0.001 * (1 + number % 5), 3)

    def count(self, steps: int) -> int:
        """Count the samples of so many steps, each once."""
        return self.series * steps

    def lane_bodies(self, steps: int) -> list[list[bytes]]:
        """Make the bodies of each lane, in the order in which it sends them."""
        chance = random.Random(f"{self.series} {self.start_ms} {self.dirt}")
        return [list(self._bodies_of(lane, steps, chance)) for lane in range(self.lanes)]

    def _bodies_of(self, lane: int, steps: int, chance: random.Random) -> Iterator[bytes]:
        own = range(lane, self.series, self.lanes)
        labels = {number: self.labels(number) for number in own}
        waiting: dict[int, list[tuple[int, int]]] = {}
        for first in range(0, steps, self.form.samples):
            together = range(first, min(first + self.form.samples, steps))
            for start in range(0, len(own), self.form.series):
                part = own[start : start + self.form.series]
                yield encode_v1(
                    (labels[number], samples)
                    for number in part
                    if (samples := self._samples(number, together, waiting, chance, steps))
                )

    def _samples(
        self,
        number: int,
        together: range,
        waiting: dict[int, list[tuple[int, int]]],
        chance: random.Random,
        steps: int,
    ) -> list[tuple[int, float]]:
        """Give a series' samples of some steps: some held back for later, some told again."""
        sent: list[int] = []
        held = waiting.setdefault(number, [])
        due = [step for until, step in held if until <= together[0]]
        held[:] = [one for one in held if one[0] > together[0]]
        for step in together:
            is_held = chance.random() < self.dirt.late and step + LATE_BY < steps - LATE_BY
            if is_held:
                held.append((step + LATE_BY, step))
            else:
                sent.append(step)
            if step and chance.random() < self.dirt.duplicates:
                due.append(step - 1)
        return [self.sample(number, step) for step in sorted({*due, *sent})]
