"""Collect samples one by one and hand them out as the columns of a push."""

from __future__ import annotations

from collections import Counter

import numpy as np

from os_credits.domain.key_spans import KeySpans
from os_credits.domain.sample import Push, PushUnit, Rejected
from os_credits.errors import TooLarge

# No honest sender comes near (Prometheus sends 2,000 samples at once, Telegraf 1,000 points), but
# a megabyte of gzip can hold so many tiny points that reading them would take minutes. A piece is a
# line, a field, a series, a sample, a histogram or an exemplar. A setting may say otherwise.
PIECES_MAX = 250_000

# In remote write 2.0 a thousand series may all refer to one label of a megabyte; so may, in line
# protocol and JSON, the fields of one point.
KEYS_BYTES_MAX = 128 * 1024 * 1024

# As many as Python keeps for each character of a text that holds a strange one.
CHARACTER_BYTES_MAX = 4


class Columns:
    """The growing columns of one push; each attribute is what `Push` says of its namesake."""

    __slots__ = (
        "exemplars_written",
        "histograms_written",
        "key_bytes",
        "key_index",
        "key_numbers",
        "piece_count",
        "pieces_max",
        "positions",
        "rejected",
        "texts",
        "times_ms",
        "unit",
        "untimed",
        "values",
    )

    def __init__(self, unit: PushUnit, pieces_max: int = PIECES_MAX) -> None:
        self.unit = unit
        self.pieces_max = pieces_max
        self.key_numbers: dict[bytes, int] = {}
        self.key_bytes = 0
        self.piece_count = 0
        self.key_index: list[int] = []
        self.times_ms: list[int] = []
        self.values: list[float] = []
        self.positions: list[int] = []
        self.untimed: list[int] = []  # the numbers of the samples without a time
        self.rejected: list[Rejected] = []
        self.texts: Counter[str] = Counter()
        self.histograms_written = 0
        self.exemplars_written = 0

    def take_up(self, piece_count: int) -> None:
        """Count pieces before they are read; raises TooLarge beyond `pieces_max`."""
        self.piece_count += piece_count
        if self.piece_count > self.pieces_max:
            raise too_many_pieces(self.pieces_max)

    def key_number(self, key: bytes) -> int:
        """Give `key` its number: the one it has, or the next."""
        number = self.key_numbers.get(key)
        if number is None:
            number = self.key_numbers[key] = len(self.key_numbers)
            self._take_up_bytes(len(key))
        return number

    def add(self, key: bytes, time_ms: int | None, value: float, position: int) -> None:
        """Append one sample; `time_ms` is None where the sender gave no time."""
        if time_ms is None:
            self.untimed.append(len(self.times_ms))
            time_ms = 0
        self.key_index.append(self.key_number(key))
        self.times_ms.append(time_ms)
        self.values.append(value)
        self.positions.append(position)

    def add_text(self, metric: str, count: int = 1) -> None:
        """Count fields of this metric that hold text."""
        if metric not in self.texts:
            self._take_up_bytes(CHARACTER_BYTES_MAX * len(metric))
        self.texts[metric] += count

    def reject(self, position: int, reason: str, sample_count: int = 1) -> None:
        """Note that the piece at `position` is refused, and why."""
        self.rejected.append(Rejected(f"{self.unit} {position}", reason, sample_count))

    def _take_up_bytes(self, byte_count: int) -> None:
        self.key_bytes += byte_count
        if self.key_bytes > KEYS_BYTES_MAX:
            raise TooLarge(f"more than {KEYS_BYTES_MAX} bytes of labels in one body")

    def push(self) -> Push:
        """Hand out what was collected, in the order in which it was added."""
        untimed = np.zeros(len(self.times_ms), np.bool_)
        untimed[self.untimed] = True
        return Push(
            unit=self.unit,
            keys=KeySpans.of(self.key_numbers),
            key_index=np.array(self.key_index, np.int32),
            times_ms=np.array(self.times_ms, np.int64),
            values=np.array(self.values, np.float64),
            positions=np.array(self.positions, np.int32),
            untimed=untimed,
            rejected=self.rejected,
            texts=self.texts,
            histograms_written=self.histograms_written,
            exemplars_written=self.exemplars_written,
        )


def too_many_pieces(pieces_max: int) -> TooLarge:
    """Give the refusal of a body that holds more pieces than one may."""
    return TooLarge(f"more than {pieces_max} lines, series or samples in one body")
