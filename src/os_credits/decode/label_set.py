"""Turn the names and values that a sender wrote into labels, or say why they are none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from os_credits.decode.quoting import quoted
from os_credits.domain.sample import Labels
from os_credits.errors import InvalidLabels

METRIC_NAME = "__name__"

# Names and values as the sender wrote them.
LabelPairs = Sequence[tuple[bytes, bytes]]


def series_labels(pairs: Iterable[tuple[bytes, bytes]]) -> Labels:
    """Check and sort the labels of a series, which must have a metric name."""
    labels = plain_labels(pairs)
    if all(name != METRIC_NAME for name, _ in labels):
        raise InvalidLabels(f'no metric name (label "{METRIC_NAME}")')
    return labels


def plain_labels(pairs: Iterable[tuple[bytes, bytes]]) -> Labels:
    """Check and sort any labels: UTF-8, nothing empty, no name twice."""
    labels = sorted((_text(name), _value(name, value)) for name, value in pairs)
    for (name, _), (following, _) in pairwise(labels):
        if name == following:
            raise InvalidLabels(f"duplicate label {quoted(name)}")
    return tuple(labels)


def _value(name: bytes, value: bytes) -> str:
    if not name:
        raise InvalidLabels("empty label name")
    if not value:
        raise InvalidLabels(f"label {quoted(name)} has an empty value")
    return _text(value)


def _text(text: bytes) -> str:
    if b"\0" in text:  # valid UTF-8, but PostgreSQL cannot keep it
        raise InvalidLabels(f"NUL character in label text {quoted(text)}")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidLabels(f"label text {quoted(text)} is not valid UTF-8") from None
