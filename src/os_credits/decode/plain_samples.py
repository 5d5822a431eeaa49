"""Read the usual samples of time series, which all look alike, for a whole body at once.

Prometheus writes a sample in 18 bytes: field 2 of length 16, a value of 8 bytes, a time of 6
(milliseconds from the years 1971 to 2109). Taken together the samples of a body are an array,
which numpy reads about ten times as fast as any parser.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from os_credits.decode.columns import Columns
from os_credits.decode.varint import MORE
from os_credits.domain.sample import Push

SAMPLE_TAG = 0x12
SAMPLE_HEAD = b"\x12\x10\x09"
SAMPLE_BYTES = 18

# A value of zero is not written at all, as everywhere in protobuf.
ZERO_SAMPLE_HEAD = b"\x12\x07\x10"
ZERO_SAMPLE_BYTES = 9

TIME_TAG = 0x10
TIME_BYTES = 6

SAMPLE = np.dtype(
    [("head", "V3"), ("value", "<f8"), ("time_tag", "u1"), ("time", "u1", (TIME_BYTES,))]
)

_SEVERAL_SAMPLES = re.compile(rb"(?:\x12\x10\x09.{8}\x10.{6}){2,}", re.DOTALL)


class NotPlain(Exception):
    """Something only looked like samples: the series have to be parsed."""


def plain_samples(series_end: bytes) -> tuple[bytes, bytes]:
    """Cut off the samples that stand in front, 18 bytes for each; also return what follows.

    Nothing is cut off what does not look like samples. What does may still be something else:
    `read_plain_samples` tells.
    """
    length = len(series_end)
    if length >= SAMPLE_BYTES and series_end.startswith(SAMPLE_HEAD):
        if length == SAMPLE_BYTES:  # as nearly all are in 1.0
            return series_end, b""
        if series_end[SAMPLE_BYTES] != SAMPLE_TAG:
            return series_end[:SAMPLE_BYTES], series_end[SAMPLE_BYTES:]
        several = _SEVERAL_SAMPLES.match(series_end)
        return (several[0], series_end[several.end() :]) if several else (b"", series_end)
    if length >= ZERO_SAMPLE_BYTES and series_end.startswith(ZERO_SAMPLE_HEAD):
        time = series_end[len(ZERO_SAMPLE_HEAD) - 1 : ZERO_SAMPLE_BYTES]
        return SAMPLE_HEAD + bytes(8) + time, series_end[ZERO_SAMPLE_BYTES:]
    return b"", series_end


def read_plain_samples(
    samples: Sequence[bytes],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read times and values; raises NotPlain if one of `samples` is not quite of this form."""
    rows = np.frombuffer(b"".join(samples), SAMPLE)
    time = rows["time"]
    usual = (rows["time_tag"] == TIME_TAG).all() and (time[:, -1] < MORE).all()
    if not usual or (time[:, :-1] < MORE).any():
        raise NotPlain
    shifts = np.arange(0, 7 * TIME_BYTES, 7, dtype=np.int64)
    times_ms = ((time & (MORE - 1)).astype(np.int64) << shifts).sum(axis=1, dtype=np.int64)
    return times_ms, rows["value"].astype(np.float64)


class PlainRows:
    """Rows whose place is kept in columns until all their samples are read at once."""

    def __init__(self, columns: Columns) -> None:
        """Start without any."""
        self._columns = columns
        self._add = columns.add
        self._times_ms = columns.times_ms
        self._rows: list[int] = []
        self._samples: list[bytes] = []

    def add_one(self, key: bytes, sample: bytes, position: int) -> None:
        """Append a series of one plain sample, as nearly all are."""
        self._samples.append(sample)
        self._rows.append(len(self._times_ms))
        self._add(key, 0, 0.0, position)

    def add(self, key: bytes, samples: bytes, position: int) -> None:
        """Append the `plain_samples` of one series."""
        count = len(samples) // SAMPLE_BYTES
        if count > 1:
            self._columns.take_up(count)
        self._samples.append(samples)
        for _ in range(count):
            self._rows.append(len(self._times_ms))
            self._add(key, 0, 0.0, position)

    def push(self) -> Push:
        """Hand out the columns; raises NotPlain if something only looked like a sample."""
        push = self._columns.push()
        if self._rows:
            read = read_plain_samples(self._samples)
            rows = slice(None) if len(self._rows) == len(push) else self._rows
            push.times_ms[rows], push.values[rows] = read
        return push
