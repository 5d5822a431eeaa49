"""Read Prometheus remote write, 1.0 and 2.0, from bodies that are already unpacked.

The same content through either version gives the same samples and labels. What is wrong with one
series (its references, a histogram) harms only that series; a body that is no protobuf at all is
refused as a whole. Labels are not looked at here but by `labels_of`, when a key is seen for the
first time; only series with histograms or exemplars are checked at once, since those are counted
as written and then set aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from os_credits.decode.columns import PIECES_MAX, Columns, too_many_pieces
from os_credits.decode.lone_samples import lone_sample, read_lone_samples
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.remote_write_keys import (
    key_v1,
    key_v2,
    label_block_end,
    labels_of,
    labels_of_v1,
    labels_of_v2,
    resolved,
)
from os_credits.decode.series import add_series, sample_count
from os_credits.decode.varint import framed
from os_credits.domain.sample import Push
from os_credits.errors import InvalidInput, TooLarge

__all__ = ["decode_v1", "decode_v2", "labels_of", "labels_of_v1", "labels_of_v2"]

# Room for some 400,000 samples; parsed, the densest of this size still fit into memory.
SERIES_BYTES_MAX = 8 * 1024 * 1024

AnyMessage = TypeVar("AnyMessage", bound=Message)


def decode_v1(body: bytes, pieces_max: int = PIECES_MAX) -> Push:
    """Read a `prometheus.WriteRequest`, by the fast way where the body allows it.

    Raises TooLarge for more than `pieces_max` series, samples, histograms or exemplars.
    """
    all_series = _parsed(proto.WriteRequest, body).timeseries
    if len(all_series) > pieces_max:
        raise too_many_pieces(pieces_max)
    columns, lone_rows, lone_samples = _columns_v1(all_series, pieces_max)
    push = columns.push()
    if not lone_rows:
        return push
    lone_columns = read_lone_samples(lone_samples)
    if lone_columns is None:  # something only looked like a lone sample
        return _parsed_columns_v1(all_series, pieces_max).push()
    push.times_ms[lone_rows], push.values[lone_rows] = lone_columns
    return push


def decode_v2(body: bytes, pieces_max: int = PIECES_MAX) -> Push:
    """Read an `io.prometheus.write.v2.Request`; raises TooLarge as `decode_v1` does."""
    request = _parsed(proto.RequestV2, body)
    if max(len(request.timeseries), len(request.symbols)) > pieces_max:
        raise too_many_pieces(pieces_max)
    symbols = list(request.symbols)
    if symbols and symbols[0]:
        raise InvalidInput("the first symbol is not the empty string")
    columns = Columns("series", pieces_max)
    framed_symbols = [framed(symbol) for symbol in symbols]
    for position, series in enumerate(request.timeseries, start=1):
        try:
            _add_series_v2(columns, position, series, symbols, framed_symbols)
        except TooLarge:
            raise
        except InvalidInput as error:
            columns.reject(position, error.message, sample_count(series))
    return columns.push()


def _parsed(message: type[AnyMessage], body: bytes) -> AnyMessage:
    try:
        return message.FromString(body)
    except DecodeError:
        raise InvalidInput("body is not a remote write message") from None


def _columns_v1(
    all_series: Iterable[bytes], pieces_max: int
) -> tuple[Columns, list[int], list[bytes]]:
    """Collect all series; lone samples get an empty row here and are returned beside it."""
    columns = Columns("series", pieces_max)
    lone_rows: list[int] = []
    lone_samples: list[bytes] = []
    for position, series in enumerate(all_series, start=1):
        labels_end = label_block_end(series)
        sample = lone_sample(series[labels_end:])
        if sample is None:
            _add_series_v1(columns, position, series)
        else:
            lone_rows.append(len(columns.times_ms))
            lone_samples.append(sample)
            columns.add(series[:labels_end], 0, 0.0, position)
    return columns, lone_rows, lone_samples


def _parsed_columns_v1(all_series: Iterable[bytes], pieces_max: int) -> Columns:
    columns = Columns("series", pieces_max)
    for position, series in enumerate(all_series, start=1):
        _add_series_v1(columns, position, series)
    return columns


def _add_series_v1(columns: Columns, position: int, body: bytes) -> None:
    if len(body) > SERIES_BYTES_MAX:
        columns.reject(position, f"longer than {SERIES_BYTES_MAX} bytes")
        return
    series = _parsed(proto.TimeSeries, body)
    columns.take_up(len(series.samples) + len(series.histograms) + len(series.exemplars))
    exemplars = [
        [(label.name, label.value) for label in exemplar.labels] for exemplar in series.exemplars
    ]
    try:
        add_series(columns, position, series, key_v1(series.labels), exemplars)
    except TooLarge:
        raise
    except InvalidInput as error:
        columns.reject(position, error.message, sample_count(series))


def _add_series_v2(
    columns: Columns,
    position: int,
    series: proto.TimeSeriesV2,
    symbols: Sequence[bytes],
    framed_symbols: Sequence[bytes],
) -> None:
    columns.take_up(len(series.samples) + len(series.histograms) + len(series.exemplars))
    key = key_v2(framed_symbols, series.labels_refs)
    if series.HasField("metadata"):
        _check_metadata(series.metadata, len(symbols))
    if series.samples:
        if series.histograms:
            raise InvalidInput("both samples and histograms")
    elif not series.histograms and not series.exemplars:
        raise InvalidInput("neither samples nor histograms")
    exemplars = [resolved(symbols, exemplar.labels_refs) for exemplar in series.exemplars]
    add_series(columns, position, series, key, exemplars)


def _check_metadata(metadata: proto.MetadataV2, symbol_count: int) -> None:
    """Check what nobody reads: a reference out of the table makes the series invalid."""
    if max(metadata.help_ref, metadata.unit_ref) > max(symbol_count - 1, 0):
        raise InvalidInput("reference out of the symbol table")
