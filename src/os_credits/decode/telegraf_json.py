"""Read the JSON of Telegraf's `outputs.http`: `{"metrics": [...]}`, or a metric by itself.

A metric is `{"name", "tags", "fields", "timestamp"}`. Each numeric or boolean field of it is one
sample, whose metric is named as line protocol names it, so a meter names one metric, whatever the
door. A tag without a value is none: Telegraf writes those here, and leaves them out of its lines.

Each metric is judged alone, and refused as a whole. Its samples' key is `{`, the name, the names
and values of its tags in order, and the field's name, with NUL in between.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder

from os_credits.decode.columns import PIECES_MAX, Columns
from os_credits.decode.json_spans import MetricSpans
from os_credits.decode.label_set import METRIC_NAME, series_labels
from os_credits.decode.line_series import NAME_TAG, metric_name
from os_credits.decode.line_value import DIGITS_MAX, floored_ms
from os_credits.decode.quoting import quoted
from os_credits.domain.sample import Labels, Push
from os_credits.errors import InvalidInput, InvalidLabels, TooLarge

KEY_MARK = b"{"
SEPARATOR = "\0"

_Members = dict[str, object]

# Far more than any sender writes, and little enough to take apart.
METRIC_BYTES_MAX = 1024 * 1024

# A metric has six, and is a piece itself; the rest is for keys that mean nothing here.
BRACKETS_PER_PIECE_MAX = 8

# Half as many as the tags that a series may have by default: a metric with a field is two pieces.
COMMAS_PER_PIECE_MAX = 32

# Telegraf's `json_timestamp_units` is 1s if nothing is said.
NANOSECONDS_PER_UNIT = {
    "": 1_000_000_000,
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
}


def nanoseconds_per_unit(precision: str) -> int:
    """Say how long one unit of `precision` is; an unknown one is refused, never guessed."""
    try:
        return NANOSECONDS_PER_UNIT[precision]
    except KeyError:
        raise InvalidInput(f"invalid precision {quoted(precision)} (use ns, us, ms or s)") from None


def decode(body: bytes, precision: str = "", pieces_max: int = PIECES_MAX) -> Push:
    """Read all metrics of `body`, whose times are in units of `precision`.

    Raises InvalidInput for a body of another shape, TooLarge for more than `pieces_max` metrics
    or fields, or far more values than so many have.
    """
    reader = _MetricReader(body, precision, pieces_max)
    commas_max = COMMAS_PER_PIECE_MAX * pieces_max
    if body.count(b",") > commas_max:
        raise TooLarge(f"more than {commas_max} commas in one body")
    spans = MetricSpans(body, BRACKETS_PER_PIECE_MAX * pieces_max)
    for position, (start, end) in enumerate(spans, start=1):
        reader.read(start, end, position)
    return reader.columns.push()


def labels_of(key: bytes) -> Labels:
    """Read the labels of a key, or say why they cannot be used."""
    texts = key.removeprefix(KEY_MARK).split(SEPARATOR.encode())
    if not key.startswith(KEY_MARK) or len(texts) % 2:
        raise InvalidLabels("broken key")
    name, *tags, field = texts
    return series_labels(
        [(NAME_TAG, metric_name(name, field)), *zip(tags[::2], tags[1::2], strict=True)]
    )


class _MetricReader:
    """Reads the metrics of one body, each by itself."""

    def __init__(self, body: bytes, precision: str, pieces_max: int) -> None:
        self.columns = Columns("metric", pieces_max)
        self._body = body
        self._precision = precision or "s"
        self._nanoseconds = nanoseconds_per_unit(precision)

    def read(self, start: int, end: int, position: int) -> None:
        """Read the metric between `start` and `end`, or refuse it."""
        self.columns.take_up(1)
        try:
            self._read_metric(_metric(self._body, start, end), position)
        except TooLarge:
            raise
        except InvalidInput as error:
            self.columns.reject(position, error.message)
        except UnicodeEncodeError:
            self.columns.reject(position, "half a character (a lone surrogate) in a name or tag")

    def _read_metric(self, metric: _Members, position: int) -> None:
        name = metric.get("name")
        if not isinstance(name, str) or not name:
            raise InvalidInput("missing name")
        fields = _members(metric.get("fields"), "fields")
        self.columns.take_up(len(fields))
        numbers = {field: _number(field, value) for field, value in fields.items()}
        time = self._time_ms(metric)
        key_start = _key_start(name, _members(metric.get("tags", {}), "tags"))
        _check_names(fields)
        for field, number in numbers.items():
            if number is None:
                self.columns.add_text(metric_name(name.encode(), field.encode()).decode())
            else:
                self.columns.add(key_start + field.encode(), time, number, position)

    def _time_ms(self, metric: _Members) -> int | None:
        if "timestamp" not in metric:
            return None
        time = metric["timestamp"]
        if type(time) is not int:
            raise InvalidInput("timestamp is not a whole number of 64 bits")
        try:
            return floored_ms(time, self._nanoseconds)
        except InvalidInput as error:
            raise InvalidInput(f"{error.message} if in units of {self._precision}") from None


def _key_start(name: str, tags: _Members) -> bytes:
    if tags.pop(METRIC_NAME, name) != name:
        raise InvalidInput(f'tag "{METRIC_NAME}" differs from the name')
    texts = [name]
    for tag, value in sorted(tags.items()):
        if not isinstance(value, str):
            raise InvalidInput(f"tag {quoted(tag)} is no text")
        if value:
            texts += (tag, value)
    joined = SEPARATOR.join(texts)
    if joined.count(SEPARATOR) >= len(texts):
        raise InvalidInput("NUL character in the name or a tag")
    return KEY_MARK + (joined + SEPARATOR).encode()


def _check_names(fields: _Members) -> None:
    if "" in fields:
        raise InvalidInput("missing field name")
    names = "".join(fields)
    if SEPARATOR in names:
        raise InvalidInput("NUL character in the name of a field")
    names.encode()


def _number(field: str, value: object) -> float | None:
    """Read the value of a field as the nearest float64; None stands for text."""
    if isinstance(value, str):
        return None
    if not isinstance(value, int | float):
        raise InvalidInput(f"field {quoted(field)} is neither a number, a boolean nor text")
    if not math.isfinite(value):
        raise InvalidInput(f"field {quoted(field)}: number out of range")
    return float(value)


# ---- JSON, a metric at a time


@dataclass(frozen=True, slots=True)
class _Ambiguous:
    """An object in which a name stands twice."""

    name: str


def _metric(body: bytes, start: int, end: int) -> _Members:
    if end - start > METRIC_BYTES_MAX:
        raise InvalidInput(f"longer than {METRIC_BYTES_MAX} bytes")
    try:
        value = _DECODER.decode(body[start:end].decode())
    except UnicodeDecodeError:
        raise InvalidInput("not valid UTF-8") from None
    except JSONDecodeError as error:
        message = f"not valid JSON: {error.msg} (character {error.pos + 1} of the metric)"
        raise InvalidInput(message) from None
    except RecursionError:
        raise InvalidInput("nested too deeply") from None
    return _members(value, "metric")


def _members(value: object, what: str) -> _Members:
    """Give the members of what must be an object."""
    if isinstance(value, _Ambiguous):
        raise InvalidInput(f"duplicate name {quoted(value.name)}")
    if not isinstance(value, dict):
        raise InvalidInput(f"{what} is no object" if value is not None else f"no {what}")
    return value


def _unambiguous(pairs: list[tuple[str, object]]) -> _Members | _Ambiguous:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen = Counter(name for name, _ in pairs)
        return _Ambiguous(next(name for name, count in seen.items() if count > 1))
    return members


def _integer(written: str) -> int | float:
    """Read an integer; one that no 64 bits hold becomes a float, as does the negative zero."""
    if len(written) > DIGITS_MAX or written == "-0":
        return float(written)
    return int(written)


_DECODER = JSONDecoder(object_pairs_hook=_unambiguous, parse_int=_integer, parse_constant=float)
