"""Take over one parsed time series: keep its samples, set aside what nobody bills."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from os_credits.decode.columns import Columns
from os_credits.decode.histogram import histogram_fault, part_count
from os_credits.decode.label_set import LabelPairs, plain_labels
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.remote_write_keys import labels_of
from os_credits.errors import InvalidInput, InvalidLabels, TooLarge

# A label or a bucket takes a microsecond to be looked at, but may come in 2 bytes: so many of one
# piece count as one more piece.
PARTS_PER_PIECE = 20

AnySeries = TypeVar("AnySeries", proto.TimeSeries, proto.TimeSeriesV2)
AnyExemplar = TypeVar("AnyExemplar", proto.Exemplar, proto.ExemplarV2)


def add_series(
    columns: Columns,
    position: int,
    series: AnySeries,
    key_of: Callable[[AnySeries], bytes],
    pairs_of: Callable[[AnyExemplar], LabelPairs],
) -> None:
    """Take over the samples of one series; check, count and set aside all else.

    `key_of` raises InvalidInput for what harms the whole series, `pairs_of` for an exemplar.
    Raises TooLarge if the body holds too many pieces.
    """
    columns.take_up(len(series.samples) + len(series.histograms) + len(series.exemplars))
    try:
        key = key_of(series)
        if series.histograms or series.exemplars:
            labels_of(key)
    except TooLarge:
        raise
    except InvalidInput as error:
        columns.reject(position, error.message, len(series.samples) + len(series.histograms))
        return
    _set_histograms_aside(columns, position, series.histograms)
    _set_exemplars_aside(columns, position, series.exemplars, pairs_of)
    for sample in series.samples:
        columns.add(key, sample.timestamp, sample.value, position)


def _set_histograms_aside(
    columns: Columns, position: int, histograms: Iterable[proto.Histogram]
) -> None:
    for histogram in histograms:
        columns.take_up(part_count(histogram) // PARTS_PER_PIECE)
        fault = histogram_fault(histogram)
        if fault is None:
            columns.histograms_written += 1
        else:
            columns.reject(position, fault)


def _set_exemplars_aside(
    columns: Columns,
    position: int,
    exemplars: Iterable[AnyExemplar],
    pairs_of: Callable[[AnyExemplar], LabelPairs],
) -> None:
    """Check and count exemplars; a refused one is named, though no sample is lost with it."""
    for exemplar in exemplars:
        try:
            pairs = pairs_of(exemplar)
            columns.take_up(len(pairs) // PARTS_PER_PIECE)
            plain_labels(pairs)
        except InvalidLabels as error:
            columns.reject(position, f"exemplar: {error.message}", 0)
        else:
            columns.exemplars_written += 1
