"""The service's own figures for Prometheus: how it fares, never who used what.

Counts are those of this process since it started; what waits in the database is read anew for
each answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from os_credits.flows.clock import Clock
    from os_credits.flows.stats import Stats

PREFIX = "os_credits"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is true at the moment of the answer; None for what the database could not say."""

    started_at_seconds: float
    ready: bool
    label_sets_known: int
    body_bytes_held: int
    peers_connected: int
    peers_cut: int
    connections_open: int
    connections_idle: int
    batches_waiting: int | None
    samples_waiting: int | None


class Metrics:
    """The figures of one application, in a registry of its own."""

    def __init__(self, stats: Stats, clock: Clock) -> None:
        """Look at these counters whenever asked."""
        self._registry = CollectorRegistry()
        self._registry.register(_Counters(stats, clock))
        ProcessCollector(namespace=PREFIX, registry=self._registry)
        self._seconds = Histogram(
            f"{PREFIX}_http_request_seconds",
            "Time from the request line to the answer, by route.",
            ("method", "route", "status"),
            registry=self._registry,
            buckets=_SECONDS,
        )

    def note_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; `route` is the declared path, never what was asked."""
        self._seconds.labels(method, route, str(status)).observe(seconds)

    def render(self, accept: str, gauges: Gauges) -> tuple[bytes, str]:
        """Write all figures in the format that `accept` prefers; also give its content type."""
        encode, content_type = choose_encoder(accept)
        once = CollectorRegistry()
        once.register(_AtTheMoment(gauges))
        text = encode(self._registry)
        if text.endswith(b"# EOF\n"):
            return text.removesuffix(b"# EOF\n") + encode(once), content_type
        return text + encode(once), content_type


class _Counters(Collector):
    """Gives what `Stats` and the clock have counted."""

    def __init__(self, stats: Stats, clock: Clock) -> None:
        self._stats = stats
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Give every counter under its name."""
        stats = self._stats
        yield _counts("pushes", "Pushes answered after their commit.", "door", stats.pushes)
        yield _counts("samples_accepted", "Samples made durable.", "meter", stats.accepted)
        yield _counts("samples_set_aside", "Never billable.", "reason", stats.set_aside)
        yield _counts("samples_refused", "Told to their sender.", "reason", stats.refused)
        for name, text, count in (
            ("samples_unknown", "Of metrics no meter names.", stats.unknown_metrics.total()),
            ("samples_rated", "Samples that rating has taken.", stats.rated_samples),
            ("samples_duplicate", "Rated samples that were there.", stats.duplicate_samples),
            ("samples_late", "Rated samples behind a later one.", stats.late_samples),
            ("samples_excluded", "Rated samples that an exclusion covers.", stats.excluded_samples),
        ):
            yield CounterMetricFamily(f"{PREFIX}_{name}", text, value=count)
        yield _counts("entries_booked", "Lines of the ledger.", "kind", stats.booked_entries)
        last = GaugeMetricFamily(
            f"{PREFIX}_last_sample_timestamp_seconds", "Latest accepted time.", labels=["meter"]
        )
        for meter, ms in list(stats.last_sample_ms.items()):
            last.add_metric([meter], ms / 1000)
        yield last
        yield from self._jobs()

    def _jobs(self) -> Iterator[Metric]:
        jobs = self._clock.tasks()
        for key, text in (("runs", "Runs of a job."), ("failures", "Runs that failed.")):
            yield _counts(f"job_{key}", text, "job", {job["name"]: job[key] for job in jobs})
        seconds = GaugeMetricFamily(
            f"{PREFIX}_job_last_seconds", "Length of the last run.", labels=["job"]
        )
        for job in jobs:
            seconds.add_metric([job["name"]], job["last_seconds"])
        yield seconds


class _AtTheMoment(Collector):
    """Gives what was read for this answer."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        """Give every gauge that could be read."""
        gauges = self._gauges
        for name, text, value in (
            ("start_time_seconds", "When the process started.", gauges.started_at_seconds),
            ("ready", "1 if pushes are taken.", int(gauges.ready)),
            ("label_sets_known", "Label sets in memory.", gauges.label_sets_known),
            ("body_bytes_held", "Bytes of pushes in flight.", gauges.body_bytes_held),
            ("peers_connected", "Connections of senders and readers.", gauges.peers_connected),
            ("peers_cut", "Cut since the start, for others or overdue.", gauges.peers_cut),
            ("connections_open", "Connections to the database.", gauges.connections_open),
            ("connections_idle", "Those that nobody uses.", gauges.connections_idle),
            ("batches_waiting", "Durable, not yet rated.", gauges.batches_waiting),
            ("samples_waiting", "Samples in those batches.", gauges.samples_waiting),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _counts(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
    for value, count in list(counts.items()):
        family.add_metric([value], count)
    return family
