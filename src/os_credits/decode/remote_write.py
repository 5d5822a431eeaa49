"""Read Prometheus remote write, 1.0 and 2.0, from bodies that are already unpacked.

The same content through either version gives the same samples and labels. What is wrong with one
series (its references, a histogram) harms only that series; a body that is no protobuf at all is
refused as a whole. Labels are not looked at here but by `labels_of`, when a key is seen for the
first time; only series with histograms, exemplars or nothing but metadata are checked at once,
since what is in them is counted as written and then set aside.
"""

from __future__ import annotations

from os_credits.decode.columns import KEYS_BYTES_MAX, PIECES_MAX
from os_credits.decode.plain_samples import NotPlain
from os_credits.decode.remote_write_keys import labels_of, labels_of_v1, labels_of_v2
from os_credits.decode.remote_write_v1 import read_v1
from os_credits.decode.remote_write_v2 import read_v2
from os_credits.decode.scan import Scan, scan_fastest, scanned_push
from os_credits.decode.series import may_have_too_many_parts
from os_credits.domain.sample import Push

__all__ = [
    "decode_v1",
    "decode_v2",
    "labels_of",
    "labels_of_v1",
    "labels_of_v2",
    "scanned_v1",
]


def decode_v1(body: bytes, pieces_max: int = PIECES_MAX, *, scan: Scan = scan_fastest) -> Push:
    """Read a `prometheus.WriteRequest`, by the fast way where the body allows it.

    Raises TooLarge for more than `pieces_max` series, samples, histograms or exemplars.
    """
    scanned = scanned_v1(body, pieces_max, scan=scan)
    if scanned is not None:
        return scanned
    try:
        return read_v1(body, pieces_max)
    except NotPlain:
        return read_v1(body, pieces_max, plain=False)


def scanned_v1(
    body: bytes, pieces_max: int = PIECES_MAX, *, scan: Scan = scan_fastest
) -> Push | None:
    """Read what nearly every sender writes; None for all else, which `decode_v1` reads."""
    if len(body) > KEYS_BYTES_MAX or may_have_too_many_parts(body):
        return None
    scanned = scan(body, pieces_max)
    return None if scanned is None else scanned_push(body, scanned)


def decode_v2(body: bytes, pieces_max: int = PIECES_MAX) -> Push:
    """Read an `io.prometheus.write.v2.Request`; raises TooLarge as `decode_v1` does."""
    try:
        return read_v2(body, pieces_max)
    except NotPlain:
        return read_v2(body, pieces_max, plain=False)
