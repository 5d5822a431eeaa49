"""Inputs that invite a decoder to look at the same bytes again and again.

Four times the bytes take four times as long, or sixteen times where time grows with the square.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from os_credits.decode import snappy
from os_credits.decode.varint import framed
from tests.fuzz.targets import TARGETS, Target

LONGER = 4
RATIO_MAX = 8
SECONDS_MAX = 2.0
BYTES = 32 * 1024
TRIES = 3
# Below this a clock says more about itself.
SECONDS_MIN = 0.004
# What is quicker may take its time: a bound may only hold from some length on.
SECONDS_FREE = 1.0
# Until an input takes long enough to be measured, it is made longer, up to so much.
BYTES_MAX = 1024 * 1024


def repeated(before: bytes, part: bytes, after: bytes = b"") -> Callable[[int], bytes]:
    """Give what makes a body of about so many bytes by repeating a part."""
    return lambda length: before + part * (length // len(part)) + after


def series_1(part: bytes) -> Callable[[int], bytes]:
    """Repeat a part within one series of remote write 1.0."""
    return lambda length: b"\x0a" + framed(part * (length // len(part)))


def series_2(part: bytes) -> Callable[[int], bytes]:
    """Repeat a part within one series of remote write 2.0."""
    return lambda length: b"\x22\0\x2a" + framed(part * (length // len(part)))


def blocks(version: bytes, make: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Pack what is made."""
    return lambda length: version + snappy.compress(make(length))


LABEL = b"\x0a\x06\x0a\x01a\x12\x01b"
SAMPLE = b"\x12\x02\x10\x01"
HISTOGRAM = b"\x22\x02\x08\x01"

INPUTS: Mapping[str, tuple[Callable[[int], bytes], ...]] = {
    "line_protocol": (
        *(
            repeated(b"\0", one)
            for one in (b" ", b"\n", b"#", b"#\n", b"\\", b",", b'"', b"=", b"\r")
        ),
        *(repeated(b"\0m", one, b" f=1") for one in (b",a=b", b"\\,", b",", b",a", b"\\")),
        *(repeated(b"\0m f=", one) for one in (b"1", b'"', b'"\\', b"1,f=", b"e", b'"a"', b" 1")),
        *(repeated(b'\0m f="', one) for one in (b"\\", b"\n", b'\\"', b'x\nm f="', b"x\\\n")),
        *(
            repeated(b"\0", one)
            for one in (b'm f="x\n', b"m f=1\n", b"m f=1\r", b'm f="\\"\n', b"m,\n")
        ),
        *(repeated(b"\0m f=1 ", one) for one in (b"1", b" ", b"1 ", b"-")),
        lambda n: b"\0m f=1" + b"".join(b",f%d=1" % one for one in range(n // 8)),
        lambda n: b"\0m" + b"".join(b",t%d=1" % one for one in range(n // 8)) + b" f=1",
    ),
    "telegraf_json": (
        *(repeated(b"", one) for one in (b"[", b'{"a":', b"9", b'"', b"\\", b" ", b"[],", b"-")),
        *(repeated(b'{"metrics":[', one) for one in (b"[],", b"{},", b"1,", b'{"name":"m"},')),
        repeated(b'{"metrics":[', b"{},", b"{}]}"),
        repeated(b'{"name":"', b"\\u0061", b'","fields":{"v":1},"timestamp":1}'),
        repeated(b'{"name":"m","fields":{"v":', b"1", b'},"timestamp":1}'),
        repeated(b'{"name":"m","fields":{"v":1e', b"1", b'},"timestamp":1}'),
        repeated(b'{"name":"m","fields":{', b'"a":1,', b'"v":1},"timestamp":1}'),
        lambda n: (
            b'{"name":"m","fields":{%b},"timestamp":1}'
            % b",".join(b'"f%d":1' % one for one in range(n // 9))
        ),
    ),
    "remote_write_1": (
        *(
            repeated(b"", one)
            for one in (b"\x0a\0", b"\x1a\0", b"\x08\1", b"\x80", b"\x0a\x04" + SAMPLE)
        ),
        *(
            series_1(one)
            for one in (LABEL, SAMPLE, HISTOGRAM, b"\x0a\0", b"\x1a\0", b"\x80", b"\x28\1")
        ),
    ),
    "remote_write_2": (
        *(
            repeated(b"", one)
            for one in (b"\x22\0", b"\x2a\0", b"\x08\1", b"\x80", b"\x2a\x04" + SAMPLE)
        ),
        *(series_2(one) for one in (b"\x08\0", SAMPLE, HISTOGRAM, b"\x1a\0", b"\x22\0", b"\x80")),
    ),
    "remote_write_packed": (
        blocks(b"\1", repeated(b"", b"\x0a\0")),
        blocks(b"\2", series_2(SAMPLE)),
    ),
    "gzip": (
        repeated(b"", b"\0"),
        repeated(b"\x1f\x8b\x08\x08", b"a"),
        repeated(b"\x1f\x8b\x08\x04", b"\xff"),
    ),
    "label_keys": (
        *(repeated(b"#m", one, b" f") for one in (b",a=b", b"\\", b"\\,", b",", b"=")),
        *(repeated(b"", one) for one in (LABEL, b"\x0a\0", b"\x80")),
        *(repeated(b"\0", one) for one in (b"\1a\1b", b"\0", b"\x80")),
    ),
}


def slow_inputs(names: Iterable[str]) -> Iterator[str]:
    """Name each input of these targets that takes too long, or grows with the square."""
    for name in names:
        for number, make in enumerate(INPUTS.get(name, ())):
            fault = _fault(TARGETS[name], make)
            if fault:
                yield f"{name} input {number} ({make(16)!r}): {fault}"


def _fault(target: Target, make: Callable[[int], bytes]) -> str:
    length = BYTES
    first = _seconds(target, make(length))
    if first > SECONDS_MAX:
        return f"{first:.1f} s for {length} bytes"
    while first < SECONDS_MIN and length < BYTES_MAX:
        length *= 2
        first = _seconds(target, make(length))
    longer = _seconds(target, make(LONGER * length))
    ratio = longer / max(first, SECONDS_MIN)
    if ratio > RATIO_MAX and longer > SECONDS_FREE:
        return f"{ratio:.1f} times as long for {LONGER} x {length} bytes"
    return ""


def _seconds(target: Target, body: bytes) -> float:
    """Measure the quickest of some tries."""
    quickest = math.inf
    for _ in range(TRIES):
        started = time.thread_time()
        target.check(body)
        quickest = min(quickest, time.thread_time() - started)
    return quickest
