"""Telegraf's JSON, item by item, and what becomes of a metric or a body that is no such thing."""

import json
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from os_credits.decode import line_protocol, telegraf_json
from os_credits.decode.columns import KEYS_BYTES_MAX
from os_credits.decode.telegraf_json import (
    BRACKETS_PER_PIECE_MAX,
    COMMAS_PER_PIECE_MAX,
    METRIC_BYTES_MAX,
)
from os_credits.domain.sample import Labels, Push, Rejected
from os_credits.errors import InvalidInput, InvalidLabels, TooLarge
from tests.unit.decode.pushed import samples_of

BODIES = Path(__file__).parents[2] / "data" / "telegraf_json"
GOOD = b'{"name":"good","fields":{"value":1}}'
GOOD_LABELS = (("__name__", "good"),)


def samples(push: Push) -> list[tuple[Labels, int | None, float]]:
    return samples_of(push, telegraf_json.labels_of)


def metric(**parts: Any) -> bytes:
    return json.dumps({"name": "m", "tags": {}, "fields": {"value": 1}, **parts}).encode()


def of_field(written: str) -> bytes:
    return b'{"name":"m","fields":{"value":%s}}' % written.encode()


def reason(bad: bytes, precision: str = "") -> str:
    """Give the reason for which one metric is refused, between two that are not touched."""
    push = telegraf_json.decode(b'{"metrics":[' + b",".join([GOOD, bad, GOOD]) + b"]}", precision)
    assert samples(push) == [(GOOD_LABELS, None, 1.0)] * 2
    assert push.positions.tolist() == [1, 3]
    assert [rejected.where for rejected in push.rejected] == ["metric 2"]
    assert push.texts == {}
    return push.rejected[0].reason


def shape_fault(body: bytes) -> str:
    with pytest.raises(InvalidInput) as refused:
        telegraf_json.decode(body)
    assert not isinstance(refused.value, TooLarge)
    return str(refused.value)


# ---- what Telegraf writes


def test_a_batch_of_telegraf() -> None:
    push = telegraf_json.decode((BODIES / "batch.json").read_bytes())
    disk = ("host", "a\u2028b")

    assert samples(push) == [
        (
            (
                ("__name__", "project_vcpu_usage"),
                ("location_id", "1"),
                ("project_id", "3a61c0ffee"),
                ("project_name", "R&D <genomics> \u00fc"),
            ),
            1795311049000,
            12.5,
        ),
        ((("__name__", "disk_active"), disk), 1795311049000, 1.0),
        ((("__name__", "disk_bytes"), disk), 1795311049000, 2.0**64),
        ((("__name__", "disk_huge"), disk), 1795311049000, 1e21),
        ((("__name__", "disk_inodes"), disk), 1795311049000, -(2.0**53)),
        ((("__name__", "disk_tiny"), disk), 1795311049000, 1e-7),
        ((("__name__", "disk_zero"), disk), 1795311049000, 0.0),
    ]
    assert push.positions.tolist() == [1, 2, 2, 2, 2, 2, 2]
    assert (push.unit, push.rejected, push.texts) == ("metric", [], {"disk_firmware": 1})


def test_a_batch_in_nanoseconds_is_floored_to_the_millisecond() -> None:
    push = telegraf_json.decode((BODIES / "batch-1ns.json").read_bytes(), "ns")

    assert [(time_ms, value) for _, time_ms, value in samples(push)] == [
        (1795311049127, 1.0),
        (1795311049128, 2.0),
    ]
    assert len(push.keys) == 1


def test_a_metric_that_is_no_batch() -> None:
    push = telegraf_json.decode((BODIES / "single.json").read_bytes())
    labels = (
        ("__name__", "project_vcpu_usage"),
        ("location_id", "1"),
        ("project_id", "3a61c0ffee"),
    )

    assert samples(push) == [(labels, 1795311049000, 3.25)]


@pytest.mark.parametrize(
    "body",
    [
        b"[%s]",
        b' \t\r\n{ "metrics"\n:\t[ %s ] }\r\n ',
        b'\xef\xbb\xbf{"metrics":[%s]}',
        b'{"metrics":[%s]}',
        b"%s",
    ],
)
def test_blanks_and_forms_round_a_metric(body: bytes) -> None:
    assert samples(telegraf_json.decode(body % GOOD)) == [(GOOD_LABELS, None, 1.0)]


@pytest.mark.parametrize("body", [b'{"metrics":[]}', b"[]", b'{"metrics" : [ ] }\n'])
def test_nothing_is_in_an_empty_batch(body: bytes) -> None:
    push = telegraf_json.decode(body)

    assert (len(push), push.rejected) == (0, [])


def test_a_metric_without_fields_holds_no_samples() -> None:
    push = telegraf_json.decode(metric(fields={}))

    assert (len(push), push.rejected, push.texts) == (0, [], {})


def test_what_else_a_metric_says_means_nothing() -> None:
    strange = b'{"name":"good","x":[{"y":[1,null]},{}],"fields":{"value":1},"":"]}","z":null}'

    assert samples(telegraf_json.decode(strange)) == [(GOOD_LABELS, None, 1.0)]


# ---- names and tags


@pytest.mark.parametrize("name", ["cpu", "prometheus", "a,b c=d", "\u00fc", "#x", '"', "a\nb"])
@pytest.mark.parametrize("field", ["value", "usage", "x y=,\\", "\U0001f600"])
def test_a_metric_is_named_as_line_protocol_names_it(name: str, field: str) -> None:
    expected = f"{name}_{field}"
    if name == "prometheus":
        expected = field
    if field == "value":
        expected = name
    [(labels, _, _)] = samples(telegraf_json.decode(metric(name=name, fields={field: 1})))

    assert labels == (("__name__", expected),)


def test_a_tag_without_a_value_is_none() -> None:
    [(labels, _, _)] = samples(telegraf_json.decode(metric(tags={"b": "", "c": "2", "a": "1"})))

    assert labels == (("__name__", "m"), ("a", "1"), ("c", "2"))


def test_equal_tags_in_any_order_have_equal_keys() -> None:
    one = telegraf_json.decode(metric(tags={"a": "1", "b": "2", "c": ""}))
    other = telegraf_json.decode(metric(tags={"b": "2", "a": "1"}))

    assert [*one.keys] == [*other.keys]


def test_tags_cannot_be_taken_for_others() -> None:
    sets: list[dict[str, str]] = [{"a": "1", "b": "2"}, {"a": "1b2"}, {"a": "b", "1": "2"}, {}]
    keys = [telegraf_json.decode(metric(tags=tags)).keys[0] for tags in sets]

    assert len(set(keys)) == len(sets)


def test_escapes_and_plain_text_are_the_same() -> None:
    plain = '{"name":"\u00fc\U0001f600","tags":{"/":"\u20ac"},"fields":{"value":1}}'
    escaped = r'{"n\u0061me":"\u00fc\ud83d\ude00","tags":{"\/":"\u20ac"},"fields":{"value":1}}'

    one, other = (telegraf_json.decode(text.encode()) for text in (plain, escaped))
    assert [*one.keys] == [*other.keys]


def test_the_tag_of_the_name_is_the_name_or_refused() -> None:
    [(labels, _, _)] = samples(telegraf_json.decode(metric(tags={"__name__": "m"})))

    assert labels == (("__name__", "m"),)
    assert reason(metric(tags={"__name__": "n"})) == 'tag "__name__" differs from the name'


# ---- values


def number(written: str) -> float:
    [(_, _, value)] = samples(telegraf_json.decode(of_field(written)))
    return value


@pytest.mark.parametrize(
    "written, value",
    [
        ("1.5", 1.5),
        ("-7", -7.0),
        ("0", 0.0),
        ("-0", -0.0),
        ("-0.0", -0.0),
        ("1e3", 1000.0),
        ("1E-7", 1e-7),
        ("9007199254740993", 2.0**53),
        ("9007199254740995", 2.0**53 + 4),
        ("9223372036854775807", 2.0**63),
        ("-9223372036854775808", -(2.0**63)),
        ("18446744073709551615", 2.0**64),
        ("100000000000000000000000", 1e23),
        ("1e-400", 0.0),
        ("5e-324", 5e-324),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("0." + "3" * 10_000, 1 / 3),
        ("true", 1.0),
        ("false", 0.0),
    ],
)
def test_a_number_is_the_nearest_float(written: str, value: float) -> None:
    assert struct.pack("<d", number(written)) == struct.pack("<d", value)


@pytest.mark.parametrize(
    "written",
    ["1e400", "-1e309", "1" * 310, "-" + "9" * 5000, "NaN", "Infinity", "-Infinity"],
)
def test_a_number_out_of_range_is_refused(written: str) -> None:
    assert reason(of_field(written)) == 'field "value": number out of range'


@pytest.mark.parametrize("written", ["null", "[]", "[1]", "{}", '{"a":1}', '{"a":1,"a":2}'])
def test_a_field_that_is_no_value_is_refused(written: str) -> None:
    assert reason(of_field(written)) == 'field "value" is neither a number, a boolean nor text'


@pytest.mark.parametrize(
    "written", ["1_0", "01", "+1", ".5", "1.", "0x10", "nan", "True", "\u0661", "'a'", "", '"\t"']
)
def test_what_json_does_not_know_is_refused(written: str) -> None:
    assert reason(of_field(written)).startswith("not valid JSON: ")


def test_texts_are_counted_by_the_name_of_their_metric() -> None:
    push = telegraf_json.decode(
        b"[%s,%s,%s]"
        % (
            metric(name="cpu", fields={"value": "a", "n": 1, "s": ""}),
            metric(name="cpu", fields={"value": "\ud800"}),
            metric(name="cpu", fields={"value": "b", "bad": None}),
        )
    )

    assert push.texts == {"cpu": 2, "cpu_s": 1}
    assert samples(push) == [((("__name__", "cpu_n"),), None, 1.0)]


# ---- times


@pytest.mark.parametrize(
    "precision, timestamp, time_ms",
    [
        ("", 1795311049, 1795311049000),
        ("s", -1, -1000),
        ("ms", 1795311049127, 1795311049127),
        ("us", 1795311049127999, 1795311049127),
        ("us", -1, -1),
        ("ns", 1795311049127999999, 1795311049127),
        ("ns", 0, 0),
        ("ns", 2**63 - 2, 9223372036854),
        ("ns", -(2**63) + 2, -9223372036855),
        ("s", 9223372036, 9223372036000),
    ],
)
def test_a_time_is_in_units_of_the_precision(precision: str, timestamp: int, time_ms: int) -> None:
    push = telegraf_json.decode(metric(timestamp=timestamp), precision)

    assert [seen for _, seen, _ in samples(push)] == [time_ms]


@pytest.mark.parametrize("precision", ["n", "u", "\u00b5s", "m", "h", "1s", "S", "10ms", "ns "])
def test_an_unknown_precision_is_refused_as_a_whole(precision: str) -> None:
    with pytest.raises(InvalidInput, match="invalid precision"):
        telegraf_json.decode(GOOD, precision)


@pytest.mark.parametrize(
    "precision, timestamp",
    [
        ("s", 9223372037),
        ("s", 1795311049127),
        ("ms", 1795311049127999),
        ("ns", 2**63 - 1),
        ("ns", -(2**63)),
        ("ns", 10**19),
    ],
)
def test_a_time_of_other_units_is_out_of_range(precision: str, timestamp: int) -> None:
    expected = f"timestamp out of range if in units of {precision}"

    assert reason(metric(timestamp=timestamp), precision) == expected


@pytest.mark.parametrize("written", ["1.0", "1e9", '"1795311049"', "null", "true", "-0", "1" * 25])
def test_a_time_that_is_no_integer_is_refused(written: str) -> None:
    bad = GOOD.replace(b"}}", b'},"timestamp":%s}' % written.encode())

    assert reason(bad) == "timestamp is not a whole number of 64 bits"


# ---- a bad metric harms only itself


@pytest.mark.parametrize(
    "bad, expected",
    [
        (b"1", "metric is no object"),
        (b'"a"', "metric is no object"),
        (b"[%s]" % GOOD, "metric is no object"),
        (b"null", "no metric"),
        (b"{}", "missing name"),
        (metric(name=""), "missing name"),
        (metric(name=7), "missing name"),
        (b'{"name":"m"}', "no fields"),
        (metric(fields=[]), "fields is no object"),
        (metric(tags=None), "no tags"),
        (metric(tags=["a"]), "tags is no object"),
        (metric(tags={"a": 1}), 'tag "a" is no text'),
        (metric(tags={"a": None}), 'tag "a" is no text'),
        (metric(fields={"": 1}), "missing field name"),
        (metric(name="a\0b"), "NUL character in the name or a tag"),
        (metric(tags={"a": "\0"}), "NUL character in the name or a tag"),
        (metric(fields={"\0": 1}), "NUL character in the name of a field"),
        (b'{"name":"m","name":"m","fields":{}}', 'duplicate name "name"'),
        (b'{"name":"m","tags":{"a":"1","b":"2","a":"1"},"fields":{}}', 'duplicate name "a"'),
        (b'{"name":"m","fields":{"v":1,"\\u0076":1}}', 'duplicate name "v"'),
        (b'{"name":"m\xff","fields":{"v":1}}', "not valid UTF-8"),
        (b'{"name":"m","tags":{"a":"\xed\xa0\x80"},"fields":{}}', "not valid UTF-8"),
        (b'{"name":"m","fields":{"v":"\xc3"}}', "not valid UTF-8"),
        (b'{"name" "m"}', "not valid JSON: Expecting ':' delimiter (character 9 of the metric)"),
        (b'{"name":"a\tb","fields":{}}', "not valid JSON: Invalid control character at"),
        (b'{"name":"m"]', "not valid JSON: Expecting ',' delimiter"),
        (b"GOOD", "not valid JSON: Expecting value"),
    ],
)
def test_a_metric_that_cannot_be_used_is_refused_alone(bad: bytes, expected: str) -> None:
    assert reason(bad).startswith(expected)


@pytest.mark.parametrize(
    "bad",
    [
        rb'{"name":"\ud800","fields":{"value":1}}',
        rb'{"name":"m","tags":{"a":"x\udfff"},"fields":{"value":1}}',
        rb'{"name":"m","tags":{"\ud83d":"x"},"fields":{"value":1}}',
        rb'{"name":"m","fields":{"value":1,"\udc00":"text"}}',
    ],
)
def test_half_a_character_in_a_name_or_tag_is_refused_alone(bad: bytes) -> None:
    assert reason(bad) == "half a character (a lone surrogate) in a name or tag"


def test_a_metric_nested_too_deeply_is_refused_alone() -> None:
    deep = b'{"name":"m","fields":{},"x":%s}' % (b"[" * 50_000 + b"]" * 50_000)

    assert reason(deep) == "nested too deeply"


def test_a_long_metric_is_refused_alone() -> None:
    padding = "x" * (METRIC_BYTES_MAX - len(metric(fields={"t": ""})))

    assert len(telegraf_json.decode(metric(fields={"t": padding})).texts) == 1
    assert reason(metric(fields={"t": padding + "x"})) == f"longer than {METRIC_BYTES_MAX} bytes"


def test_brackets_and_quotes_in_texts_end_nothing() -> None:
    texts = ["]}", '"', '\\"]}', "\\", "{[", 'a\\\\"b}']
    body = b",".join(metric(tags={"t": text}, fields={text: 1, "s": text}) for text in texts)
    push = telegraf_json.decode(b'{"metrics":[%s]}' % body)

    assert push.rejected == []
    assert [dict(labels)["t"] for labels, _, _ in samples(push)] == texts


# ---- a body of another shape


@pytest.mark.parametrize(
    "body, place",
    [
        (b"", 1),
        (b" \n", 1),
        (b"null", 1),
        (b"42", 1),
        (b'"metrics"', 1),
        (b"m value=1 5", 1),
        (b"\x1f\x8b\x08", 1),
        (GOOD.decode().encode("utf-16"), 1),
        (b"\xef\xbb\xbf\xef\xbb\xbf[]", 1),
        (b"{", 2),
        (b"[", 2),
        (b'{"metrics":[', 13),
        (b'{"metrics":[{}', 15),
        (b'{"metrics":[{}]', 16),
        (b'{"metrics":[{}}', 15),
        (b'{"metrics":[{},]}', 16),
        (b'{"metrics":[,{}]}', 13),
        (b'{"metrics":[{} {}]}', 15),
        (b'{"metrics":[{}]}]', 17),
        (b'{"metrics":[{}]}{}', 17),
        (b'{"metrics":[{}],"more":1}', 16),
        (b'{"metrics":[],"metrics":[]}', 14),
        (GOOD + b"\n" + GOOD, len(GOOD) + 1),
        (b'[{"name":"m}]', 10),
        (b"]", 1),
    ],
)
def test_a_body_of_another_shape_is_refused_as_a_whole(body: bytes, place: int) -> None:
    assert shape_fault(body).startswith(f"byte {place}: expected ")


@pytest.mark.parametrize(
    "body", [b'{"metrics":null}', b'{"metrics":{}}', b'{"more":1,"metrics":[]}']
)
def test_another_object_is_a_metric_without_a_name(body: bytes) -> None:
    assert telegraf_json.decode(body).rejected == [Rejected("metric 1", "missing name")]


@pytest.mark.parametrize(
    "key", [b"", b"{", b"m\0value", b"#m value", b"{m\0a\0value", b"{m\0a\0b\0c\0value"]
)
def test_a_key_of_another_form_is_refused(key: bytes) -> None:
    with pytest.raises(InvalidLabels):
        telegraf_json.labels_of(key)


# ---- bounds


def test_a_body_of_too_many_metrics_or_fields_is_refused() -> None:
    fields = {f"f{number}": number for number in range(9)}

    assert len(telegraf_json.decode(metric(fields=fields), pieces_max=10)) == 9
    with pytest.raises(TooLarge, match="more than 9 lines, series or samples"):
        telegraf_json.decode(metric(fields=fields), pieces_max=9)
    with pytest.raises(TooLarge):
        telegraf_json.decode(b"[%s]" % b",".join([metric(fields={})] * 4), pieces_max=3)


@pytest.mark.parametrize(
    "body, what",
    [
        (b'{"name":"m","x":[' + b"{}" * (BRACKETS_PER_PIECE_MAX * 10 // 2) + b"]}", "brackets"),
        (b"[" * 1000, "brackets"),
        (b'{"name":"m","x":[' + b"1," * COMMAS_PER_PIECE_MAX * 10 + b"1]}", "commas"),
    ],
)
def test_a_body_of_far_too_many_values_is_refused(body: bytes, what: str) -> None:
    with pytest.raises(TooLarge, match=what):
        telegraf_json.decode(body, pieces_max=10)


@pytest.mark.parametrize("value", ["1", '"text"'])
def test_a_long_name_of_many_fields_is_refused(value: str) -> None:
    fields = ",".join(f'"{number}":{value}' for number in range(1000))
    name = "n" * (KEYS_BYTES_MAX // 1000)
    body = f'{{"name":"{name}","fields":{{{fields}}}}}'.encode()

    with pytest.raises(TooLarge, match="bytes of labels"):
        telegraf_json.decode(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 400_000,
        b'{"a":' * 200_000,
        b'[{"' + b"\\\\" * 2_000_000,
        b'[{"' + b"a" * 4_000_000,
        b"[{" + b'""' * 2_000_000 + b"}]",
        b" " * 4_000_000,
        b'{"name":"m","fields":{"value":' + b"9" * 1_000_000 + b"}}",
        b'{"name":"m","x":{' + b",".join(b'"%d":[]' % one for one in range(30_000)) + b"}}",
    ],
)
def test_no_body_takes_long(body: bytes) -> None:
    started = time.process_time()
    with suppress(InvalidInput):
        telegraf_json.decode(body)

    assert time.process_time() - started < 5


# ---- the same by lines


def test_a_batch_is_what_the_same_lines_are() -> None:
    tags = {"project_id": "p 1", "flavor": "m1,large=\\x"}
    numbers = {"value": 0.1, "n": 2**63 - 1, "b": True}
    push = telegraf_json.decode(
        metric(name="vcpu", tags=tags, fields=numbers, timestamp=1795311049127999999), "ns"
    )
    line = (
        rb"vcpu,project_id=p\ 1,flavor=m1\,large\=\x value=0.1,n=9223372036854775807i,b=true"
        b" 1795311049127999999"
    )
    lines = line_protocol.decode(line, "ns")

    assert [telegraf_json.labels_of(key) for key in push.keys] == [
        line_protocol.labels_of(key) for key in lines.keys
    ]
    assert push.values.tobytes() == lines.values.tobytes()
    assert push.times_ms.tolist() == lines.times_ms.tolist()
