"""Take over one parsed time series: keep its samples, set aside what nobody bills."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from os_credits.decode.columns import Columns
from os_credits.decode.histogram import histogram_fault, part_count
from os_credits.decode.label_set import LabelPairs, plain_labels
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.remote_write_keys import LABEL_TAG, labels_of
from os_credits.errors import InvalidInput, InvalidLabels, TooLarge

# Labels and buckets: each takes a microsecond or two to be looked at, but may come in 2 bytes. An
# honest body has some ten thousand.
PARTS_IN_BODY_MAX = 2_000_000

AnySeries = TypeVar("AnySeries", proto.TimeSeries, proto.TimeSeriesV2)


def may_have_too_many_parts(body: bytes) -> bool:
    """Tell whether the labels of a 1.0 body have to be counted: each tag may begin half a one."""
    room = 2 * PARTS_IN_BODY_MAX + 1
    return len(body) > room and body.count(LABEL_TAG) > room


class SeriesReader:
    """Takes over one parsed series after the other into the columns of one body."""

    def __init__(self, columns: Columns) -> None:
        """Start with nothing looked at."""
        self.columns = columns
        self._part_count = 0

    def take_up_parts(self, part_count: int) -> None:
        """Count labels or buckets before they are looked at; raises TooLarge for too many."""
        self._part_count += part_count
        if self._part_count > PARTS_IN_BODY_MAX:
            raise TooLarge(f"more than {PARTS_IN_BODY_MAX} labels and buckets in one body")

    def add(
        self,
        position: int,
        series: AnySeries,
        key_of: Callable[[AnySeries], bytes],
        pairs_of: Callable[[Any], LabelPairs],
    ) -> None:
        """Take over the samples of one series; check, count and set aside all else.

        `key_of` raises InvalidInput for what harms the whole series, `pairs_of` for an exemplar.
        Raises TooLarge if the body holds too much.
        """
        columns = self.columns
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
        self._set_histograms_aside(position, series.histograms)
        self._set_exemplars_aside(position, series.exemplars, pairs_of)
        for sample in series.samples:
            columns.add(key, sample.timestamp, sample.value, position)

    def _set_histograms_aside(self, position: int, histograms: Iterable[proto.Histogram]) -> None:
        for histogram in histograms:
            self.take_up_parts(part_count(histogram))
            fault = histogram_fault(histogram)
            if fault is None:
                self.columns.histograms_written += 1
            else:
                self.columns.reject(position, fault)

    def _set_exemplars_aside(
        self,
        position: int,
        exemplars: Iterable[proto.Exemplar | proto.ExemplarV2],
        pairs_of: Callable[[Any], LabelPairs],
    ) -> None:
        """Check and count exemplars; a refused one is named, though no sample is lost with it."""
        for exemplar in exemplars:
            try:
                pairs = pairs_of(exemplar)
                self.take_up_parts(len(pairs))
                plain_labels(pairs)
            except InvalidLabels as error:
                self.columns.reject(position, f"exemplar: {error.message}", 0)
            else:
                self.columns.exemplars_written += 1
