"""Bodies as real Prometheus servers send them: forms, mixtures, duplicates and late samples.

A load is split by series over lanes: each connection sends its own series in the order of time,
as the shards of a Prometheus do, since a receiver that takes nothing out of order refuses more.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING
from uuid import UUID

from os_credits.decode import snappy
from os_credits.decode.varint import framed, varint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from os_credits.domain.sample import Labels

# Fields of a remote write 1.0 body: a series in it, a label and a sample in that.
SERIES_TAG, LABEL_TAG, SAMPLE_TAG = b"\x0a", b"\x0a", b"\x12"

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
        """Give the bodies of each lane, in the order in which it sends them.

        Those that were asked for last are kept: several receivers get the same.
        """
        return _lane_bodies(self, steps)

    def made_bodies(self, steps: int) -> list[list[bytes]]:
        """Make anew what `lane_bodies` gives."""
        chance = random.Random(f"{self.series} {self.start_ms} {self.dirt}")
        return [list(self._bodies_of(lane, steps, chance)) for lane in range(self.lanes)]

    def _bodies_of(self, lane: int, steps: int, chance: random.Random) -> Iterator[bytes]:
        own = range(lane, self.series, self.lanes)
        labels = {number: label_fields(self.labels(number)) for number in own}
        sample = cache(lambda kind, step: sample_field(*self.sample(kind, step)))
        waiting: dict[int, list[tuple[int, int]]] = {}
        for first in range(0, steps, self.form.samples):
            together = range(first, min(first + self.form.samples, steps))
            for start in range(0, len(own), self.form.series):
                body = bytearray()
                for number in own[start : start + self.form.series]:
                    kind = self._like(number)
                    chosen = self._steps(number, together, waiting, chance, steps)
                    if chosen:
                        fields = b"".join([sample(kind, step) for step in chosen])
                        body += SERIES_TAG + framed(labels[number] + fields)
                yield snappy.compress(bytes(body))

    def _like(self, number: int) -> int:
        """Give the number of a series that has the same samples, of very few."""
        if number // self.projects >= len(METERS) - 1:
            return self.projects * (len(METERS) - 1)
        return number % 5

    def _steps(
        self,
        number: int,
        together: range,
        waiting: dict[int, list[tuple[int, int]]],
        chance: random.Random,
        steps: int,
    ) -> Sequence[int]:
        """Choose what is sent of a series now: some are held back for later, some told again."""
        if not self.dirt.duplicates and not self.dirt.late:
            return together
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
        return sorted({*due, *sent})


@lru_cache(maxsize=1)
def _lane_bodies(load: Load, steps: int) -> list[list[bytes]]:
    return load.made_bodies(steps)


def label_fields(labels: Labels) -> bytes:
    """Write the labels of a series as protobuf has them."""
    return b"".join(
        LABEL_TAG + framed(b"\n" + framed(name.encode()) + b"\x12" + framed(value.encode()))
        for name, value in labels
    )


def sample_field(time_ms: int, value: float) -> bytes:
    """Write a sample as Prometheus does: a value of zero is left out."""
    number = b"\x09" + struct.pack("<d", value) if value else b""
    return SAMPLE_TAG + framed(number + b"\x10" + varint(time_ms))


def _id_of(kind: str, number: int) -> str:
    """Make an id as OpenStack writes them: 32 hexadecimal digits that look like chance."""
    return blake2b(f"{kind} {number}".encode(), digest_size=16).hexdigest()
