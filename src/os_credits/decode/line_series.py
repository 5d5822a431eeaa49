"""The series of line protocol (measurement and tags as written): is it sound, how is it labelled.

The key of a sample is `#`, the series as written, a space, and the field's name as written.
"""

from __future__ import annotations

from itertools import pairwise

from os_credits.decode.label_set import METRIC_NAME, series_labels
from os_credits.decode.line_grammar import (
    KEY,
    MEASUREMENT,
    TAG,
    unescaped_key,
    unescaped_measurement,
)
from os_credits.decode.quoting import quoted
from os_credits.domain.sample import Labels
from os_credits.errors import InvalidLabels

KEY_MARK = b"#"

# Telegraf's measurement for metrics whose field already has the full name.
NAMELESS_MEASUREMENT = b"prometheus"

# The field of a measurement that has only one.
VALUE_FIELD = b"value"

# The name of the timestamp column; InfluxDB refuses it as the name of anything else.
TIME_NAME = b"time"

# InfluxDB 1.x keeps this label of Prometheus as a tag beside the measurement of the same text.
NAME_TAG = METRIC_NAME.encode()


def metric_name(measurement: bytes, field: bytes) -> bytes:
    """Name the metric of a field."""
    if field == VALUE_FIELD:
        return measurement
    if measurement == NAMELESS_MEASUREMENT:
        return field
    return measurement + b"_" + field


def metric_of(series: bytes, field: bytes) -> str:
    """Name the metric of a field, both as written: what `labels_of` would say of their key."""
    measurement = MEASUREMENT.match(series)
    written = measurement[0] if measurement else series
    return metric_name(unescaped_measurement(written), unescaped_key(field)).decode()


def labels_of(key: bytes) -> Labels:
    """Read the labels of a key, or say why they cannot be used."""
    measurement, tags, end = _parts(key, len(KEY_MARK))
    field = KEY.fullmatch(key, end + 1)
    if field is None or not key.startswith(KEY_MARK):
        raise InvalidLabels("broken key")
    name = metric_name(measurement, unescaped_key(field[0]))
    return series_labels([(NAME_TAG, name), *(tag for tag in tags if tag[0] != NAME_TAG)])


def series_fault(series: bytes) -> str | None:
    """Say what is wrong with the tags of a series that the grammar accepts, or None."""
    if b"\\" not in series:
        names = [tag.partition(b"=")[0] for tag in series.split(b",")[1:]]
        if len(set(names)) == len(names) and not {TIME_NAME, NAME_TAG} & set(names):
            return None
    measurement, tags, _ = _parts(series, 0)
    return _tag_fault(measurement, tags)


def _tag_fault(measurement: bytes, tags: list[tuple[bytes, bytes]]) -> str | None:
    for (name, _), (following, _) in pairwise(sorted(tags)):
        if name == following:
            return f"duplicate tag {quoted(name)}"
    values = dict(tags)
    if TIME_NAME in values:
        return '"time" cannot be the name of a tag'
    if values.get(NAME_TAG, measurement) != measurement:
        return f'tag "{METRIC_NAME}" differs from the measurement'
    return None


def _parts(text: bytes, start: int) -> tuple[bytes, list[tuple[bytes, bytes]], int]:
    """Cut the series at `start` into measurement and tags; also say where it ends."""
    measurement = MEASUREMENT.match(text, start)
    if measurement is None:
        raise InvalidLabels("broken key")
    tags: list[tuple[bytes, bytes]] = []
    end = measurement.end()
    while tag := TAG.match(text, end):
        tags.append((unescaped_key(tag[1]), unescaped_key(tag[2])))
        end = tag.end()
    return unescaped_measurement(measurement[0]), tags, end
