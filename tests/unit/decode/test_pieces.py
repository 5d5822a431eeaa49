"""How much one body may hold, so that no few bytes cost minutes or gigabytes."""

import time

import pytest

from os_credits.decode import line_protocol, remote_write
from os_credits.decode.columns import KEYS_BYTES_MAX, PIECES_MAX
from os_credits.decode.line_protocol import POINT_BYTES_MAX
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.remote_write_body import SERIES_BYTES_MAX
from os_credits.errors import TooLarge

MANY = PIECES_MAX + 1
SECONDS_MAX = 60


def framed(tag: bytes, content: bytes) -> bytes:
    """Write a field of protobuf."""
    length, written = len(content), bytearray(tag)
    while length > 127:
        written.append(length & 127 | 128)
        length >>= 7
    return bytes(written) + bytes([length]) + content


def series_v2(*references: int) -> bytes:
    """Write a 2.0 series of one sample."""
    samples = [proto.Sample(timestamp=1, value=1.0)]
    return proto.TimeSeriesV2(labels_refs=references, samples=samples).SerializeToString()


@pytest.mark.parametrize(
    "piece",
    [b"a b=1\n", b'a b="x"\n', b'a b="x"\n\n', b"x\n", b'a b="\\"\n'],
    ids=["points", "texts", "texts and blank lines", "no points", "quotes"],
)
def test_too_many_lines_are_refused(piece: bytes) -> None:
    with pytest.raises(TooLarge):
        line_protocol.decode(piece * MANY * 2, "ns")


def test_too_many_fields_are_refused() -> None:
    fields = b",".join(b"f%d=1" % number for number in range(50_000))
    line = b"a " + fields + b"\n"

    assert len(line) < POINT_BYTES_MAX
    with pytest.raises(TooLarge):
        line_protocol.decode(line * 6, "ns")


def test_blank_lines_are_no_pieces_and_are_passed_over_quickly() -> None:
    body = b"\n \r\n#x\n" * 1_000_000 + b"a b=1\n"
    started = time.perf_counter()
    push = line_protocol.decode(body, "ns")

    assert (len(push), push.positions.tolist(), push.rejected) == (1, [3_000_001], [])
    assert time.perf_counter() - started < SECONDS_MAX


def test_a_point_beyond_its_bound_harms_only_itself() -> None:
    push = line_protocol.decode(b"a " + b"b=1," * 300_000 + b"b=1\nc d=2\n", "ns")

    assert len(push) == 1
    assert [one.where for one in push.rejected] == ["line 1"]


@pytest.mark.parametrize(
    "tag", [b"\x12", b"\x1a", b"\x22"], ids=["sample", "exemplar", "histogram"]
)
def test_too_many_parts_of_a_series_are_refused(tag: bytes) -> None:
    with pytest.raises(TooLarge):
        remote_write.decode_v1(framed(b"\x0a", (tag + b"\0") * MANY))
    field = {b"\x12": b"\x12", b"\x1a": b"\x22", b"\x22": b"\x1a"}[tag]
    with pytest.raises(TooLarge):
        remote_write.decode_v2(framed(b"\x2a", (field + b"\0") * MANY))


def test_too_many_series_or_symbols_are_refused() -> None:
    with pytest.raises(TooLarge):
        remote_write.decode_v1(b"\x0a\0" * MANY)
    with pytest.raises(TooLarge):
        remote_write.decode_v2(b"\x2a\0" * MANY)
    with pytest.raises(TooLarge):
        remote_write.decode_v2(b"\x22\0" * MANY)


def test_a_series_beyond_its_bound_harms_only_itself() -> None:
    good = proto.TimeSeries(
        labels=[proto.Label(name=b"__name__", value=b"up").SerializeToString()],
        samples=[proto.Sample(timestamp=1, value=1.0)],
    ).SerializeToString()
    huge = framed(b"\x0a", b"\x0a\0" * (SERIES_BYTES_MAX // 2 + 1))
    many_labels = framed(b"\x0a", b"\x0a\0" * 2000 + b"\x12\0")
    push = remote_write.decode_v1(huge + many_labels + framed(b"\x0a", good))

    assert len(push) == 1
    assert [one.where for one in push.rejected] == ["series 1", "series 2"]


def test_a_large_symbol_that_everyone_refers_to_is_not_copied_for_each() -> None:
    request = proto.RequestV2(symbols=[b"", b"__name__", b"x" * 900_000])
    for _ in range(300):
        request.timeseries.append(series_v2(1, 2))
        request.timeseries.append(series_v2(*[1, 2] * 20))
    push = remote_write.decode_v2(request.SerializeToString())

    assert (len(push), len(push.keys)) == (300, 1)
    assert len(push.rejected) == 300


def test_too_many_labels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = b"".join(framed(b"\x0a", b"\x0a\x02%02x\x12\x01b" % number) for number in range(200))
    one = framed(b"\x0a", labels + b"\x12\x10\x09abcdefgh\x10\xa7\xb3\x82\x87\xa0\x34")
    symbols = proto.RequestV2(symbols=[b"", b"a", b"b"]).SerializeToString()
    two = series_v2(*[1, 2] * 50)
    cases = (
        (remote_write.decode_v1, b"", one, 600),
        (remote_write.decode_v2, symbols, framed(b"\x2a", two), 2400),
        (remote_write.decode_v2, symbols, framed(b"\x2a", two + b"\xf8\x01\0"), 2400),
    )
    monkeypatch.setattr("os_credits.decode.series.PARTS_IN_BODY_MAX", 120_000)
    for decode, head, series, count in cases:
        assert len(decode(head + series * count)) == count
        with pytest.raises(TooLarge, match="labels and buckets"):
            decode(head + series * (count + 1))


def test_too_many_buckets_are_refused() -> None:
    histogram = proto.Histogram(positive_deltas=[0] * 100_000).SerializeToString()
    name = framed(b"\x0a", b"\x0a\x08__name__\x12\x02up")
    one = framed(b"\x0a", name + framed(b"\x22", histogram))

    assert len(remote_write.decode_v1(one * 20).rejected) == 20
    with pytest.raises(TooLarge, match="labels and buckets"):
        remote_write.decode_v1(one * 21)


def test_too_many_bytes_of_labels_are_refused() -> None:
    request = proto.RequestV2(symbols=[b"", b"__name__", b"x" * 900_000])
    for number in range(200):
        request.symbols.append(b"%d" % number)
        request.timeseries.append(series_v2(1, 2, 3 + number, 3 + number))
    with pytest.raises(TooLarge):
        remote_write.decode_v2(request.SerializeToString())


@pytest.mark.parametrize("value", [b"1", b'"x"'], ids=["numbers", "texts"])
def test_a_long_name_of_many_fields_is_refused(value: bytes) -> None:
    name = b"n" * (KEYS_BYTES_MAX // 1000)
    fields = b",".join(b"%d=%s" % (number, value) for number in range(1000))
    with pytest.raises(TooLarge, match="bytes of labels"):
        line_protocol.decode(name + b" " + fields, "ns")
