"""Bodies as senders write them, about one project's vCPU counter."""

import gzip
import time
from pathlib import Path

from os_credits.decode.remote_write_encode import encode_v1, encode_v2
from os_credits.domain.sample import Labels

CAPTURES = Path(__file__).resolve().parent.parent / "data" / "remote_write"

V1 = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
V2 = {
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "Content-Encoding": "snappy",
}
SAMPLES = "X-Prometheus-Remote-Write-Samples-Written"
HISTOGRAMS = "X-Prometheus-Remote-Write-Histograms-Written"
EXEMPLARS = "X-Prometheus-Remote-Write-Exemplars-Written"


def now_ms() -> int:
    """Give the time of a sample that is measured now."""
    return time.time_ns() // 1_000_000


def vcpu_labels(project: str = "alpha", site: str = "1", **more: str) -> Labels:
    """Give the labels of one project's counter, sorted."""
    labels = {
        "__name__": "project_vcpu_usage",
        "project_id": f"id-{project}",
        "project_name": project,
        "location_id": site,
        **more,
    }
    return tuple(sorted(labels.items()))


def vcpu_v1(*values: float, project: str = "alpha", site: str = "1") -> bytes:
    """Write a remote write 1.0 body: one sample a second, the last of them now."""
    return encode_v1([(vcpu_labels(project, site), _timed(values))])


def vcpu_v2(*values: float, project: str = "alpha") -> bytes:
    """Write the same as remote write 2.0."""
    return encode_v2([(vcpu_labels(project), _timed(values))])


def _timed(values: tuple[float, ...]) -> list[tuple[int, float]]:
    start = now_ms() - 1000 * len(values)
    return [(start + 1000 * number, value) for number, value in enumerate(values, 1)]


def vcpu_line(value: float, project: str = "alpha", site: str = "1") -> str:
    """Write a line of line protocol, measured now, in nanoseconds."""
    tags = f"project_id=id-{project},project_name={project},location_id={site}"
    return f"project_vcpu_usage,{tags} value={value} {now_ms()}000000"


def gzipped(text: str) -> bytes:
    """Pack as Telegraf does."""
    return gzip.compress(text.encode())
