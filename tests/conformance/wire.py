"""Remote write messages written byte by byte, so that they can hold what no encoder would write.

Field numbers are those of `prometheus/prompb`; nothing of the service is used but snappy.
"""

import struct
from collections.abc import Iterable, Sequence

from os_credits.decode import snappy

Pairs = Sequence[tuple[bytes, bytes]]
# The bits of the NaN by which Prometheus ends a series.
STALE_BITS = 0x7FF0000000000002


def varint(number: int) -> bytes:
    """Write an unsigned (or, in two's complement, a negative) number."""
    number &= 2**64 - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def part(field: int, content: bytes) -> bytes:
    """Write a field that has a length: a message, bytes, or packed numbers."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def whole(field: int, number: int) -> bytes:
    """Write a whole number."""
    return varint(field << 3) + varint(number)


def double(field: int, value: float, bits: int | None = None) -> bytes:
    """Write a float, or the very bits of one."""
    packed = struct.pack("<d", value) if bits is None else struct.pack("<Q", bits)
    return varint(field << 3 | 1) + packed


def sample(time_ms: int, value: float, bits: int | None = None) -> bytes:
    """Write the inside of a sample of either version."""
    return double(1, value, bits) + whole(2, time_ms)


def label(name: bytes, value: bytes) -> bytes:
    """Write the inside of a label of 1.0."""
    return part(1, name) + part(2, value)


def histogram(count: int, time_ms: int) -> bytes:
    """Write a histogram of two observations in one bucket that claims to hold `count`."""
    span = part(11, whole(1, 0) + whole(2, 1))
    return (
        whole(1, count)
        + double(3, 1.5)
        + whole(4, 0)
        + span
        + part(12, varint(4))
        + whole(15, time_ms)
    )


def series_v1(
    labels: Pairs,
    samples: Iterable[bytes] = (),
    exemplars: Iterable[Pairs] = (),
    histograms: Iterable[bytes] = (),
) -> bytes:
    """Write the inside of a time series of 1.0."""
    return b"".join(
        [
            *(part(1, label(*pair)) for pair in labels),
            *(part(2, one) for one in samples),
            *(part(3, b"".join(part(1, label(*pair)) for pair in one)) for one in exemplars),
            *(part(4, one) for one in histograms),
        ]
    )


def body_v1(all_series: Iterable[bytes]) -> bytes:
    """Pack time series into a body of 1.0."""
    return snappy.compress(b"".join(part(1, one) for one in all_series))


class Symbols:
    """The table of texts of one body of 2.0."""

    def __init__(self) -> None:
        self.numbers: dict[bytes, int] = {b"": 0}

    def refs(self, pairs: Pairs) -> list[int]:
        """Give the numbers of names and values, in turn."""
        return [self.numbers.setdefault(text, len(self.numbers)) for pair in pairs for text in pair]

    def body(self, all_series: Iterable[bytes]) -> bytes:
        """Pack time series, written with these symbols, into a body of 2.0."""
        symbols = b"".join(part(4, text) for text in self.numbers)
        return snappy.compress(symbols + b"".join(part(5, one) for one in all_series))


def series_v2(
    refs: Iterable[int],
    samples: Iterable[bytes] = (),
    exemplars: Iterable[Iterable[int]] = (),
    histograms: Iterable[bytes] = (),
) -> bytes:
    """Write the inside of a time series of 2.0; labels are numbers of symbols."""
    return b"".join(
        [
            part(1, b"".join(map(varint, refs))),
            *(part(2, one) for one in samples),
            *(part(3, one) for one in histograms),
            *(part(4, part(1, b"".join(map(varint, one)))) for one in exemplars),
        ]
    )
