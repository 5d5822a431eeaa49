"""Read the usual end of a 1.0 time series, its one sample, for a whole body at once.

Prometheus sends each sample as a time series of its own, and writes it in 18 bytes: field 2 of
length 16, a value of 8 bytes, a time of 6 (milliseconds from the years 1971 to 2109). Taken
together these ends are an array, which numpy reads about ten times as fast as any parser.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from os_credits.decode.varint import MORE

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


def lone_sample(end_of_series: bytes) -> bytes | None:
    """Return the 18 bytes of the one sample that may be all that follows the labels."""
    if len(end_of_series) == SAMPLE_BYTES and end_of_series.startswith(SAMPLE_HEAD):
        return end_of_series
    if len(end_of_series) == ZERO_SAMPLE_BYTES and end_of_series.startswith(ZERO_SAMPLE_HEAD):
        return SAMPLE_HEAD + bytes(8) + end_of_series[2:]
    return None


def read_lone_samples(
    samples: Sequence[bytes],
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Read times and values, or None if one of `samples` is not quite of this form."""
    rows = np.frombuffer(b"".join(samples), SAMPLE)
    time = rows["time"]
    usual = (rows["time_tag"] == TIME_TAG).all() and (time[:, -1] < MORE).all()
    if not usual or (time[:, :-1] < MORE).any():
        return None
    shifts = np.arange(0, 7 * TIME_BYTES, 7, dtype=np.int64)
    times_ms = ((time & (MORE - 1)).astype(np.int64) << shifts).sum(axis=1, dtype=np.int64)
    return times_ms, rows["value"].astype(np.float64)
