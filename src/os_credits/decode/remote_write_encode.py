"""Write remote write bodies, packed with snappy, for tests, the demo and benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from os_credits.decode import snappy
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.domain.sample import Labels

# The labels of a series, then time in milliseconds and value of each of its samples.
EncodableSeries = tuple[Labels, Sequence[tuple[int, float]]]


def encode_v1(series: Iterable[EncodableSeries]) -> bytes:
    """Write a body of remote write 1.0, one time series for each of `series`."""
    request = proto.WriteRequest()
    for labels, samples in series:
        time_series = proto.TimeSeries(
            labels=[_label(name, value).SerializeToString() for name, value in labels],
            samples=[proto.Sample(timestamp=time_ms, value=value) for time_ms, value in samples],
        )
        request.timeseries.append(time_series.SerializeToString())
    return snappy.compress(request.SerializeToString())


def encode_v2(series: Iterable[EncodableSeries]) -> bytes:
    """Write a body of remote write 2.0, one time series for each of `series`."""
    request = proto.RequestV2()
    symbol_numbers = {"": 0}
    for labels, samples in series:
        time_series = proto.TimeSeriesV2(
            labels_refs=[
                symbol_numbers.setdefault(text, len(symbol_numbers))
                for label in labels
                for text in label
            ],
            samples=[proto.Sample(timestamp=time_ms, value=value) for time_ms, value in samples],
        )
        request.timeseries.append(time_series.SerializeToString())
    request.symbols.extend(symbol.encode() for symbol in symbol_numbers)
    return snappy.compress(request.SerializeToString())


def _label(name: str, value: str) -> proto.Label:
    return proto.Label(name=name.encode(), value=value.encode())
