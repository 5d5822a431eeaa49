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
UNREAD_SAMPLE = np.dtype(f"V{SAMPLE_BYTES}")
FOUR_BYTES = np.dtype("<u4")
VALUE = np.dtype("<f8")
VALUE_PLACE = 3
END = np.dtype("<u8")
END_BYTES = 8
HEAD_BITS = 0xFF_FF_FF
HEAD = int.from_bytes(plain_samples.SAMPLE_HEAD, "little")
ZERO_HEAD = int.from_bytes(plain_samples.ZERO_SAMPLE_HEAD, "little")
USUAL_END_BITS = 0x8080_8080_8080_FF00
USUAL_END = 0x0080_8080_8080_1000


def at_any_place(body: bytes, form: np.dtype[Any]) -> NDArray[Any]:
    """View what starts at each byte of the body, as far as there is room for it."""
    return np.ndarray(max(len(body) - form.itemsize + 1, 0), form, body, strides=(1,))


def read_samples(
    body: bytes, starts: Places, ends: Places, pieces_max: int
) -> tuple[Places, bytes, bytes] | None:
    """Read how many samples each series has, and the times and values of all, 8 bytes each.

    Between `starts[i]` and `ends[i]`, 9 bytes apart or more, lie the samples of series i. Gives
    None if anything else does, or if several samples of one series are more than `pieces_max`.
    """
    lengths = ends - starts
    counts = lengths // SAMPLE_BYTES
    if _are_too_many(counts, pieces_max):  # if some are shorter, there are even more
        return None
    first = at_any_place(body, FOUR_BYTES)[starts] & HEAD_BITS
    if (first == HEAD).all() and (lengths == counts * SAMPLE_BYTES).all():
        rows = _rows(body, _one_by_one(starts, counts, np.full_like(counts, SAMPLE_BYTES)))
        if (rows["start"] & HEAD_BITS == HEAD).all():
            times = _times(rows["end"])
            return None if times is None else (counts, times.tobytes(), rows["value"].tobytes())
    return _read_with_zeros(body, starts, ends, first, pieces_max)


def _read_with_zeros(
    body: bytes, starts: Places, ends: Places, first: NDArray[np.integer], pieces_max: int
) -> tuple[Places, bytes, bytes] | None:
    """Do what `read_samples` says where some values are zero."""
    placed = _places_with_zeros(body, starts, ends, first, pieces_max)
    if placed is None:
        return None
    places, sizes, counts = placed
    times = _times(at_any_place(body, END)[places + (sizes - END_BYTES)])
    if times is None or _are_too_many(counts, pieces_max):
        return None
    values = at_any_place(body, VALUE)
    # A zero at the end of the body has no room for the value that is not there.
    found = values[np.minimum(places + VALUE_PLACE, len(values) - 1)]
    found[sizes == ZERO_SAMPLE_BYTES] = 0.0
    return counts, times.tobytes(), found.tobytes()


def _places_with_zeros(
    body: bytes, starts: Places, ends: Places, first: NDArray[np.integer], pieces_max: int
) -> tuple[Places, Places, Places] | None:
    """Say where all samples start and how long each is, and how many each series has.

    Only where zeros stand among others one has to go from sample to sample. Gives None for what
    is no sample.
    """
    heads = at_any_place(body, FOUR_BYTES)
    is_zero = first == ZERO_HEAD
    sizes = SAMPLE_BYTES - (SAMPLE_BYTES - ZERO_SAMPLE_BYTES) * is_zero
    counts = (ends - starts) // sizes
    is_mixed = (starts + counts * sizes != ends) | ~(is_zero | (first == HEAD))
    series = np.arange(len(starts)).repeat(counts)
    places, size_of_each = _one_by_one(starts, counts, sizes), sizes[series]
    is_other = heads[places] & HEAD_BITS != first[series]
    if is_other.any():
        is_mixed[series[is_other]] = True
    if is_mixed.any():
        walked = _walked(body, starts[is_mixed].tolist(), ends[is_mixed].tolist(), pieces_max)
        if walked is None:
            return None
        more, counts[is_mixed] = walked
        places = np.sort(np.concatenate([places[~is_mixed[series]], more]))
        is_zero = heads[places] & HEAD_BITS == ZERO_HEAD
        size_of_each = SAMPLE_BYTES - (SAMPLE_BYTES - ZERO_SAMPLE_BYTES) * is_zero
    return places, size_of_each, counts


def _are_too_many(counts: Places, pieces_max: int) -> bool:
    return int(counts[counts > 1].sum()) > pieces_max


def _rows(body: bytes, places: Places) -> NDArray[Any]:
    """Cut the samples of 18 bytes that start at these places out of the body."""
    return at_any_place(body, UNREAD_SAMPLE)[places].view(SAMPLE)


def _one_by_one(starts: Places, counts: Places, sizes: Places) -> Places:
    """Say where each sample starts if all of a series are of one size."""
    if (counts == counts[0]).all():
        return starts.repeat(counts[0]) + (sizes[:, None] * np.arange(counts[0])).ravel()
    number = np.arange(counts.sum()) - (counts.cumsum() - counts).repeat(counts)
    return starts.repeat(counts) + sizes.repeat(counts) * number


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
