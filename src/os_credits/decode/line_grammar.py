"""The grammar of InfluxDB line protocol as regular expressions over bytes.

Source: influxdata/line-protocol, `line-protocol.ebnf`. Every repetition is possessive, so that no
body, however strange, is read in more than linear time.

- A comma, an equals sign or a space in a name is escaped by the backslash right before it; a
  backslash before anything else is itself. A measurement may hold an equals sign.
- A string may hold raw newlines, so a body must never be cut into lines first.
- Names hold no control characters.
"""

from __future__ import annotations

import re

_ESCAPED = rb"\\++[^\\\x00-\x1f\x7f]"
_MEASUREMENT = rb"(?!\#)(?:[^\x00-\x20\x7f,\\]++|" + _ESCAPED + rb")++"
_KEY = rb"(?:[^\x00-\x20\x7f,=\\]++|" + _ESCAPED + rb")++"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_SCALAR = rb'[^",\x20\r\n][^,\x20\r\n]*+'
_FIELD = _KEY + rb"=(?:" + _STRING + rb"|" + _SCALAR + rb")"
_END = rb"\r?+(?:\n|\Z)"

MEASUREMENT = re.compile(_MEASUREMENT)
KEY = re.compile(_KEY)
STRING = re.compile(_STRING, re.DOTALL)
SCALAR = re.compile(_SCALAR)
TAG = re.compile(rb",(" + _KEY + rb")=(" + _KEY + rb")")
FIELD = re.compile(rb"(" + _KEY + rb")=(" + _STRING + rb"|" + _SCALAR + rb")", re.DOTALL)

# Spaces and comments; also what ends a body without a newline.
BLANK_LINE = re.compile(rb"\x20*+(?:\#[^\n]*+)?+" + _END)

# Many of them at once, since a bomb may hold millions; not all, since a match lets no thread in.
BLANK_LINES = re.compile(rb"(?:\x20*+(?:\#[^\n]*+)?+\r?+\n){1,65536}+")

# One point: its series (measurement and tags), its fields, and whatever stands for its time.
POINT = re.compile(
    rb"\x20*+(" + _MEASUREMENT + rb"(?:," + _KEY + rb"=" + _KEY + rb")*+)"
    rb"\x20++(" + _FIELD + rb"(?:," + _FIELD + rb")*+)"
    rb"(?:\x20++([^\n]*+))?+" + _END,
    re.DOTALL,
)

# What a backslash may stand before, in a measurement and in all other names.
_ESCAPED_IN_MEASUREMENT = re.compile(rb"\\([, ])")
_ESCAPED_IN_KEY = re.compile(rb"\\([,= ])")


def unescaped_measurement(written: bytes) -> bytes:
    """Take the backslashes out of a measurement."""
    return _ESCAPED_IN_MEASUREMENT.sub(rb"\1", written) if b"\\" in written else written


def unescaped_key(written: bytes) -> bytes:
    """Take the backslashes out of a tag's or a field's name, or of a tag's value."""
    return _ESCAPED_IN_KEY.sub(rb"\1", written) if b"\\" in written else written
