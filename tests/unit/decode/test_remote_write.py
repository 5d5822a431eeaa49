"""The rules of remote write by their numbers in the sender table: P5 to P23."""

import math
import struct
from collections.abc import Callable

import numpy as np
import pytest

from os_credits.decode import remote_write
from os_credits.decode.plain_samples import SAMPLE_BYTES
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.domain.sample import STALE_MARKER_BITS, Labels, Push, Rejected, is_stale
from os_credits.errors import InvalidInput, InvalidLabels

pytestmark = pytest.mark.usefixtures("scan")

UP: Labels = (("__name__", "up"), ("job", "node"))
STALE = struct.unpack("<d", struct.pack("<Q", STALE_MARKER_BITS))[0]


def label(name: bytes, value: bytes) -> bytes:
    return proto.Label(name=name, value=value).SerializeToString()


def series_v1(*labels: tuple[bytes, bytes], **parts: object) -> bytes:
    labels = labels or ((b"__name__", b"up"), (b"job", b"node"))
    series = proto.TimeSeries(labels=[label(*pair) for pair in labels], **parts)  # type: ignore[arg-type]
    return series.SerializeToString()


def body_v1(*series: bytes) -> bytes:
    return proto.WriteRequest(timeseries=series).SerializeToString()


def series_v2(*references: int, **parts: object) -> proto.TimeSeriesV2:
    return proto.TimeSeriesV2(labels_refs=references or (1, 2, 3, 4), **parts)  # type: ignore[arg-type]


def body_v2(
    *series: proto.TimeSeriesV2, symbols: tuple[bytes, ...] = (b"", b"__name__", b"up", b"job")
) -> bytes:
    bodies = [one.SerializeToString() for one in series]
    return proto.RequestV2(symbols=[*symbols, b"node"], timeseries=bodies).SerializeToString()


def sample(time_ms: int = 1_795_311_049_127, value: float = 1.5) -> proto.Sample:
    return proto.Sample(timestamp=time_ms, value=value)


def content(push: Push) -> list[tuple[Labels, int, float]]:
    labels = [remote_write.labels_of(key) for key in push.keys]
    return [
        (labels[key], time_ms, value)
        for key, time_ms, value in zip(
            push.key_index.tolist(), push.times_ms.tolist(), push.values.tolist(), strict=True
        )
    ]


def reason_of(key: bytes) -> str:
    with pytest.raises(InvalidLabels) as caught:
        remote_write.labels_of(key)
    return caught.value.message


# ---- P5, P23: what is a body


@pytest.mark.parametrize("decode", [remote_write.decode_v1, remote_write.decode_v2])
def test_p5_a_body_that_is_no_protobuf_is_refused_as_a_whole(
    decode: Callable[[bytes], Push],
) -> None:
    with pytest.raises(InvalidInput, match="not a remote write message"):
        decode(b"\xff\xff not protobuf")


def test_p5_a_cut_time_series_makes_the_body_no_message() -> None:
    body = body_v1(series_v1(samples=[sample()]), series_v1(samples=[sample()])[:-1])

    with pytest.raises(InvalidInput, match="not a remote write message"):
        remote_write.decode_v1(body)


@pytest.mark.parametrize("decode", [remote_write.decode_v1, remote_write.decode_v2])
def test_p23_an_empty_body_is_an_empty_push(decode: Callable[[bytes], Push]) -> None:
    push = decode(b"")

    assert (len(push), [*push.keys], push.rejected) == (0, [], [])


def test_p23_a_body_of_the_other_version_is_refused_instead_of_read_as_empty() -> None:
    one, two = body_v1(series_v1(samples=[sample()])), body_v2(series_v2(samples=[sample()]))
    with pytest.raises(InvalidInput, match=r"Content-Type say 2\.0"):
        remote_write.decode_v1(two)
    with pytest.raises(InvalidInput, match=r"Content-Type say 1\.0"):
        remote_write.decode_v2(one)


def test_p22_metadata_alone_is_an_empty_push() -> None:
    metadata = b"\x1a\x0c\x08\x01\x12\x02up\x22\x04help"

    assert len(remote_write.decode_v1(metadata)) == 0


def test_p23_unknown_fields_are_ignored() -> None:
    unknown = b"\xfa\x01\x03abc"
    body = body_v1(series_v1(samples=[sample()]) + unknown) + unknown

    assert content(remote_write.decode_v1(body)) == [(UP, 1_795_311_049_127, 1.5)]


# ---- samples


def test_several_samples_of_a_series_share_its_key_and_position() -> None:
    several = series_v1(samples=[sample(1000, 1.0), sample(2000, 2.0)])
    push = remote_write.decode_v1(body_v1(several, series_v1(samples=[sample(value=3.0)])))

    assert push.values.tolist() == [1.0, 2.0, 3.0]
    assert push.times_ms.tolist() == [1000, 2000, 1_795_311_049_127]
    assert push.key_index.tolist() == [0, 0, 0]
    assert push.positions.tolist() == [1, 1, 2]
    assert not push.untimed.any()
    assert push.where(2) == "series 2"


@pytest.mark.parametrize(
    "time_ms", [0, 1, -1, 127, 2**35 - 1, 2**35, 2**42 - 1, 2**42, 2**63 - 1, -(2**63)]
)
def test_p18_any_int64_time_is_handed_on(time_ms: int) -> None:
    expected = [(UP, time_ms, 1.5)]

    assert (
        content(remote_write.decode_v1(body_v1(series_v1(samples=[sample(time_ms)])))) == expected
    )
    assert (
        content(remote_write.decode_v2(body_v2(series_v2(samples=[sample(time_ms)])))) == expected
    )


def test_a_value_of_zero_which_is_not_written_is_read_as_zero() -> None:
    series = series_v1(samples=[sample(value=0.0)])

    assert series.endswith(b"\x12\x07\x10" + series[-6:])
    assert content(remote_write.decode_v1(body_v1(series))) == [(UP, 1_795_311_049_127, 0.0)]


def test_p17_the_stale_marker_survives_bit_for_bit() -> None:
    lone = series_v1(samples=[sample(value=STALE)])
    several = series_v1(samples=[sample(1, STALE), sample(2, math.nan)])
    v1 = remote_write.decode_v1(body_v1(lone, several))
    v2 = remote_write.decode_v2(body_v2(series_v2(samples=[sample(1, STALE), sample(2, math.nan)])))

    assert is_stale(v1.values).tolist() == [True, True, False]
    assert is_stale(v2.values).tolist() == [True, False]


def test_p17_other_nan_and_infinities_are_handed_on() -> None:
    values = [math.nan, math.inf, -math.inf]
    push = remote_write.decode_v1(body_v1(*[series_v1(samples=[sample(value=v)]) for v in values]))

    assert np.array_equal(push.values, values, equal_nan=True)
    assert push.rejected == []


def test_p16_start_timestamps_are_ignored() -> None:
    started = proto.Sample.FromString(sample().SerializeToString() + b"\x18\x05")
    created = proto.TimeSeriesV2.FromString(
        series_v2(samples=[started]).SerializeToString() + b"\x30\x05"
    )

    push = remote_write.decode_v2(body_v2(created))

    assert content(push) == [(UP, 1_795_311_049_127, 1.5)]


def test_p15_several_series_with_equal_labels_are_legal() -> None:
    twice = series_v2(samples=[sample()])

    assert remote_write.decode_v2(body_v2(twice, twice)).key_index.tolist() == [0, 0]


def test_something_that_only_looks_like_a_lone_sample_is_parsed() -> None:
    sample_without_time = b"\x12\x10\x09" + struct.pack("<d", 1.5) + b"\x38\x80\x80\x80\x80\x80\x01"
    odd = series_v1() + sample_without_time
    push = remote_write.decode_v1(body_v1(series_v1(samples=[sample()]), odd))

    assert content(push) == [(UP, 1_795_311_049_127, 1.5), (UP, 0, 1.5)]


@pytest.mark.parametrize("length", [1, 100, 127, 128, 300, 16_383, 16_384, 70_000])
def test_labels_of_any_length_give_the_same_key_alone_and_in_company(length: int) -> None:
    pairs = ((b"__name__", b"up"), (b"text", b"x" * length))
    lone = series_v1(*pairs, samples=[sample()])
    several = series_v1(*pairs, samples=[sample(), sample()])
    push = remote_write.decode_v1(body_v1(lone, several))

    assert len(set(push.keys)) == 1
    assert remote_write.labels_of_v1(push.keys[0]) == (("__name__", "up"), ("text", "x" * length))


def test_labels_behind_the_samples_give_the_same_key() -> None:
    behind = proto.TimeSeries(samples=[sample()]).SerializeToString() + series_v1()
    push = remote_write.decode_v1(body_v1(series_v1(samples=[sample()]), behind))

    assert push.key_index.tolist() == [0, 0]


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_plain_and_parsed_series_give_the_same_samples_in_the_same_order(count: int) -> None:
    samples = [sample(1_795_311_049_127 + n, n / 4) for n in range(1, count + 1)]
    unknown = b"\xfa\x01\x03abc"
    plain_1, plain_2 = series_v1(samples=samples), series_v2(samples=samples).SerializeToString()
    described = proto.TimeSeriesV2(metadata=proto.MetadataV2(type=1, help_ref=4))
    described_2 = plain_2 + described.SerializeToString()
    expected = [(UP, one.timestamp, one.value) for one in samples] * 2
    symbols = [b"", b"__name__", b"up", b"job", b"node"]

    assert content(remote_write.decode_v1(body_v1(plain_1, plain_1 + unknown))) == expected
    for first, second in ((plain_2, plain_2 + unknown), (unknown + plain_2, described_2)):
        request = proto.RequestV2(symbols=symbols, timeseries=[first, second])
        assert content(remote_write.decode_v2(request.SerializeToString())) == expected


def test_zeros_among_several_samples_are_read_as_zeros() -> None:
    samples = [sample(1_795_311_049_127 + n, value) for n, value in enumerate((1.0, 0.0, 0.0, 2.0))]
    expected = [(UP, one.timestamp, one.value) for one in samples]
    v1 = body_v1(series_v1(samples=samples[:3]), series_v1(samples=samples[3:]))
    v2 = body_v2(series_v2(samples=samples[:3]), series_v2(samples=samples[3:]))

    assert content(remote_write.decode_v1(v1)) == expected
    assert content(remote_write.decode_v2(v2)) == expected


@pytest.mark.parametrize("cut", range(1, 19))
def test_p5_a_2_0_series_that_is_cut_anywhere_makes_the_body_no_message(cut: int) -> None:
    whole = series_v2(samples=[sample()]).SerializeToString()
    request = proto.RequestV2(symbols=[b""], timeseries=[whole, whole[: -cut or None]])
    if cut == SAMPLE_BYTES:
        push = remote_write.decode_v2(request.SerializeToString())
        assert [one.where for one in push.rejected] == ["series 1", "series 2"]
        return

    with pytest.raises(InvalidInput, match="not a remote write message"):
        remote_write.decode_v2(request.SerializeToString())


def test_p5_references_that_are_no_numbers_make_the_body_no_message() -> None:
    broken = b"\x0a\x02\x01\x80" + series_v2(samples=[sample()]).SerializeToString()[6:]
    request = proto.RequestV2(symbols=[b"", b"x"], timeseries=[broken])

    with pytest.raises(InvalidInput, match="not a remote write message"):
        remote_write.decode_v2(request.SerializeToString())


def test_something_that_only_looks_like_a_sample_of_2_0_is_parsed() -> None:
    odd = series_v2().SerializeToString() + b"\x12\x10\x09" + struct.pack("<d", 1.5)
    odd += b"\x38\x80\x80\x80\x80\x80\x01"
    good = series_v2(samples=[sample()]).SerializeToString()
    symbols = [b"", b"__name__", b"up", b"job", b"node"]
    request = proto.RequestV2(symbols=symbols, timeseries=[good, odd])

    assert content(remote_write.decode_v2(request.SerializeToString())) == [
        (UP, 1_795_311_049_127, 1.5),
        (UP, 0, 1.5),
    ]


def test_many_series_and_symbols_are_read_in_their_order() -> None:
    names = [b"node%d" % number for number in range(10_000)]
    every_third = range(0, 10_000, 3)
    request = proto.RequestV2(symbols=[b"", b"__name__", b"up", b"job", *names])
    for number in range(10_000):
        more = b"\xfa\x01\x03abc" if number in every_third else b""
        one = series_v2(1, 2, 3, 4 + number, samples=[sample(value=float(number))])
        request.timeseries.append(one.SerializeToString() + more)
    push = remote_write.decode_v2(request.SerializeToString())

    assert push.values.tolist() == [float(number) for number in range(10_000)]
    assert push.positions.tolist() == list(range(1, 10_001))
    assert [remote_write.labels_of(key)[1][1].encode() for key in push.keys] == names


# ---- P12, P13: labels


def test_p12_unsorted_labels_are_sorted() -> None:
    push = remote_write.decode_v1(
        body_v1(series_v1((b"job", b"node"), (b"__name__", b"up"), samples=[sample()]))
    )

    assert remote_write.labels_of_v1(push.keys[0]) == UP


@pytest.mark.parametrize(
    "pairs, reason",
    [
        ([(b"job", b"node")], 'no metric name (label "__name__")'),
        ([(b"__name__", b"")], 'label "__name__" has an empty value'),
        ([(b"__name__", b"up"), (b"", b"x")], "empty label name"),
        ([(b"__name__", b"up"), (b"a", b"")], 'label "a" has an empty value'),
        ([(b"__name__", b"up"), (b"a", b"1"), (b"a", b"1")], 'duplicate label "a"'),
        ([(b"__name__", b"up"), (b"a", b"1"), (b"a", b"2")], 'duplicate label "a"'),
        ([(b"__name__", b"up"), (b"a", b"\xff")], 'label text "\\xff" is not valid UTF-8'),
        ([(b"__name__", b"up"), (b"\xed\xa0\x80", b"1")], "is not valid UTF-8"),
        ([(b"__name__", b"up"), (b"a", b"x\0")], 'NUL character in label text "x\\x00"'),
    ],
)
def test_p12_labels_that_cannot_be_used(pairs: list[tuple[bytes, bytes]], reason: str) -> None:
    v1 = remote_write.decode_v1(body_v1(series_v1(*pairs, samples=[sample()])))
    symbols = (b"", *(text for pair in pairs for text in pair))
    series = series_v2(*range(1, len(symbols)), samples=[sample()])
    v2 = remote_write.decode_v2(body_v2(series, symbols=symbols))

    assert reason in reason_of(v1.keys[0])
    assert reason in reason_of(v2.keys[0])


def test_p12_a_series_without_labels_has_no_metric_name() -> None:
    lone = proto.TimeSeries(samples=[sample()]).SerializeToString()
    push = remote_write.decode_v1(body_v1(lone))

    assert [*push.keys] == [b""]
    assert "no metric name" in reason_of(b"")


@pytest.mark.parametrize(
    "value", ["resource.cpu.usage", "resource cpu usage", "a\nb", "\U0001f600"]
)
def test_p13_names_and_values_may_be_any_utf8(value: str) -> None:
    labels = ((b"__name__", value.encode()), (value.encode(), value.encode()))
    expected = tuple(sorted((("__name__", value), (value, value))))
    v1 = remote_write.decode_v1(body_v1(series_v1(*labels, samples=[sample()])))
    symbols = (b"", b"__name__", value.encode())
    v2 = remote_write.decode_v2(body_v2(series_v2(1, 2, 2, 2, samples=[sample()]), symbols=symbols))

    assert remote_write.labels_of_v1(v1.keys[0]) == expected
    assert remote_write.labels_of_v2(v2.keys[0]) == expected


def test_a_poisoned_label_harms_only_its_own_series() -> None:
    poisoned = series_v1((b"__name__", b"\xff\xfe"), samples=[sample()])
    push = remote_write.decode_v1(body_v1(poisoned, series_v1(samples=[sample()])))

    assert len(push) == 2
    assert "not valid UTF-8" in reason_of(push.keys[0])
    assert remote_write.labels_of_v1(push.keys[1]) == UP


def test_a_label_that_is_no_message_harms_only_its_own_series() -> None:
    broken = b"\x0a\x03\xff\xff\xff" + series_v1(samples=[sample()])
    push = remote_write.decode_v1(body_v1(broken, series_v1(samples=[sample()])))

    assert reason_of(push.keys[0]) == "broken label"
    assert remote_write.labels_of_v1(push.keys[1]) == UP


@pytest.mark.parametrize("key", [b"\0\x05ab", b"\0\x01a", b"\0\xff", b"\0\x01a\x02b"])
def test_a_broken_key_of_version_2_has_no_labels(key: bytes) -> None:
    assert reason_of(key) == "broken label"


# ---- P14, P15: symbols and the shape of a 2.0 series


def test_p14_the_first_symbol_must_be_empty() -> None:
    with pytest.raises(InvalidInput, match="first symbol"):
        remote_write.decode_v2(body_v2(series_v2(samples=[sample()]), symbols=(b"__name__", b"up")))


@pytest.mark.parametrize(
    "series, reason",
    [
        (series_v2(1, 2, 3, samples=[sample()]), "odd number of references to the symbol table"),
        (series_v2(1, 5, samples=[sample()]), "reference out of the symbol table"),
        (series_v2(1, 2**32 - 1, samples=[sample()]), "reference out of the symbol table"),
        (
            series_v2(samples=[sample()], metadata=proto.MetadataV2(help_ref=5)),
            "reference out of the symbol table",
        ),
    ],
)
def test_p14_wrong_references_refuse_that_series_only(
    series: proto.TimeSeriesV2, reason: str
) -> None:
    push = remote_write.decode_v2(body_v2(series, series_v2(samples=[sample()])))

    assert push.rejected == [Rejected("series 1", reason, 1)]
    assert content(push) == [(UP, 1_795_311_049_127, 1.5)]
    assert push.positions.tolist() == [2]
    assert push.exemplars_written == 0


@pytest.mark.parametrize(
    "references, reason", [([1], "odd number of"), ([1, 9], "reference out of")]
)
def test_wrong_references_of_an_exemplar_refuse_that_exemplar_only(
    references: list[int], reason: str
) -> None:
    exemplars = [proto.ExemplarV2(labels_refs=references), proto.ExemplarV2()]
    push = remote_write.decode_v2(body_v2(series_v2(samples=[sample()], exemplars=exemplars)))

    assert (len(push), push.exemplars_written) == (1, 1)
    assert [(one.where, one.sample_count) for one in push.rejected] == [("series 1", 0)]
    assert push.rejected[0].reason.startswith(f"exemplar: {reason}")


@pytest.mark.parametrize("metadata", [None, proto.MetadataV2()])
def test_p15_a_series_needs_samples_or_histograms(metadata: proto.MetadataV2 | None) -> None:
    push = remote_write.decode_v2(body_v2(series_v2(metadata=metadata)))

    assert push.rejected == [Rejected("series 1", "neither samples nor histograms", 0)]


def test_p22_metadata_alone_is_accepted_if_its_labels_are_sound() -> None:
    metadata = proto.MetadataV2(type=1, help_ref=4)
    push = remote_write.decode_v2(
        body_v2(series_v2(metadata=metadata), series_v2(3, 4, metadata=metadata))
    )

    assert (len(push), [*push.keys]) == (0, [])
    assert push.rejected == [Rejected("series 2", 'no metric name (label "__name__")', 0)]


def test_p15_a_series_never_has_both_samples_and_histograms() -> None:
    both = series_v2(samples=[sample()], histograms=[proto.Histogram()])
    push = remote_write.decode_v2(body_v2(both))

    assert push.rejected == [Rejected("series 1", "both samples and histograms", 2)]
    assert (len(push), push.histograms_written) == (0, 0)


def test_metadata_with_good_references_is_ignored() -> None:
    described = series_v2(samples=[sample()], metadata=proto.MetadataV2(help_ref=4, unit_ref=4))

    assert len(remote_write.decode_v2(body_v2(described))) == 1


# ---- P11, P21, P22: exemplars and histograms


def test_p22_exemplars_are_counted_and_set_aside() -> None:
    exemplar_v1 = proto.Exemplar(labels=[proto.Label(name=b"trace_id", value=b"1")], value=2.0)
    exemplar_v2 = proto.ExemplarV2(labels_refs=[3, 4], value=2.0)
    v1 = remote_write.decode_v1(body_v1(series_v1(samples=[sample()], exemplars=[exemplar_v1])))
    v2 = remote_write.decode_v2(body_v2(series_v2(samples=[sample()], exemplars=[exemplar_v2])))

    assert (len(v1), v1.exemplars_written) == (1, 1)
    assert (len(v2), v2.exemplars_written) == (1, 1)


def test_p22_exemplars_alone_are_accepted_as_prometheus_sends_them() -> None:
    exemplars = [proto.ExemplarV2(labels_refs=[3, 4]), proto.ExemplarV2()]
    push = remote_write.decode_v2(body_v2(series_v2(exemplars=exemplars)))

    assert (len(push), push.exemplars_written, push.rejected) == (0, 2, [])


def test_a_bad_exemplar_costs_no_sample() -> None:
    bad = proto.Exemplar(labels=[proto.Label(name=b"trace_id", value=b"\xff")])
    push = remote_write.decode_v1(body_v1(series_v1(samples=[sample()], exemplars=[bad])))

    assert len(push) == 1
    assert push.exemplars_written == 0
    assert push.rejected == [
        Rejected("series 1", 'exemplar: label text "\\xff" is not valid UTF-8', 0)
    ]


def test_p11_histograms_are_counted_and_set_aside() -> None:
    push = remote_write.decode_v1(body_v1(series_v1(histograms=[proto.Histogram()] * 2)))

    assert (len(push), push.histograms_written, push.rejected) == (0, 2, [])


def test_p21_a_histogram_that_contradicts_itself_is_refused_alone() -> None:
    histograms = [proto.Histogram(count_int=5), proto.Histogram()]
    push = remote_write.decode_v2(body_v2(series_v2(histograms=histograms)))

    assert push.histograms_written == 1
    assert push.rejected == [Rejected("series 1", "histogram counts 5, its buckets hold 0", 1)]


def test_histograms_under_bad_labels_are_not_counted() -> None:
    nameless = series_v1((b"job", b"node"), histograms=[proto.Histogram()])
    push = remote_write.decode_v1(body_v1(nameless))

    assert push.histograms_written == 0
    assert push.rejected == [Rejected("series 1", 'no metric name (label "__name__")', 1)]
