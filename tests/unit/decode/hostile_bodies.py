"""Decode the worst bodies of 64 MiB, and say how much memory that took: for test_memory.py.

Each holds as much as can be of what costs most: fields, samples, references, labels, buckets.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from os_credits.decode import remote_write
from os_credits.decode.scan import scan_fastest
from os_credits.decode.scan_python import scan_python
from os_credits.decode.varint import framed, varint
from os_credits.domain.sample import Push
from os_credits.errors import InvalidInput

MIB = 1024 * 1024
BODY_BYTES = 64 * MIB
SAMPLE = b"\x12\x10\x09abcdefgh\x10\xa7\xb3\x82\x87\xa0\x34"
ZERO = b"\x12\x07\x10\xa7\xb3\x82\x87\xa0\x34"
SYMBOLS = b'"\0"\x08__name__"\x02up"\x01a"\x01b'
LABELS = b"\x0a\x02\x01\x02"

Decode = Callable[[bytes], Push]


def bodies() -> Iterator[tuple[str, Decode, bytes]]:
    """Give each body when the one before it is gone."""
    one, two = remote_write.decode_v1, remote_write.decode_v2
    yield "1.0: empty series", one, b"\x0a\0" * (BODY_BYTES // 2)
    yield "2.0: empty series", two, b"\x2a\0" * (BODY_BYTES // 2)
    yield "2.0: one series of empty samples", two, b"\x2a" + framed(b"\x12\0" * (31 * MIB))
    for name, decode, inside in (
        ("1.0: empty samples", one, b"\x12\0" * (MIB // 2 - 9)),
        ("2.0: empty samples", two, b"\x12\0" * (MIB // 2 - 9)),
        ("2.0: references", two, b"\x0a" + framed(b"\1" * (MIB - 99))),
        ("1.0: exemplar of labels", one, b"\x1a" + framed(b"\x0a\0" * (MIB // 2 - 99))),
        ("2.0: histogram of spans", two, LABELS + b"\x1a" + framed(b"\x5a\0" * (MIB // 2 - 99))),
        ("2.0: buckets", two, LABELS + b"\x1a" + framed(b"\x62" + framed(bytes(MIB - 99)))),
    ):
        tag = b"\x0a" if decode is one else b"\x2a"
        series = tag + framed(inside)
        head = b"" if decode is one else SYMBOLS
        yield name, decode, head + series * (BODY_BYTES // len(series))
    lone, several = b"\x0a\0" * 999, b"\x0a\0" * 31
    for name, scan in (("compiled", scan_fastest), ("Python", scan_python)):
        decode_by = partial(remote_write.decode_v1, scan=scan)
        for what, series in (
            ("empty labels", b"\x0a" + framed(lone + SAMPLE)),
            ("fewer labels", b"\x0a" + framed(several + SAMPLE)),
            ("samples", b"\x0a" + framed(SAMPLE * 249_999)),
            ("samples and zeros", b"\x0a" + framed((SAMPLE + ZERO) * 124_999)),
            ("short series", b"\x0a" + framed(ZERO)),
        ):
            yield f"1.0, {name}: {what}", decode_by, series * (BODY_BYTES // len(series))
            few = min(249_999, BODY_BYTES // len(series)) if len(series) < MIB else 1
            yield f"1.0, {name}: {what}, as many as may be", decode_by, series * few
    yield "2.0: a symbol of 60 MiB", two, SYMBOLS + b'"' + framed(bytes(60 * MIB))
    yield "2.0: 250,000 series", two, _many_series()


def _many_series() -> bytes:
    symbols = [b'"' + framed(b"%0200d" % number) for number in range(125_000)]
    all_series = [
        b"\x2a" + framed(b"\x0a" + framed(b"\1\2\3" + varint(5 + number // 2)) + SAMPLE)
        for number in range(250_000)
    ]
    return SYMBOLS + b"".join(symbols) + b"".join(all_series)


def main() -> None:
    """Decode all of them."""
    slowest = 0.0
    for name, decode, body in bodies():
        started = time.thread_time()
        try:
            found = f"{len(decode(body))} samples"
        except InvalidInput as error:
            found = str(error)
        seconds = time.thread_time() - started
        slowest = max(slowest, seconds)
        sys.stderr.write(f"{name}: {seconds:.2f} s, {_peak_mib()} MiB so far, {found}\n")
    sys.stdout.write(json.dumps({"peak_mib": _peak_mib(), "slowest_seconds": slowest}))


def _peak_mib() -> int:
    """Read the peak of this very program: `ru_maxrss` begins with that of who started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    main()
