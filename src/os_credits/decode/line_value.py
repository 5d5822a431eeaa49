"""Read the values and times of line protocol, by their grammar and not by Python's.

`int()` and `float()` would also take `1_0`, ` 1`, `nan`, `infinity` and digits of other scripts.
"""

from __future__ import annotations

import math
import re

from os_credits.decode.quoting import quoted
from os_credits.errors import InvalidInput

_FLOAT = re.compile(rb"-?\d++(?:\.\d*+)?+(?:[eE][+-]?\d++)?+|-?\.\d++(?:[eE][+-]?\d++)?+")
_INTEGER = re.compile(rb"(-?)0*(\d++)([iu]?)")
_BOOLEANS = dict.fromkeys((b"t", b"T", b"true", b"True", b"TRUE"), 1.0) | dict.fromkeys(
    (b"f", b"F", b"false", b"False", b"FALSE"), 0.0
)

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
UINT64_MAX = 2**64 - 1

# More digits than any 64-bit number has; what is longer is not converted at all.
DIGITS_MAX = 20

# InfluxDB keeps the outermost values for itself.
TIME_NANOSECONDS_MAX = 2**63 - 2

NANOSECONDS_PER_MILLISECOND = 1_000_000
NANOSECONDS_PER_UNIT = {
    "": 1,
    "n": 1,
    "ns": 1,
    "u": 1_000,
    "us": 1_000,
    "\N{MICRO SIGN}": 1_000,
    "\N{MICRO SIGN}s": 1_000,
    "\N{GREEK SMALL LETTER MU}": 1_000,
    "\N{GREEK SMALL LETTER MU}s": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def nanoseconds_per_unit(precision: str) -> int:
    """Say how long one unit of `precision` is; an unknown one is refused, never guessed."""
    try:
        return NANOSECONDS_PER_UNIT[precision]
    except KeyError:
        raise InvalidInput(
            f"invalid precision {quoted(precision)} (use n, ns, u, ms, s, m or h)"
        ) from None


def number(written: bytes) -> float:
    """Read a float, an integer or a boolean as the nearest float64."""
    if _FLOAT.fullmatch(written):
        value = float(written)
        if math.isinf(value):
            raise InvalidInput(f"number {quoted(written)} out of range")
        return value
    if written in _BOOLEANS:
        return _BOOLEANS[written]
    return float(_integer(written))


def _integer(written: bytes) -> int:
    match = _INTEGER.fullmatch(written)
    if match is None or not match[3] or (match[1] and match[3] == b"u"):
        raise InvalidInput(f"invalid number {quoted(written)}")
    low, high = (INT64_MIN, INT64_MAX) if match[3] == b"i" else (0, UINT64_MAX)
    value = int(match[1] + match[2][: DIGITS_MAX + 1])
    if not low <= value <= high:
        raise InvalidInput(f"number {quoted(written)} out of range")
    return value


def time_ms(written: bytes, nanoseconds: int) -> int:
    """Read a timestamp in units of `nanoseconds`, floored to the millisecond."""
    if not (written.isdigit() and len(written) <= DIGITS_MAX):
        written = _checked_timestamp(written)
    return floored_ms(int(written), nanoseconds)


def floored_ms(time: int, nanoseconds: int) -> int:
    """Give a time in units of `nanoseconds` as milliseconds; all text doors floor alike."""
    time_nanoseconds = time * nanoseconds
    if abs(time_nanoseconds) > TIME_NANOSECONDS_MAX:
        raise InvalidInput("timestamp out of range")
    return time_nanoseconds // NANOSECONDS_PER_MILLISECOND


def _checked_timestamp(written: bytes) -> bytes:
    """Give an integer without needless zeros, so that no endless one is converted."""
    match = _INTEGER.fullmatch(written)
    if match is None or match[3]:
        raise InvalidInput(f"invalid timestamp {quoted(written)}")
    if len(match[2]) > DIGITS_MAX:
        raise InvalidInput("timestamp out of range")
    return match[1] + match[2]
