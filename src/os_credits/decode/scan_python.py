"""Cut the usual remote write 1.0 body into keys and samples, all its series at once.

numpy walks the labels of all series in step: the first of each, then the second of each ... So a
label costs some nanoseconds, where a loop of Python would take a hundred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from google.protobuf.message import DecodeError

from os_credits.decode.message_fields import has_more_fields
from os_credits.decode.plain_samples import ZERO_SAMPLE_BYTES
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.remote_write_body import UNCOUNTED_BYTES_MAX
from os_credits.decode.remote_write_keys import LABEL_BLOCK_BYTES_MAX, LABEL_TAG
from os_credits.decode.scan_samples import at_any_place, read_samples
from os_credits.decode.varint import MORE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from os_credits.decode.scan import Scanned
    from os_credits.decode.scan_samples import Places

# The tag of a label and its length, in two bytes at most, stand in front of this one.
LABEL_START_MAX = LABEL_BLOCK_BYTES_MAX - 3
STEPS_MAX = LABEL_START_MAX // 2 + 2

# Lengths from these on take one byte more; those from the last on are not usual.
LENGTH_BOUNDS = (1 << 7, 1 << 14, 1 << 21)
LENGTH_END = 1 << 28

TWO_BYTES = np.dtype("<u2")

# By the first two bytes of a label: how many it takes; 0 for what is none with a short length.
SHORT_LABEL_BYTES = np.zeros(1 << 16, np.int64)
SHORT_LABEL_BYTES[LABEL_TAG : MORE << 8 : 1 << 8] = np.arange(2, MORE + 2)
SHORT_LABELS_MAX = 32


def scan_python(body: bytes, pieces_max: int) -> Scanned | None:
    """Do what `scan.py` says, without a compiler."""
    spans = _spans(body, pieces_max)
    if spans is None:
        return None
    starts, ends = spans
    labels_ends = _labels_ends(body, starts, ends)
    if labels_ends is None:
        return None
    samples = read_samples(body, labels_ends, ends, pieces_max)
    if samples is None:
        return None
    counts, times, values = samples
    return (
        starts.tobytes(), labels_ends.tobytes(), counts.astype(np.uint32).tobytes(), times, values,
    )  # fmt: skip


def _spans(body: bytes, pieces_max: int) -> tuple[Places, Places] | None:
    """Say where each series starts and ends; None if there is anything else in the body."""
    if len(body) > UNCOUNTED_BYTES_MAX and has_more_fields(body, pieces_max):
        return None
    try:
        request = proto.WriteRequest.FromString(body)
    except DecodeError:
        return None
    lengths = np.fromiter(map(len, request.timeseries), np.int64)
    if not 0 < len(lengths) <= pieces_max or lengths.max() >= LENGTH_END:
        return None
    framed = lengths + 2
    for bound in LENGTH_BOUNDS:
        framed += lengths >= bound
    ends = framed.cumsum()
    return (ends - lengths, ends) if ends[-1] == len(body) else None


def _labels_ends(body: bytes, starts: Places, ends: Places) -> Places | None:
    """Say where the labels of each series end; None if one of them is unusual.

    What steps over the end of its series goes astray, but never back: it is found at the end.
    """
    heads = at_any_place(body, TWO_BYTES)
    try:
        found = _short_labels_ends(heads, starts)
        if (found - starts).max() <= LABEL_START_MAX and (heads[found] & 0xFF != LABEL_TAG).all():
            return found if (found <= ends - ZERO_SAMPLE_BYTES).all() else None
        return _any_labels_ends(body, heads, starts, ends)
    except IndexError:  # beyond the end of the body
        return None


def _short_labels_ends(heads: NDArray[np.uint16], starts: Places) -> Places:
    """Say where the first labels end whose lengths are of one byte, as nearly all are."""
    at = starts.copy()
    for _ in range(SHORT_LABELS_MAX):
        steps = SHORT_LABEL_BYTES.take(heads[at])
        if not np.count_nonzero(steps):  # sooner said than any()
            break
        at += steps
    return at


def _any_labels_ends(
    body: bytes, heads: NDArray[np.uint16], starts: Places, ends: Places
) -> Places | None:
    """Do what `_labels_ends` says, whatever the labels: their series get fewer at each step."""
    octets = np.frombuffer(body, np.uint8)
    found = np.empty_like(starts)
    numbers, at = np.arange(len(starts)), starts
    for _ in range(STEPS_MAX):
        is_label = octets[at] == LABEL_TAG
        found[numbers[~is_label]] = at[~is_label]
        numbers, at = numbers[is_label], at[is_label]
        if not len(numbers):
            return found if (found <= ends - ZERO_SAMPLE_BYTES).all() else None
        if (at - starts[numbers] > LABEL_START_MAX).any():
            return None
        lengths = heads[at] >> np.int64(8)
        is_long = lengths >= MORE
        high = octets[at[is_long] + 2].astype(np.int64)
        if ((high == 0) | (high >= MORE)).any():
            return None
        lengths[is_long] += (high << 7) - MORE + 1
        at = at + lengths + 2
    return None
