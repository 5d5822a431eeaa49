"""What this copy of the service has seen since it started, counted in memory and bounded.

Only for looking at (`/stats`, `/metrics`): nothing here decides about credits.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from os_credits.domain.period import from_ms
from os_credits.flows.source_counts import SourceCounts

if TYPE_CHECKING:
    from os_credits.domain.sample import Rejected

UNKNOWN_METRICS_MAX = 500
UNKNOWN_METRIC_LENGTH_MAX = 200
EXAMPLES_MAX = 20
OTHERS = "(others)"


@dataclass(slots=True)
class Stats:
    """Counters of one process; every dictionary has a bound."""

    pushes: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    set_aside: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    refused_examples: deque[str] = field(default_factory=lambda: deque(maxlen=EXAMPLES_MAX))
    unknown_metrics: Counter[str] = field(default_factory=Counter)
    last_sample_ms: dict[str, int] = field(default_factory=dict)
    rated_samples: int = 0
    duplicate_samples: int = 0
    late_samples: int = 0
    excluded_samples: int = 0
    booked_entries: Counter[str] = field(default_factory=Counter)
    sources: SourceCounts = field(default_factory=SourceCounts)

    def note_accepted(self, meter: str, count: int, last_ms: int) -> None:
        """Count accepted samples of a meter and remember the time of the latest."""
        self.accepted[meter] += count
        self.last_sample_ms[meter] = max(last_ms, self.last_sample_ms.get(meter, last_ms))

    def note_unknown(self, metric: str, count: int) -> None:
        """Count samples of a metric that no meter claims, by name up to a bound."""
        metric = metric[:UNKNOWN_METRIC_LENGTH_MAX]
        if metric not in self.unknown_metrics and len(self.unknown_metrics) >= UNKNOWN_METRICS_MAX:
            metric = OTHERS
        self.unknown_metrics[metric] += count

    def note_refused(self, code: str, rejected: Rejected) -> None:
        """Count refused samples by a short reason and keep the last examples."""
        self.refused[code] += rejected.sample_count
        self.refused_examples.append(f"{rejected.where}: {rejected.reason}")

    def snapshot(self) -> dict[str, Any]:
        """Give all counters as plain values for JSON."""
        return {
            "pushes": dict(self.pushes),
            "accepted_samples": dict(self.accepted),
            "set_aside_samples": dict(self.set_aside),
            "refused_samples": dict(self.refused),
            "refused_examples": list(self.refused_examples),
            "unknown_metrics": dict(self.unknown_metrics),
            "last_sample_at": {
                meter: from_ms(ms).isoformat() for meter, ms in self.last_sample_ms.items()
            },
            "rated_samples": self.rated_samples,
            "duplicate_samples": self.duplicate_samples,
            "late_samples": self.late_samples,
            "excluded_samples": self.excluded_samples,
            "booked_entries": dict(self.booked_entries),
        }
