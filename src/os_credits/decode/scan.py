"""Cut the body that nearly every sender of remote write 1.0 writes, without parsing it.

A scanner takes a body of nothing but time series, each of labels first (as `label_block_end` of
`remote_write_keys.py` finds them) and then one or more samples as Prometheus writes them: of 18
bytes, or of 9 where the value is zero. It gives the labels of each series as they are written,
the number of its samples, and the times and values of all samples, as bytes of native uint32,
int64 and float64. For any other body, and for one of more than `pieces_max` series, or samples of
series with several, it gives None: then the body has to be parsed.

There are two that always give the same: one of C, where it could be compiled, and one of Python.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from os_credits.decode.scan_python import scan_python
from os_credits.domain.key_spans import KeySpans
from os_credits.domain.sample import Push

try:
    from os_credits.decode._scan import scan_v1
except ImportError:  # there was no compiler
    scan_compiled = None
else:
    scan_compiled = scan_v1

Scanned = tuple[bytes, bytes, bytes, bytes, bytes]
Scan = Callable[[bytes, int], Scanned | None]

scan_fastest: Scan = scan_compiled or scan_python
# Which one that is, for people.
SCANNER = "compiled" if scan_compiled else "python"


def scanned_push(body: bytes, scanned: Scanned) -> Push:
    """Hand out what a scanner found in a body as columns; each series has a key of its own."""
    starts, ends, counts, times, values = scanned
    keys = KeySpans(body, np.frombuffer(starts, np.int64), np.frombuffer(ends, np.int64))
    times_ms = np.frombuffer(times, np.int64).copy()
    key_index = np.arange(len(keys), dtype=np.int32)
    if len(times_ms) != len(keys):
        key_index = key_index.repeat(np.frombuffer(counts, np.uint32))
    return Push(
        unit="series",
        keys=keys,
        key_index=key_index,
        times_ms=times_ms,
        values=np.frombuffer(values, np.float64).copy(),
        positions=key_index + np.int32(1),
        untimed=np.zeros(len(times_ms), np.bool_),
    )
