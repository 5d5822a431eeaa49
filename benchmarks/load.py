"""Bodies as a real Prometheus would send them: servers of projects, eleven labels each."""

from __future__ import annotations

from dataclasses import dataclass

from os_credits.decode.remote_write_encode import encode_v1

PROJECTS = 40
METERS = ("project_vcpu_usage", "project_mb_usage", "openstack_nova_server_status")
FLAVORS = ("m1.tiny", "m1.small", "m1.medium", "m1.large")


@dataclass(frozen=True, slots=True)
class Load:
    """`series_count` series that are sampled every `step_ms`, from `start_ms` on."""

    series_count: int
    start_ms: int
    step_ms: int

    def labels(self, number: int) -> tuple[tuple[str, str], ...]:
        """Give the labels of one series."""
        meter = METERS[2] if number >= PROJECTS * 2 else METERS[number // PROJECTS]
        project = number % PROJECTS
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
        return tuple(sorted(labels.items()))

    def body(self, step: int) -> bytes:
        """Make the remote write body of one scrape of all series."""
        time_ms = self.start_ms + step * self.step_ms
        return encode_v1(
            (self.labels(number), [(time_ms, step * 0.001 * (1 + number % 5))])
            for number in range(self.series_count)
        )
