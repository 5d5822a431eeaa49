"""Writes series as InfluxDB line protocol, as Telegraf would send them: gzip, nanoseconds."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

from os_credits.demo.cloud import Series

_NS_PER_MS = 1_000_000
_METRIC_NAME = "__name__"
# In measurements, tag keys and tag values a backslash goes before these.
_ESCAPES = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})


def encode_lines(series: Iterable[Series]) -> bytes:
    """Write a gzip body with one line for each sample, its value in the field `value`."""
    lines: list[str] = []
    for labels, samples in series:
        by_name = dict(labels)
        measurement = by_name.pop(_METRIC_NAME)
        tags = (f",{_escaped(name)}={_escaped(value)}" for name, value in by_name.items())
        head = _escaped(measurement) + "".join(tags)
        lines.extend(f"{head} value={value!r} {ms * _NS_PER_MS}" for ms, value in samples)
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), compresslevel=3)


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
