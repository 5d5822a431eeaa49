"""Read the usual samples of a whole remote write 1.0 body with numpy.

As Prometheus writes them: 18 bytes each, or 9 where the value is zero, with a time of 6 bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from os_credits.decode import plain_samples
from os_credits.decode.plain_samples import SAMPLE_BYTES, ZERO_SAMPLE_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places: TypeAlias = NDArray[np.int64]

# A sample of 18 bytes as numbers, the lowest byte first, that overlap: its first 4 bytes, its
# value, and its last 8 bytes. Those are any one, the tag of its time and the time, in which the
# highest bit of each byte says whether another follows.
SAMPLE = np.dtype(
    {
        "names": ["start", "value", "end"],
        "formats": ["<u4", "<f8", "<u8"],
        "offsets": [0, 3, 10],
        "itemsize": SAMPLE_BYTES,
    }
)
ZERO_SAMPLE = np.dtype(
    {"names": ["end"], "formats": ["<u8"], "offsets": [1], "itemsize": ZERO_SAMPLE_BYTES}
)
HEAD_BITS = 0xFF_FF_FF
HEAD = int.from_bytes(plain_samples.SAMPLE_HEAD, "little")
ZERO_HEAD = int.from_bytes(plain_samples.ZERO_SAMPLE_HEAD, "little")
USUAL_END_BITS = 0x8080_8080_8080_FF00
USUAL_END = 0x0080_8080_8080_1000


def at_any_place(body: bytes, dtype: str) -> NDArray[Any]:
    """View the number that starts at each byte of the body, as far as there is room for one."""
    width = np.dtype(dtype).itemsize
    return np.ndarray(max(len(body) - width + 1, 0), dtype, body, strides=(1,))


def read_samples(
    body: bytes, starts: Places, ends: Places, pieces_max: int
) -> tuple[Places, bytes, bytes] | None:
    """Read how many samples each series has, and the times and values of all, 8 bytes each.

    Between `starts[i]` and `ends[i]`, 9 bytes apart or more, lie the samples of series i. Gives
    None if anything else does, or if several samples of one series are more than `pieces_max`.
    """
    lengths = ends - starts
    counts = lengths // SAMPLE_BYTES
    if _are_too_many(counts, pieces_max):
        return None
    if (lengths == counts * SAMPLE_BYTES).all():
        rows = _rows(body, _one_by_one(starts, counts), SAMPLE)
        if (rows["start"] & HEAD_BITS == HEAD).all():
            times = _times(rows["end"])
            return None if times is None else (counts, times.tobytes(), rows["value"].tobytes())
    return _read_with_zeros(body, starts, ends, pieces_max)


def _read_with_zeros(
    body: bytes, starts: Places, ends: Places, pieces_max: int
) -> tuple[Places, bytes, bytes] | None:
    """Do what `read_samples` says where some values are zero."""
    heads = at_any_place(body, "<u4")
    lengths = ends - starts
    first = heads[starts] & HEAD_BITS
    is_zero = (lengths == ZERO_SAMPLE_BYTES) & (first == ZERO_HEAD)
    is_alone = is_zero | (lengths == SAMPLE_BYTES) & (first == HEAD)
    counts, places = np.ones_like(starts), starts
    if not is_alone.all():
        walked = _walked(body, starts[~is_alone].tolist(), ends[~is_alone].tolist(), pieces_max)
        if walked is None:
            return None
        more, counts[~is_alone] = walked
        if _are_too_many(counts, pieces_max):
            return None
        places = np.sort(np.concatenate([starts[is_alone], more]))
        is_zero = heads[places] & HEAD_BITS == ZERO_HEAD
    rows = _rows(body, places[~is_zero], SAMPLE)
    ends_of_all = np.empty(len(places), np.uint64)
    ends_of_all[~is_zero] = rows["end"]
    ends_of_all[is_zero] = _rows(body, places[is_zero], ZERO_SAMPLE)["end"]
    values = np.zeros(len(places), np.float64)
    values[~is_zero] = rows["value"]
    times = _times(ends_of_all)
    return None if times is None else (counts, times.tobytes(), values.tobytes())


def _are_too_many(counts: Places, pieces_max: int) -> bool:
    return int(counts[counts > 1].sum()) > pieces_max


def _rows(body: bytes, places: Places, form: np.dtype[Any]) -> NDArray[Any]:
    """Cut what starts at these places out of the body."""
    return at_any_place(body, f"V{form.itemsize}")[places].view(form)


def _one_by_one(starts: Places, counts: Places) -> Places:
    """Say where each sample starts if all take 18 bytes."""
    count = int(counts[0])
    if (counts == count).all():
        return (starts[:, None] + SAMPLE_BYTES * np.arange(count)).ravel()
    before = (counts.cumsum() - counts).repeat(counts)
    return starts.repeat(counts) + SAMPLE_BYTES * (np.arange(len(before)) - before)


def _walked(
    body: bytes, starts: list[int], ends: list[int], pieces_max: int
) -> tuple[list[int], list[int]] | None:
    """Go from sample to sample: say where each starts, and how many each series has."""
    places: list[int] = []
    counts: list[int] = []
    for start, end in zip(starts, ends, strict=True):
        before, at = len(places), start
        while at < end and len(places) <= pieces_max:
            places.append(at)
            if body.startswith(plain_samples.SAMPLE_HEAD, at):
                at += SAMPLE_BYTES
            elif body.startswith(plain_samples.ZERO_SAMPLE_HEAD, at):
                at += ZERO_SAMPLE_BYTES
            else:
                return None
        if at != end:
            return None
        counts.append(len(places) - before)
    return places, counts


def _times(ends: NDArray[np.uint64]) -> NDArray[np.integer] | None:
    """Read the times with which samples end; None if one of them is not of six bytes."""
    if (ends & USUAL_END_BITS != USUAL_END).any():
        return None
    bits = ends >> 16
    # Seven bits of each byte, then twice as many of each two, and of all six.
    twice = bits & 0x007F_007F_007F | bits >> 1 & 0x3F80_3F80_3F80
    return twice & 0x3FFF | twice >> 2 & 0x3FFF << 14 | twice >> 4 & 0x3FFF << 28
