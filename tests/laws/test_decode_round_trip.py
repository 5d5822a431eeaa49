"""Law: what was encoded is decoded again, whatever the door; nonsense is refused, never worse."""

import gzip as gzip_writer
import json
import math
import struct
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from os_credits.decode import gzip, line_protocol, remote_write, snappy, telegraf_json
from os_credits.decode.line_value import NANOSECONDS_PER_UNIT
from os_credits.decode.remote_write_encode import EncodableSeries, encode_v1, encode_v2
from os_credits.domain.sample import Labels, Push
from os_credits.errors import InvalidInput

LIMIT_BYTES = 1_000_000

# A busy machine is no fault of the code.
patient = settings(deadline=None)

# What the wire formats give a meaning to, what looks like a line's end, and text of other scripts.
CHARACTERS = "aZ_:0, =\\\"#'-." + "\x85\u2028\N{NO-BREAK SPACE}" + "\u00e4\u0661e\u0301\U0001f600"
CONTROL_CHARACTERS = "\t\n\v\r\x1c\x7f"

label_text = st.text(CHARACTERS + CONTROL_CHARACTERS, min_size=1, max_size=9)
label_names = label_text.filter(lambda name: name != "__name__")
any_float = st.floats() | st.integers(0, 2**64 - 1).map(
    lambda bits: float(struct.unpack("<d", struct.pack("<Q", bits))[0])
)
samples = st.tuples(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**42), any_float)


@st.composite
def label_sets(draw: st.DrawFn) -> Labels:
    others = draw(st.dictionaries(label_names, label_text | st.just("x" * 300), max_size=4))
    return tuple(sorted({**others, "__name__": draw(label_text)}.items()))


all_series = st.lists(
    st.tuples(label_sets(), st.lists(samples, min_size=1, max_size=3)), max_size=5
)

Row = tuple[Labels, int, bytes]


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def rows(push: Push, labels_of: Callable[[bytes], Labels]) -> list[Row]:
    labels = [labels_of(key) for key in push.keys]
    return [
        (labels[key], time_ms, bits(value))
        for key, time_ms, value in zip(
            push.key_index.tolist(), push.times_ms.tolist(), push.values.tolist(), strict=True
        )
    ]


# ---- remote write


@patient
@given(all_series)
def test_remote_write_gives_back_what_was_encoded(series: list[EncodableSeries]) -> None:
    expected = [
        (labels, time_ms, bits(value)) for labels, each in series for time_ms, value in each
    ]
    v1 = remote_write.decode_v1(snappy.decompress(encode_v1(series), LIMIT_BYTES))
    v2 = remote_write.decode_v2(snappy.decompress(encode_v2(series), LIMIT_BYTES))

    assert rows(v1, remote_write.labels_of_v1) == expected
    assert rows(v2, remote_write.labels_of_v2) == expected


@patient
@given(all_series)
def test_both_versions_give_the_same_columns(series: list[EncodableSeries]) -> None:
    v1 = remote_write.decode_v1(snappy.decompress(encode_v1(series), LIMIT_BYTES))
    v2 = remote_write.decode_v2(snappy.decompress(encode_v2(series), LIMIT_BYTES))

    assert [remote_write.labels_of(key) for key in v1.keys] == [
        remote_write.labels_of(key) for key in v2.keys
    ]
    for column in ("key_index", "times_ms", "positions", "untimed"):
        assert np.array_equal(getattr(v1, column), getattr(v2, column))
    assert v1.values.tobytes() == v2.values.tobytes()
    assert v1.rejected == v2.rejected == []


@patient
@given(all_series, st.data())
def test_equal_labels_have_equal_keys_in_every_body(
    series: list[EncodableSeries], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(series))
    first = remote_write.decode_v1(snappy.decompress(encode_v1(series), LIMIT_BYTES))
    second = remote_write.decode_v1(snappy.decompress(encode_v1(shuffled), LIMIT_BYTES))

    assert sorted(first.keys) == sorted(second.keys)
    assert len(first.keys) == len({labels for labels, _ in series})


# ---- line protocol

names = st.text(CHARACTERS, min_size=1, max_size=9)
measurements = names.filter(lambda name: not name.startswith("#") and not name.endswith("\\"))
keys = names.filter(lambda name: name not in {"time", "__name__"} and not name.endswith("\\"))
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: (repr(number), number)),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: (f"{number}i", float(number))),
    st.integers(0, 2**64 - 1).map(lambda number: (f"{number}u", float(number))),
    st.sampled_from([("t", 1.0), ("True", 1.0), ("FALSE", 0.0)]),
)
strings = st.text(CHARACTERS + CONTROL_CHARACTERS + "\0", max_size=9).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
separators = st.sampled_from(["\n", "\r\n", "\n\n", "\n# m value=1\n", " \r\n   "])


def escaped(name: str, characters: str) -> str:
    return "".join(f"\\{character}" if character in characters else character for character in name)


@st.composite
def points(draw: st.DrawFn, nanoseconds: int) -> tuple[str, list[Row]]:
    """Write a point by the grammar, and say which samples it holds."""
    measurement = draw(measurements)
    tags = draw(st.dictionaries(keys, keys, max_size=3))
    fields = draw(st.dictionaries(keys, numbers | strings, min_size=1, max_size=3))
    time = draw(st.integers(-(2**62) // nanoseconds, 2**62 // nanoseconds))
    series = ",".join(
        [
            escaped(measurement, ", "),
            *(f"{escaped(k, ',= ')}={escaped(v, ',= ')}" for k, v in tags.items()),
        ]
    )
    texts = {key: value if isinstance(value, str) else value[0] for key, value in fields.items()}
    written = ",".join(f"{escaped(key, ',= ')}={text}" for key, text in texts.items())
    expected = [
        (labels_of_point(measurement, tags, key), time * nanoseconds // 1_000_000, bits(value[1]))
        for key, value in fields.items()
        if not isinstance(value, str)
    ]
    return f"{series} {written} {time}", expected


def labels_of_point(measurement: str, tags: dict[str, str], field: str) -> Labels:
    name = f"{measurement}_{field}"
    if measurement == "prometheus":
        name = field
    if field == "value":
        name = measurement
    return tuple(sorted({**tags, "__name__": name}.items()))


@patient
@given(st.data(), st.sampled_from(["ns", "u", "ms", "s", "h"]))
def test_lines_written_by_the_grammar_are_read(data: st.DataObject, precision: str) -> None:
    drawn = data.draw(st.lists(points(NANOSECONDS_PER_UNIT[precision]), max_size=4))
    body = "".join(text + data.draw(separators) for text, _ in drawn)
    push = line_protocol.decode(body.encode(), precision)

    assert push.rejected == []
    assert rows(push, line_protocol.labels_of) == [row for _, rows_ in drawn for row in rows_]


@patient
@given(st.lists(points(1), max_size=4), st.integers(0, 4))
def test_a_bad_line_anywhere_harms_only_itself(
    drawn: list[tuple[str, list[Row]]], place: int
) -> None:
    texts = [text for text, _ in drawn]
    body = "\n".join([*texts[:place], "bad line", *texts[place:]])
    push = line_protocol.decode(body.encode(), "ns")
    line = "\n".join([*texts[:place], ""]).count("\n") + 1

    assert [rejected.where for rejected in push.rejected] == [f"line {line}"]
    assert rows(push, line_protocol.labels_of) == [row for _, rows_ in drawn for row in rows_]


# ---- Telegraf's JSON

finite_floats = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.one_of(
    finite_floats,
    st.integers(-(2**63), 2**64 - 1),
    st.booleans(),
    st.text(CHARACTERS + CONTROL_CHARACTERS + "\0", max_size=9),
)


@st.composite
def metrics(draw: st.DrawFn, nanoseconds: int) -> tuple[dict[str, object], list[Row]]:
    """Write a metric as Telegraf does, and say which samples it holds."""
    name = draw(label_text)
    tags = draw(st.dictionaries(label_names, label_text | st.just(""), max_size=3))
    fields = draw(st.dictionaries(label_text, json_values, max_size=3))
    time = draw(st.integers(-(2**62) // nanoseconds, 2**62 // nanoseconds))
    kept = {tag: value for tag, value in tags.items() if value}
    expected = [
        (labels_of_point(name, kept, field), time * nanoseconds // 1_000_000, bits(float(value)))
        for field, value in fields.items()
        if not isinstance(value, str)
    ]
    return {"name": name, "tags": tags, "fields": fields, "timestamp": time}, expected


@settings(patient, max_examples=50)
@given(st.data(), st.sampled_from(["ns", "us", "ms", "s"]), st.booleans(), st.booleans())
def test_metrics_written_as_telegraf_does_are_read(
    data: st.DataObject, precision: str, is_escaped: bool, is_indented: bool
) -> None:
    drawn = data.draw(st.lists(metrics(NANOSECONDS_PER_UNIT[precision]), max_size=4))
    batch = {"metrics": [metric for metric, _ in drawn]}
    body = json.dumps(batch, ensure_ascii=is_escaped, indent=1 if is_indented else None)
    push = telegraf_json.decode(body.encode(), precision)

    assert push.rejected == []
    assert rows(push, telegraf_json.labels_of) == [row for _, rows_ in drawn for row in rows_]


@settings(patient, max_examples=50)
@given(st.lists(metrics(1), max_size=4), st.integers(0, 4), st.sampled_from([b"{}", b'"\xff"']))
def test_a_bad_metric_anywhere_harms_only_itself(
    drawn: list[tuple[dict[str, object], list[Row]]], place: int, bad: bytes
) -> None:
    texts = [json.dumps(metric).encode() for metric, _ in drawn]
    body = b'{"metrics":[' + b",".join([*texts[:place], bad, *texts[place:]]) + b"]}"
    push = telegraf_json.decode(body, "ns")

    assert [rejected.where for rejected in push.rejected] == [f"metric {len(texts[:place]) + 1}"]
    assert rows(push, telegraf_json.labels_of) == [row for _, rows_ in drawn for row in rows_]


@patient
@given(
    measurements.filter(lambda name: name != "prometheus"),
    st.dictionaries(keys, keys, max_size=3),
    st.lists(st.tuples(finite_floats, st.integers(-(2**62), 2**62)), min_size=1, max_size=4),
)
def test_every_door_gives_the_same_samples(
    name: str, tags: dict[str, str], timed: list[tuple[float, int]]
) -> None:
    labels = labels_of_point(name, tags, "value")
    series = ",".join(
        [
            escaped(name, ", "),
            *(f"{escaped(k, ',= ')}={escaped(v, ',= ')}" for k, v in tags.items()),
        ]
    )
    lines = "\n".join(f"{series} value={value!r} {time}" for value, time in timed)
    batch = [
        {"name": name, "tags": tags, "fields": {"value": value}, "timestamp": time}
        for value, time in timed
    ]
    written = encode_v2([(labels, [(time // 1_000_000, value) for value, time in timed])])

    by_remote_write = rows(
        remote_write.decode_v2(snappy.decompress(written, LIMIT_BYTES)), remote_write.labels_of
    )
    assert rows(line_protocol.decode(lines.encode(), "ns"), line_protocol.labels_of) == (
        by_remote_write
    )
    assert rows(
        telegraf_json.decode(json.dumps({"metrics": batch}).encode(), "ns"),
        telegraf_json.labels_of,
    ) == (by_remote_write)


# ---- nonsense


def push_or_refusal(
    decode: Callable[[bytes], Push], labels_of: Callable[[bytes], Labels], body: bytes
) -> None:
    """Decode `body` and read all its labels; only our own errors may come out."""
    try:
        push = decode(body)
    except InvalidInput:
        return
    for key in push.keys:
        with suppress(InvalidInput):
            labels_of(key)
    assert all(rejected.reason.isprintable() for rejected in push.rejected)
    assert len(push) == len(push.key_index) == len(push.values) == len(push.positions)
    assert len(push) == len(push.untimed)


doors: list[tuple[Callable[[bytes], Push], Callable[[bytes], Labels]]] = [
    (remote_write.decode_v1, remote_write.labels_of),
    (remote_write.decode_v2, remote_write.labels_of),
    (lambda body: line_protocol.decode(body, "s"), line_protocol.labels_of),
    (telegraf_json.decode, telegraf_json.labels_of),
]
line_pieces = st.lists(
    st.sampled_from([*'mtf,= \\"\n\r#\0\t0123456789-+.eEiu_ä', "true", "time", "m f=1", "\udc80"])
).map(lambda pieces: "".join(pieces).encode("utf-8", "surrogateescape"))


json_words = (
    '"name":"m"',
    '"fields":{',
    '"tags":{',
    '"a":1',
    '"timestamp":',
    '{"metrics":[',
    "null",
)
json_pieces = st.lists(
    st.sampled_from([*'{}[]:,"\\ \n\0ud8019-.eE_ä', *json_words, "true", "NaN", "\udc80"])
).map(lambda pieces: "".join(pieces).encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("decode, labels_of", doors)
@patient
@given(body=st.binary() | line_pieces | json_pieces)
def test_arbitrary_bytes_raise_nothing_but_our_errors(
    decode: Callable[[bytes], Push], labels_of: Callable[[bytes], Labels], body: bytes
) -> None:
    push_or_refusal(decode, labels_of, body)


@pytest.mark.parametrize("version", [1, 2])
@patient
@given(series=all_series, place=st.integers(0), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_body_raises_nothing_but_our_errors(
    version: int, series: list[EncodableSeries], place: int, byte: int, cut: bool
) -> None:
    decode, labels_of = doors[version - 1]
    body = bytearray(snappy.decompress((encode_v1, encode_v2)[version - 1](series), LIMIT_BYTES))
    if body:
        body[place % len(body)] = byte
    push_or_refusal(decode, labels_of, bytes(body[: place % len(body)] if body and cut else body))


@patient
@given(st.binary(), st.integers(0, 1000))
def test_arbitrary_bytes_are_unpacked_or_refused(body: bytes, limit_bytes: int) -> None:
    for room in (snappy, gzip):
        with suppress(InvalidInput):
            assert len(room.decompress(body, limit_bytes)) <= limit_bytes


@patient
@given(st.binary(), st.integers(0), st.integers(0, 255))
def test_damaged_packed_bytes_are_unpacked_or_refused(body: bytes, place: int, byte: int) -> None:
    for room, packed in ((snappy, snappy.compress(body)), (gzip, gzip_writer.compress(body))):
        damaged = bytearray(packed)
        damaged[place % len(damaged)] = byte
        with suppress(InvalidInput):
            assert len(room.decompress(bytes(damaged), 1000)) <= 1000


@patient
@given(st.binary())
def test_what_was_packed_is_unpacked(body: bytes) -> None:
    assert snappy.decompress(snappy.compress(body), len(body)) == body
    assert gzip.decompress(gzip_writer.compress(body), len(body)) == body


@patient
@given(st.lists(any_float, min_size=1, max_size=3))
def test_every_float_keeps_its_bits(values: list[float]) -> None:
    labels: Labels = (("__name__", "up"),)
    push = remote_write.decode_v1(
        snappy.decompress(encode_v1([(labels, [(1, value) for value in values])]), LIMIT_BYTES)
    )

    assert push.values.tobytes() == b"".join(map(bits, values))
    assert [math.isnan(value) for value in push.values] == [math.isnan(value) for value in values]
