"""Blocks of samples as PostgreSQL's bytes: what `sample_block` holds, without a database.

A block is what one series measured within one day, `BLOCK_SAMPLES_MAX` samples at most, so that
no row is ever moved out of its page. Whole columns are written and read at once: nothing here
runs once for each sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from os_credits.domain.period import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from os_credits.store.sample_columns import StoredSamples

BLOCK_SAMPLES_MAX = 90
COLUMNS = (
    "series_id", "first_at", "last_at", "label_set_id", "offsets_ms", "values", "label_set_ids"
)  # fmt: skip
# PostgreSQL's binary COPY: a header, for each row the count of fields and before each field
# its length (-1: null), at the end -1 (postgresql.org/docs/15/sql-copy.html, "Binary Format").
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_NULL = np.int32(-1).tobytes()
POSTGRES_EPOCH_MS = 946_684_800_000
# An array within a field: dimensions, whether there are nulls, type of the elements, how many
# there are and the number of the first; then of each element its length and its bytes.
_ARRAY = [(name, ">i4") for name in ("bytes", "dimensions", "nulls", "type", "count", "lower")]
_ARRAY_HEADER_BYTES = 20
_OFFSET = np.dtype([("length", ">i4"), ("item", ">i4")])
_VALUE = np.dtype([("length", ">i4"), ("item", ">f8")])
_LABEL_SET = np.dtype([("length", ">i4"), ("item", ">i8")])
_OIDS = {_OFFSET: 23, _VALUE: 701, _LABEL_SET: 20}
_WHOLE = ("series_id", "first_at", "last_at", "label_set_id")
_HEAD = np.dtype(
    [
        ("fields", ">i2"),
        *(pair for name in _WHOLE for pair in ((f"l_{name}", ">i4"), (name, ">i8"))),
    ]
)


def cut(
    samples: StoredSamples,
    keys: NDArray[np.int64] | None = None,
    *,
    samples_max: int = BLOCK_SAMPLES_MAX,
) -> NDArray[np.intp]:
    """Give the places at which blocks begin, in samples sorted by series and time.

    A block holds one series, one day and one of `keys`. What is too much for one block is cut
    into blocks of about the same size.
    """
    if len(samples) == 0:
        return np.empty(0, np.intp)
    days = samples.times_ms // DAY_MS
    is_other = (samples.series_ids[1:] != samples.series_ids[:-1]) | (days[1:] != days[:-1])
    if keys is not None:
        is_other |= keys[1:] != keys[:-1]
    firsts = np.flatnonzero(np.r_[True, is_other])
    counts = np.diff(np.r_[firsts, len(samples)])
    blocks = -(-counts // samples_max)
    sizes = np.repeat(-(-counts // blocks), counts)
    return np.flatnonzero(_ramp(counts) % sizes == 0)


def encode(samples: StoredSamples, starts: NDArray[np.intp]) -> bytes:
    """Give the blocks that begin at these places as a binary COPY of `COLUMNS`."""
    counts = np.diff(np.r_[starts, len(samples)])
    lasts = starts + counts - 1
    heads = np.empty(len(starts), _HEAD)
    heads["fields"] = len(COLUMNS)
    for name in _WHOLE:
        heads[f"l_{name}"] = 8
    heads["series_id"] = samples.series_ids[starts]
    heads["first_at"] = (samples.times_ms[starts] - POSTGRES_EPOCH_MS) * 1000
    heads["last_at"] = (samples.times_ms[lasts] - POSTGRES_EPOCH_MS) * 1000
    heads["label_set_id"] = samples.label_set_ids[lasts]
    offsets = samples.times_ms - np.repeat(samples.times_ms[starts], counts)
    is_other = samples.label_set_ids != np.repeat(samples.label_set_ids[lasts], counts)
    mixed = np.logical_or.reduceat(is_other, starts)

    offsets_at = _HEAD.itemsize + np.zeros(len(starts), np.int64)
    values_at = offsets_at + _field_bytes(_OFFSET, counts)
    label_sets_at = values_at + _field_bytes(_VALUE, counts)
    sizes = label_sets_at + np.where(mixed, _field_bytes(_LABEL_SET, counts), len(_NULL))
    ends = len(_COPY_HEADER) + np.cumsum(sizes)
    begins = ends - sizes
    written = np.empty(int(ends[-1]) + len(_COPY_END), np.uint8)
    written[: len(_COPY_HEADER)] = np.frombuffer(_COPY_HEADER, np.uint8)
    written[-len(_COPY_END) :] = np.frombuffer(_COPY_END, np.uint8)
    _put(written, begins, heads)
    _put_arrays(written, begins + offsets_at, counts, offsets, _OFFSET)
    _put_arrays(written, begins + values_at, counts, samples.values, _VALUE)
    nulls = (begins + label_sets_at)[~mixed]
    _put(written, nulls, np.full(len(nulls), -1, [("length", ">i4")]))
    _put_arrays(
        written,
        (begins + label_sets_at)[mixed],
        counts[mixed],
        samples.label_set_ids[np.repeat(mixed, counts)],
        _LABEL_SET,
    )
    return written.tobytes()


def _field_bytes(kind: np.dtype[Any], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(4 + _ARRAY_HEADER_BYTES + kind.itemsize * counts)


def _put_arrays(
    written: NDArray[np.uint8],
    begins: NDArray[np.int64],
    counts: NDArray[np.int64],
    items: NDArray[Any],
    kind: np.dtype[Any],
) -> None:
    """Write one array at each place, with its length before it; `items` are those of all."""
    heads = np.empty(len(begins), _ARRAY)
    heads["bytes"] = _ARRAY_HEADER_BYTES + kind.itemsize * counts
    heads["dimensions"], heads["nulls"], heads["type"] = 1, 0, _OIDS[kind]
    heads["count"], heads["lower"] = counts, 1
    _put(written, begins, heads)
    elements = np.empty(len(items), kind)
    elements["length"] = kind.itemsize - 4
    elements["item"] = items
    first = begins + heads.dtype.itemsize
    _put(written, np.repeat(first, counts) + _ramp(counts) * kind.itemsize, elements)


def _put(written: NDArray[np.uint8], places: NDArray[np.int64], records: NDArray[Any]) -> None:
    """Write one record at each place."""
    _at_each_byte(written, np.dtype(("V", records.dtype.itemsize)))[places] = records.view(
        f"V{records.dtype.itemsize}"
    )


def _at_each_byte(held: NDArray[np.uint8], kind: np.dtype[Any]) -> NDArray[Any]:
    """See a record at each byte at which one could begin."""
    count = max(held.size - kind.itemsize + 1, 0)
    return np.ndarray((count,), kind, cast("Any", held), strides=(1,))


def _ramp(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count from 0 for each of these counts."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


@dataclass(frozen=True, slots=True)
class Arrays:
    """One column of arrays, as `array_send` gives them; null is an array without elements.

    `counts` are 0 of an array that is not as it was written: that has nulls, more than one
    dimension, or another lower bound.
    """

    held: NDArray[np.uint8]
    begins: NDArray[np.int64]
    counts: NDArray[np.int64]
    kind: np.dtype[Any]

    @classmethod
    def of(cls, sent: Sequence[bytes | None], kind: np.dtype[Any]) -> Arrays:
        """Look at the headers of these arrays."""
        parts = [one or b"" for one in sent]
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        held = np.frombuffer(b"".join(parts), np.uint8)
        begins = np.cumsum(lengths) - lengths
        counts = np.zeros(len(parts), np.int64)
        filled = np.flatnonzero(lengths >= _ARRAY_HEADER_BYTES)
        header = np.dtype(_ARRAY[1:])
        heads = _at_each_byte(held, header)[begins[filled]]
        claimed = heads["count"].astype(np.int64)
        is_whole = (
            (heads["dimensions"] == 1)
            & (heads["nulls"] == 0)
            & (heads["lower"] == 1)
            & (lengths[filled] == _ARRAY_HEADER_BYTES + claimed * kind.itemsize)
        )
        counts[filled] = np.where(is_whole, claimed, 0)
        return cls(held, begins, counts, kind)

    def items(self, counts: NDArray[np.int64]) -> NDArray[Any]:
        """Give the first elements of each array, so many of each."""
        first = np.repeat(self.begins + _ARRAY_HEADER_BYTES, counts)
        found = _at_each_byte(self.held, self.kind)[first + _ramp(counts) * self.kind.itemsize]
        return np.asarray(found["item"])


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What blocks hold: of each sample the place of its block, and the sample."""

    blocks: NDArray[np.int64]
    offsets_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    label_set_ids: NDArray[np.int64]


def unpack(
    offsets_ms: Arrays, values: Arrays, label_sets: Arrays, label_set_ids: NDArray[np.int64]
) -> Unpacked:
    """Put the samples of blocks one after the other; `label_set_ids` stand where none are sent.

    Of a block whose arrays do not belong together, as many as each of them has: nobody writes
    such, and `verify` says so.
    """
    has_own = label_sets.counts > 0
    counts = np.minimum(offsets_ms.counts, values.counts)
    counts = np.where(has_own, np.minimum(counts, label_sets.counts), counts)
    blocks = np.repeat(np.arange(len(counts)), counts)
    ids = label_set_ids[blocks]
    if has_own.any():
        ids[has_own[blocks]] = label_sets.items(np.where(has_own, counts, 0))
    return Unpacked(
        blocks,
        offsets_ms.items(counts).astype(np.int64),
        values.items(counts).astype(np.float64),
        ids,
    )


def arrays_of(
    offsets_ms: Sequence[bytes], values: Sequence[bytes], label_sets: Sequence[bytes | None]
) -> tuple[Arrays, Arrays, Arrays]:
    """Look at what the three columns of arrays of blocks hold."""
    return (
        Arrays.of(offsets_ms, _OFFSET),
        Arrays.of(values, _VALUE),
        Arrays.of(label_sets, _LABEL_SET),
    )
