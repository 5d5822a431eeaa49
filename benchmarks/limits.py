"""What each ratio should reach, what it usually is, and when a run has to fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Ratios move with the machine and its neighbours; twice as bad as usual is no chance.
GROSS = 2.0


@dataclass(frozen=True, slots=True)
class Limit:
    """A ratio's name, the goal, and its usual value; larger is better or smaller is."""

    key: str
    reach: float
    usual: float
    larger_is_better: bool = False

    def is_reached(self, value: float) -> bool:
        """Tell whether a value is as good as the goal."""
        return value >= self.reach if self.larger_is_better else value <= self.reach

    def is_grossly_worse(self, value: float) -> bool:
        """Tell whether a value is more than twice as bad as usual."""
        if self.larger_is_better:
            return value * GROSS < self.usual
        return value > self.usual * GROSS


LIMITS = (
    # What a load waits for at its end is a good part of the time of a short one.
    Limit("throughput_vs_copy", reach=0.4, usual=0.4, larger_is_better=True),
    Limit("cpu_vs_prometheus", reach=0.5, usual=0.45),
    Limit("cpu_vs_victoriametrics", reach=2.0, usual=2.0),
    Limit("wal_vs_copy", reach=2.5, usual=1.3),
    Limit("decode_vs_snappy", reach=3.0, usual=1.8),
    Limit("decode_vs_snappy_python", reach=6.0, usual=5.0),
    Limit("projects_2000_vs_20", reach=2.0, usual=1.6),
    Limit("history_5y_vs_fresh", reach=1.3, usual=1.1),
    Limit("read_history_p99_5y_vs_1y", reach=1.5, usual=1.1),
    Limit("dirty_vs_clean", reach=1.5, usual=1.2),
    Limit("bytes_per_series", reach=700, usual=400),
)


def report(medians: Mapping[str, float]) -> list[str]:
    """Print each ratio beside its goal, and give the ones that are grossly worse than usual."""
    gross = []
    for limit in LIMITS:
        value = medians.get(limit.key)
        if value is None:
            continue
        verdict = "reached" if limit.is_reached(value) else "not reached"
        sign = ">=" if limit.larger_is_better else "<="
        print(f"{limit.key:32} {value:8.3f}   {sign} {limit.reach:<5} {verdict}")
        if limit.is_grossly_worse(value):
            gross.append(f"{limit.key}: {value:.3f}, usually {limit.usual}")
    return gross
