"""Bodies as real Prometheus servers send them: forms, mixtures, duplicates and late samples.

A load is split by series over lanes: each connection sends its own series in the order of time,
as the shards of a Prometheus do, since a receiver that takes nothing out of order refuses more.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING
from uuid import UUID

from os_credits.decode.remote_write_encode import encode_v1

if TYPE_CHECKING:
    from collections.abc import Iterator

METERS = ("project_vcpu_usage", "project_mb_usage", "openstack_nova_server_status")
FLAVORS = ("m1.tiny", "m1.small", "m1.medium", "m1.large")
# What a Prometheus adds to every series that it sends on, as far as it is told to.
EXTERNAL_LABELS = (
    ("monitor", "openstack-production"),
    ("region", "site-a"),
    ("availability_zone", "nova"),
)
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
        """Give the labels of one series: counters of its project, else a server's state.

        Named, and about as long, as those of the usage exporter and of openstack-exporter.
        """
        project = number % self.projects
        meter = METERS[min(number // self.projects, len(METERS) - 1)]
        labels = {
            "__name__": meter,
            "instance": f"exporter-{number % 7}.monitoring.cloud.example:9180",
            "job": "openstack-exporter",
            "location_id": "1",
            "tenant_id": _id_of("project", project),
        }
        if meter == METERS[-1]:
            labels |= {
                "id": str(UUID(_id_of("server", number))),
                "name": f"worker-{number}.project-{project}",
                "user_id": _id_of("user", project),
                "hypervisor_hostname": f"compute-{number % 97:03}.cloud.example",
                "flavor_id": FLAVORS[number % len(FLAVORS)],
                "status": "ACTIVE",
            }
        else:
            labels |= {
                "project_id": _id_of("project", project),
                "project_name": f"project-{project}-of-a-research-group",
                "domain_id": _id_of("domain", project % 3),
                "domain_name": "federated-login.example",
            }
        labels |= dict(EXTERNAL_LABELS[: number % (2 if meter == METERS[-1] else 4)])
        return tuple(sorted(labels.items()))

    def sample(self, number: int, step: int) -> tuple[int, float]:
        """Give time (ms) and value of a series at a step: counters grow, ACTIVE servers say 0."""
        time_ms = self.start_ms + step * self.step_ms
        if number // self.projects >= METERS.index("openstack_nova_server_status"):
            return time_ms, 0.0
        return time_ms, round(step * 0.001 * (1 + number % 5), 3)

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


def _id_of(kind: str, number: int) -> str:
    """Make an id as OpenStack writes them: 32 hexadecimal digits that look like chance."""
    return blake2b(f"{kind} {number}".encode(), digest_size=16).hexdigest()
