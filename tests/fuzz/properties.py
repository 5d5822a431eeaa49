"""What holds for every body, however strange: checked by other ways of reading than the product's.

A property that does not hold raises `Broken`; what the product raises by mistake comes through.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from os_credits.decode import line_protocol, remote_write
from os_credits.decode.columns import PIECES_MAX
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.remote_write_body import SERIES_BYTES_MAX
from os_credits.decode.remote_write_v1 import read_v1
from os_credits.decode.scan import scan_compiled
from os_credits.decode.scan_python import scan_python
from os_credits.domain.sample import Labels, Push
from os_credits.errors import InvalidInput, InvalidLabels

COLUMNS = ("key_index", "times_ms", "values", "positions", "untimed")
PARTS_MAX = 200
ABSENT = object()

Row = tuple[int, bytes, int, bytes, bool]


class Broken(AssertionError):
    """A property does not hold for some body."""


def hold(fact: object, *shown: object) -> None:
    """Raise Broken, naming what is shown, unless the fact is one."""
    if not fact:
        raise Broken(*shown)


def push_of(
    decode: Callable[[bytes], Push], labels_of: Callable[[bytes], Labels], body: bytes
) -> Push | None:
    """Decode twice, and check what both give; None where the body is refused as a whole."""
    first, second = _outcome(decode, body), _outcome(decode, body)
    if isinstance(first, InvalidInput) or isinstance(second, InvalidInput):
        hold(str(first) == str(second), "decoding twice differs", first, second)
        return None
    assert isinstance(first, Push)
    check_push(first)
    hold(_content(first) == _content(second), "decoding twice differs")
    for key in first.keys:
        check_key(labels_of, key)
    return first


def check_push(push: Push) -> None:
    """Check that the columns fit each other, and that all refusals can be shown."""
    for name in COLUMNS:
        hold(len(getattr(push, name)) == len(push), "columns differ in length", name)
    used = set(push.key_index.tolist())
    hold(used == set(range(len(push.keys))), "keys and their numbers do not fit")
    is_of_series = push.unit == "series" and len(push.keys) == len(set(push.positions.tolist()))
    hold(is_of_series or len(set(push.keys)) == len(push.keys), "a key stands twice")
    hold((push.times_ms[push.untimed] == 0).all(), "an untimed sample has a time")
    hold((push.positions >= 1).all(), "a position before the first")
    for rejected in push.rejected:
        hold(rejected.reason.isprintable(), "unprintable reason", rejected)
        hold(rejected.sample_count >= 0, "negative count", rejected)
        hold(rejected.where.startswith(f"{push.unit} "), "odd place", rejected)
    hold(all(count > 0 for count in push.texts.values()), "texts without a count", push.texts)
    hold(min(push.histograms_written, push.exemplars_written) >= 0, "negative count")


def check_key(labels_of: Callable[[bytes], Labels], key: bytes) -> None:
    """Read a key: sound labels or InvalidLabels, and nothing else."""
    try:
        labels = labels_of(key)
    except InvalidLabels as error:
        hold(error.message.isprintable(), "unprintable reason", error.message)
        return
    names = [name for name, _ in labels]
    hold(names == sorted(set(names)), "labels are not sorted, or one stands twice", labels)
    hold("__name__" in names, "no metric name", labels)
    hold(all(name and value for name, value in labels), "an empty label", labels)
    for label in labels:
        "".join(label).encode()


def rows_of(push: Push, *, after_line: int = 0) -> list[Row]:
    """Write out the samples of a push."""
    return [
        (position + after_line, push.keys[key], time_ms, value, untimed)
        for position, key, time_ms, value, untimed in zip(
            push.positions.tolist(),
            push.key_index.tolist(),
            push.times_ms.tolist(),
            (push.values[index : index + 1].tobytes() for index in range(len(push))),
            push.untimed.tolist(),
            strict=True,
        )
    ]


def samples_all_found_1(body: bytes, push: Push) -> None:
    """Compare remote write 1.0 with what the plain parser finds in each series."""
    _all_found(proto.WriteRequest.FromString(body).timeseries, proto.TimeSeries, push)


def samples_all_found_2(body: bytes, push: Push) -> None:
    """Compare remote write 2.0 with what the plain parser finds in each series."""
    _all_found(proto.RequestV2.FromString(body).timeseries, proto.TimeSeriesV2, push)


def same_whichever_way(body: bytes, pieces_max: int) -> None:
    """Compare what both scanners and the plain parser read in a body of remote write 1.0."""
    scans = [scan_python] if scan_compiled is None else [scan_python, scan_compiled]
    found = [scan(body, pieces_max) for scan in scans]
    hold(found.count(found[0]) == len(found), "the scanners differ")
    ways = [
        _outcome(partial(remote_write.decode_v1, pieces_max=pieces_max, scan=scan), body)
        for scan in scans
    ]
    for way in ways[1:]:
        hold(_told(way) == _told(ways[0]), "decoding by the scanners differs", way)
    if isinstance(ways[0], Push):
        check_push(ways[0])
    if pieces_max == PIECES_MAX:  # the parser counts pieces otherwise
        parsed = _outcome(lambda one: read_v1(one, pieces_max, plain=False), body)
        hold(_rows_told(parsed) == _rows_told(ways[0]), "the parser reads otherwise", parsed)


def _told(outcome: Push | InvalidInput) -> object:
    return _content(outcome) if isinstance(outcome, Push) else str(outcome)


def _rows_told(outcome: Push | InvalidInput) -> object:
    """Write out the samples, since series have keys of their own or share one."""
    if isinstance(outcome, Push):
        return rows_of(outcome), *_content(outcome)[2:]
    return str(outcome)


def _all_found(all_series: Iterable[bytes], message: type[Any], push: Push) -> None:
    """Every sample is a row in its order, or its series was refused with all it held."""
    refused: Counter[int] = Counter()
    for rejected in push.rejected:
        refused[int(rejected.where.removeprefix("series "))] += rejected.sample_count
    rows = Counter(push.positions.tolist())
    histograms = 0
    expected: list[tuple[int, int]] = []
    for position, written_series in enumerate(all_series, start=1):
        lost, kept = refused[position], rows[position]
        if len(written_series) > SERIES_BYTES_MAX and lost == 1 and not kept:
            continue  # refused unread, so it counts as one
        try:
            series = message.FromString(written_series)
        except DecodeError:
            hold(not kept and position in refused, "a broken series was taken", position)
            continue
        written = len(series.samples) + len(series.histograms) - lost - kept
        hold(written >= 0, "refused more than there was", position)
        histograms += written
        hold(kept in (0, len(series.samples)), "a part of the samples only", position)
        if kept:
            expected.extend((position, sample.timestamp) for sample in series.samples)
    hold(histograms == push.histograms_written, "a sample or histogram got lost")
    found = list(zip(push.positions.tolist(), push.times_ms.tolist(), strict=True))
    hold(expected == found, "times or order differ")


def lines_all_found(body: bytes, push: Push, precision: str) -> None:
    """Decode each line alone: together they must give what the whole body gave.

    But where a line that is refused alone holds a quote, the next one may have belonged to it.
    """
    parts = body.split(b"\n")
    if len(parts) > PARTS_MAX:
        return
    alone = [line_protocol.decode(part, precision) for part in parts]
    for part, read in zip(parts, alone, strict=True):
        content = part.removesuffix(b"\r").lstrip(b" ")
        is_content = bool(content) and not content.startswith(b"#")
        found = len(read) or len(read.rejected) or b'"' in part
        hold(bool(found) or not is_content, "a line got lost", part)
        if read.rejected and b'"' in part:
            return
    rows = [row for line, one in enumerate(alone) for row in rows_of(one, after_line=line)]
    hold(rows == rows_of(push), "lines alone give other samples")
    refused = [(line, one.reason) for line, read in enumerate(alone, 1) for one in read.rejected]
    together = [(int(one.where.removeprefix("line ")), one.reason) for one in push.rejected]
    hold(len(refused) == len(together), "lines alone are refused otherwise", refused, together)
    for (line, reason), (place, told) in zip(refused, together, strict=True):
        # Of many refused lines only the first are shown; the fault is told for each.
        fault = told.removeprefix("unable to parse")
        hold(line == place and reason.endswith(fault), "another fault", reason, told)
    texts: Counter[str] = sum((one.texts for one in alone), Counter())
    hold(texts == push.texts, "lines alone have other texts")


def metrics_all_found(body: bytes, push: Push) -> None:
    """Compare Telegraf's JSON, where it is JSON as a whole, with what Python reads in it."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        batch = document.get("metrics") if next(iter(document), "") == "metrics" else None
        document = batch if isinstance(batch, list) else [document]
    refused = {int(rejected.where.removeprefix("metric ")) for rejected in push.rejected}
    rows = Counter(push.positions.tolist())
    texts = 0
    for position, metric in enumerate(document, start=1):
        hold(position not in refused or not rows[position], "a part of a refused metric")
        if position in refused:
            continue
        fields = list(metric["fields"].values())
        numbers = [field for field in fields if isinstance(field, int | float)]
        hold(rows[position] == len(numbers), "a field got lost", position)
        texts += len(fields) - len(numbers)
    hold(texts == push.texts.total(), "a text got lost")


def values_are_finite(push: Push) -> None:
    """Text formats know no other numbers."""
    hold(np.isfinite(push.values).all(), "a number that is none")


def _outcome(decode: Callable[[bytes], Push], body: bytes) -> Any:
    try:
        return decode(body)
    except InvalidInput as error:
        return error


def _content(push: Push) -> tuple[Any, ...]:
    columns = [getattr(push, name).tobytes() for name in COLUMNS]
    written = (push.histograms_written, push.exemplars_written)
    return [*push.keys], columns, push.rejected, push.texts, written
