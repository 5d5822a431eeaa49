"""Read the series of a remote write 2.0 body, an `io.prometheus.write.v2.Request`.

A series names its labels by references to one table of symbols. Those of the usual series are
read all at once: parsing each series by itself takes five times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf.message import DecodeError

from os_credits.decode.columns import Columns, too_many_pieces
from os_credits.decode.label_set import LabelPairs
from os_credits.decode.plain_samples import SAMPLE_BYTES, PlainRows, plain_samples
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.remote_write_body import parsed, parsed_request, parsed_series
from os_credits.decode.remote_write_keys import SymbolTable, labels_of_v2
from os_credits.decode.series import SeriesReader
from os_credits.decode.varint import MORE
from os_credits.domain.sample import Push
from os_credits.errors import InvalidInput, InvalidLabels

# In front of the packed references: "field 1, of a length that follows" in one byte.
REFERENCES_TAG = 0x0A
REFERENCES_HEAD_BYTES = 2

# So that the references of many series are not all in memory as numbers at one time.
SERIES_AT_ONCE_MAX = 4096

# All bytes of a varint but its last one.
_CONTINUED = bytes(range(MORE, 256))

# The references of a series, still packed and with their head, and its `plain_samples`.
_Usual = tuple[bytes, bytes]


def read_v2(body: bytes, pieces_max: int, *, plain: bool = True) -> Push:
    """Read all series, parsing only those that are unusual (without `plain`, all of them).

    A body that is not empty, but holds nothing of 2.0, is refused, as by `read_v1`.
    """
    request = parsed_request(proto.RequestV2, body, pieces_max)
    all_series, symbols = request.timeseries, request.symbols
    if max(len(all_series), len(symbols)) > pieces_max:
        raise too_many_pieces(pieces_max)
    if body and not all_series and not symbols:
        raise InvalidInput("nothing of remote write 2.0 is in it; does Content-Type say 1.0?")
    if symbols and symbols[0]:
        raise InvalidInput("the first symbol is not the empty string")
    return _Reader(symbols, Columns("series", pieces_max)).push(all_series, plain=plain)


class _Reader:
    """Reads series by one table of symbols."""

    def __init__(self, symbols: Iterable[bytes], columns: Columns) -> None:
        self._symbols = SymbolTable(symbols)
        self._columns = columns
        self._rows = PlainRows(columns)
        self._series = SeriesReader(columns)
        self._known_ends = {b""}

    def push(self, all_series: Sequence[bytes], *, plain: bool) -> Push:
        """Read all series, some thousands at a time."""
        for start in range(0, len(all_series), SERIES_AT_ONCE_MAX):
            part = all_series[start : start + SERIES_AT_ONCE_MAX]
            self._add(part, [self._usual(series) if plain else None for series in part], start)
        return self._rows.push()

    def _usual(self, series: bytes) -> _Usual | None:
        """Cut a series of references, samples and perhaps metadata, without parsing it."""
        if len(series) < REFERENCES_HEAD_BYTES or series[0] != REFERENCES_TAG or series[1] >= MORE:
            return None
        references_end = REFERENCES_HEAD_BYTES + series[1]
        samples, end = plain_samples(series[references_end:])
        if not samples or not self._ends_well(end):
            return None
        return series[:references_end], samples

    def _ends_well(self, end: bytes) -> bool:
        """Tell whether a series ends with nothing but sound metadata, which most have alike."""
        if end in self._known_ends:
            return True
        try:
            series = proto.TimeSeriesV2.FromString(end)
            self._check_metadata(series.metadata)
        except (DecodeError, InvalidLabels):
            return False
        if series.labels_refs or series.samples or series.histograms or series.exemplars:
            return False
        self._known_ends.add(end)
        return True

    def _add(self, part: Sequence[bytes], usual: Sequence[_Usual | None], before: int) -> None:
        references = parsed(proto.References, b"".join([one[0] for one in usual if one]))
        numbers = references.labels_refs[:]
        self._series.take_up_parts(len(numbers) // 2)
        end = 0
        for position, (series, one) in enumerate(zip(part, usual, strict=True), start=before + 1):
            if one is None:
                self._add_unusual(position, series)
                continue
            block, samples = one
            start, end = end, end + len(block.translate(None, _CONTINUED)) - REFERENCES_HEAD_BYTES
            try:
                self._rows.add(self._symbols.key_of(numbers[start:end]), samples, position)
            except InvalidLabels as error:
                self._columns.reject(position, error.message, len(samples) // SAMPLE_BYTES)

    def _add_unusual(self, position: int, series: bytes) -> None:
        message = parsed_series(proto.TimeSeriesV2, series, self._columns, position)
        if message is not None:
            self._series.add(position, message, self._key, self._exemplar_labels)

    def _key(self, series: proto.TimeSeriesV2) -> bytes:
        self._series.take_up_parts(len(series.labels_refs) // 2)
        key = self._symbols.key_of(series.labels_refs[:])
        is_described = self._check_metadata(series.metadata)
        if series.samples and series.histograms:
            raise InvalidInput("both samples and histograms")
        if not (series.samples or series.histograms or series.exemplars):
            if not is_described:
                raise InvalidInput("neither samples nor histograms")
            labels_of_v2(key)
        return key

    def _check_metadata(self, metadata: proto.MetadataV2) -> bool:
        """Check what nobody reads, since a wrong reference makes the series invalid.

        Tells whether there is any.
        """
        last_symbol = max(len(self._symbols) - 1, 0)
        if max(metadata.help_ref, metadata.unit_ref) > last_symbol:
            raise InvalidLabels("reference out of the symbol table")
        return bool(metadata.type or metadata.help_ref or metadata.unit_ref)

    def _exemplar_labels(self, exemplar: proto.ExemplarV2) -> LabelPairs:
        return self._symbols.pairs_of(exemplar.labels_refs[:])
