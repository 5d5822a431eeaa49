"""What a sender hands in: columns of samples, and what had to be refused.

A push travels as columns (one array for each attribute), never as one object per sample.
Its label sets stay as the bytes the sender wrote (`keys`), so that a label set that is
already known costs one lookup; they are read into labels on first sight only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from os_credits.domain.key_spans import KeySpans

# Labels of one series, sorted by name, the metric's own name under `__name__`.
Labels = tuple[tuple[str, str], ...]

# What a body consists of, as error messages count it.
PushUnit = Literal["line", "series", "metric"]

# The bits of the NaN by which Prometheus says: this series ended here
# (prometheus/model/value: StaleNaN). Compared as bits, since any NaN is unequal to itself.
STALE_MARKER_BITS = 0x7FF0000000000002


@dataclass(frozen=True, slots=True)
class Rejected:
    """Samples that were refused: where they stood, why, and how many they were."""

    where: str
    reason: str
    sample_count: int = 1


@dataclass(slots=True)
class Push:
    """The readable part of one body, in columns, and the refused part as `rejected`.

    `keys[key_index[i]]` is the label set of sample i as the sender wrote it; one that several time
    series of a body share may stand in `keys` once for each. `times_ms[i]` is the sample's
    time in milliseconds since the epoch (floored), `values[i]` its value, `positions[i]` the
    1-based number of the line, time series or metric that held it (`unit` says which of them).
    `untimed[i]` is set where the sender gave no time; `times_ms[i]` is then 0.
    `texts` counts, by the name of the metric, the fields that hold text and so no sample.
    `..._written` count what a remote write 2.0 answer must name besides samples.
    """

    unit: PushUnit
    keys: KeySpans
    key_index: NDArray[np.int32]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    positions: NDArray[np.int32]
    untimed: NDArray[np.bool_]
    rejected: list[Rejected] = field(default_factory=list)
    texts: Counter[str] = field(default_factory=Counter)
    histograms_written: int = 0
    exemplars_written: int = 0

    def __len__(self) -> int:
        """Count the samples in the columns."""
        return len(self.times_ms)

    def where(self, index: int) -> str:
        """Say where sample `index` stood in the body, for an error message."""
        return f"{self.unit} {int(self.positions[index])}"


def is_stale(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which values are Prometheus' stale marker, by their bits."""
    bits: NDArray[np.int64] = np.ascontiguousarray(values).view(np.int64)
    stale: NDArray[np.bool_] = bits == STALE_MARKER_BITS
    return stale
