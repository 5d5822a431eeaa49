"""Read the series of a remote write 1.0 body, a `prometheus.WriteRequest`."""

from __future__ import annotations

from os_credits.decode.columns import Columns, too_many_pieces
from os_credits.decode.label_set import LabelPairs
from os_credits.decode.plain_samples import SAMPLE_BYTES, SAMPLE_HEAD, PlainRows, plain_samples
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.remote_write_body import (
    UNCOUNTED_BYTES_MAX,
    parsed_request,
    parsed_series,
)
from os_credits.decode.remote_write_keys import (
    LABEL_TAG,
    check_count,
    key_v1,
    label_block_end,
)
from os_credits.decode.series import SeriesReader
from os_credits.domain.sample import Push
from os_credits.errors import InvalidInput


def read_v1(body: bytes, pieces_max: int, *, plain: bool = True) -> Push:
    """Read all series, parsing only those that are unusual (without `plain`, all of them).

    A body that is not empty, but holds nothing of 1.0, is refused: as 1.0, a 2.0 body reads so,
    and whatever it holds would be lost without a trace.
    """
    request = parsed_request(proto.WriteRequest, body, pieces_max)
    all_series = request.timeseries
    if len(all_series) > pieces_max:
        raise too_many_pieces(pieces_max)
    if body and not all_series and not request.metadata:
        raise InvalidInput("nothing of remote write 1.0 is in it; does Content-Type say 2.0?")
    columns = Columns("series", pieces_max)
    rows = PlainRows(columns)
    reader = SeriesReader(columns)
    is_small = len(body) <= UNCOUNTED_BYTES_MAX
    for position, series in enumerate(all_series, start=1):
        labels_end = label_block_end(series)
        rest = series[labels_end:]
        if len(rest) == SAMPLE_BYTES and is_small and plain and rest.startswith(SAMPLE_HEAD):
            rows.add_one(series[:labels_end], rest, position)  # as nearly all are
            continue
        samples, rest = plain_samples(rest)
        if not samples or rest or not plain:
            _add_unusual(reader, position, series)
            continue
        if not is_small:  # each label starts with its tag, and has another in front of its name
            reader.take_up_parts(series.count(LABEL_TAG, 0, labels_end) // 2)
        rows.add(series[:labels_end], samples, position)
    return rows.push()


def _add_unusual(reader: SeriesReader, position: int, series: bytes) -> None:
    message = parsed_series(proto.TimeSeries, series, reader.columns, position)
    if message is not None:
        reader.add(position, message, _key, _exemplar_labels)


def _key(series: proto.TimeSeries) -> bytes:
    return key_v1(series.labels)


def _exemplar_labels(exemplar: proto.Exemplar) -> LabelPairs:
    check_count(len(exemplar.labels))
    return [(label.name, label.value) for label in exemplar.labels]
