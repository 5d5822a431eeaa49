"""Take over one parsed time series: keep its samples, set aside what nobody bills."""

from __future__ import annotations

from collections.abc import Iterable

from os_credits.decode.columns import Columns
from os_credits.decode.histogram import histogram_fault
from os_credits.decode.label_set import LabelPairs, plain_labels
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.remote_write_keys import labels_of
from os_credits.errors import InvalidLabels

AnySeries = proto.TimeSeries | proto.TimeSeriesV2


def add_series(
    columns: Columns,
    position: int,
    series: AnySeries,
    key: bytes,
    exemplars: Iterable[LabelPairs],
) -> None:
    """Take over the samples of one series; check, count and set aside all else."""
    if series.histograms or series.exemplars:
        labels_of(key)
        _set_histograms_aside(columns, position, series.histograms)
        _set_exemplars_aside(columns, position, exemplars)
    for sample in series.samples:
        columns.add(key, sample.timestamp, sample.value, position)


def _set_histograms_aside(
    columns: Columns, position: int, histograms: Iterable[proto.Histogram]
) -> None:
    for histogram in histograms:
        fault = histogram_fault(histogram)
        if fault is None:
            columns.histograms_written += 1
        else:
            columns.reject(position, fault)


def _set_exemplars_aside(columns: Columns, position: int, exemplars: Iterable[LabelPairs]) -> None:
    """Check and count exemplars; a refused one is named, though no sample is lost with it."""
    for exemplar in exemplars:
        try:
            plain_labels(exemplar)
        except InvalidLabels as error:
            columns.reject(position, f"exemplar: {error.message}", 0)
        else:
            columns.exemplars_written += 1


def sample_count(series: AnySeries) -> int:
    """Count what is lost when `series` is refused."""
    return len(series.samples) + len(series.histograms)
