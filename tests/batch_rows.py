"""Reads the samples of table `batch` with nothing of the service: label set, time (ms), value."""

import struct

Row = tuple[int, int, float]


def rows_of(columns: bytes, count: int) -> list[Row]:
    """Read a row's samples: in the short form after a head of 12 bytes, else 24 bytes for each."""
    if len(columns) == 24 * count:
        return list(struct.iter_unpack("<qqd", columns))
    _, first_ms = struct.unpack_from("<iq", columns)
    ids = struct.unpack_from(f"<{count}I", columns, 12)
    offsets = struct.unpack_from(f"<{count}I", columns, 12 + 4 * count)
    values = struct.unpack_from(f"<{count}d", columns, 12 + 8 * count)
    return [
        (id_, first_ms + offset, value)
        for id_, offset, value in zip(ids, offsets, values, strict=True)
    ]
