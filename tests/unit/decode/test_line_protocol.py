"""The grammar of line protocol, item by item, and what becomes of a line that breaks it."""

import base64
import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from os_credits.decode import line_protocol
from os_credits.decode.line_protocol import POINTS_SHOWN_MAX
from os_credits.decode.line_series import metric_name
from os_credits.domain.sample import Labels, Push, Rejected
from os_credits.errors import InvalidInput, InvalidLabels, TooLarge
from tests.unit.decode.pushed import samples_of

CORPUS = Path(__file__).parents[2] / "data" / "line_protocol" / "corpus.json"


def decoded(body: str | bytes, precision: str = "ns") -> Push:
    return line_protocol.decode(body.encode() if isinstance(body, str) else body, precision)


def samples(body: str | bytes, precision: str = "ns") -> list[tuple[Labels, int | None, float]]:
    push = decoded(body, precision)
    assert push.rejected == []
    return samples_of(push, line_protocol.labels_of)


def values(body: str) -> dict[str, float]:
    return {dict(labels)["__name__"]: value for labels, _, value in samples(body)}


def reason(body: str | bytes, precision: str = "ns") -> str:
    push = decoded(body, precision)
    assert len(push) == 0
    assert [rejected.where for rejected in push.rejected] == ["line 1"]
    return fault(push.rejected[0])


def fault(rejected: Rejected) -> str:
    """Give what is wrong with a line, without the line that stands before it."""
    parts = re.fullmatch(r"unable to parse '.*?': (.*)", rejected.reason)
    assert parts, rejected.reason
    return parts[1]


def faults(push: Push) -> list[tuple[str, str]]:
    return [(rejected.where, fault(rejected)) for rejected in push.rejected]


def labels_of(series: str, field: str = "value") -> dict[str, str]:
    return dict(samples(f"{series} {field}=1")[0][0])


# ---- the shape of a point


def test_a_whole_point() -> None:
    body = "cpu,host=a,flavor=m1.large usage=1.5,count=3i 1795311049127000000\n"

    assert samples(body) == [
        ((("__name__", "cpu_usage"), ("flavor", "m1.large"), ("host", "a")), 1795311049127, 1.5),
        ((("__name__", "cpu_count"), ("flavor", "m1.large"), ("host", "a")), 1795311049127, 3.0),
    ]


def test_a_point_without_a_newline_at_the_end() -> None:
    assert samples("m value=1 1000000\nm value=2 2000000") == [
        ((("__name__", "m"),), 1, 1.0),
        ((("__name__", "m"),), 2, 2.0),
    ]


def test_a_point_without_a_time_is_untimed() -> None:
    assert samples("m value=1\nm value=2 \nm value=3 0") == [
        ((("__name__", "m"),), None, 1.0),
        ((("__name__", "m"),), None, 2.0),
        ((("__name__", "m"),), 0, 3.0),
    ]


@pytest.mark.parametrize(
    "body",
    [
        "m value=1 5",
        "m value=1 5\r\n",
        "  m   value=1   5  \n",
        "m value=1 5 \r\n",
        "m value=1 5\r",
    ],
)
def test_spaces_and_carriage_returns_round_a_point(body: str) -> None:
    assert samples(body, "ms") == [((("__name__", "m"),), 5, 1.0)]


def test_a_carriage_return_ends_a_point_without_a_time() -> None:
    assert samples("m value=1\r\nm value=2 \r\n") == [
        ((("__name__", "m"),), None, 1.0),
        ((("__name__", "m"),), None, 2.0),
    ]


@pytest.mark.parametrize(
    "body", ["", "\n", "\n\r\n  \n", "# a comment", "  # m value=1\n#\r\n", " "]
)
def test_blank_lines_and_comments_hold_no_points(body: str) -> None:
    assert samples(body) == []


def test_positions_are_the_lines_where_points_start() -> None:
    body = '# head\n\nm value=1,text="a\nb\n"\r\nm value=2\nbad\nm value=3'
    push = decoded(body)

    assert push.positions.tolist() == [3, 6, 8]
    assert push.rejected == [Rejected("line 7", "unable to parse 'bad': missing fields")]
    assert push.where(0) == "line 3"


# ---- names and escapes


@pytest.mark.parametrize(
    "series, labels",
    [
        (r"a\,b\ c,t=1", {"__name__": "a,b c", "t": "1"}),
        (r"a=b,t=1", {"__name__": "a=b", "t": "1"}),
        (r"a\=b,t=1", {"__name__": r"a\=b", "t": "1"}),
        (r"m,a\,b\=c\ d=e\,f\=g\ h", {"__name__": "m", "a,b=c d": "e,f=g h"}),
        (r"m,a\b=c\d", {"__name__": "m", r"a\b": r"c\d"}),
        (r"m,a=b\\c", {"__name__": "m", "a": r"b\\c"}),
        (r"m,a=b\\,c", {"__name__": "m", "a": r"b\,c"}),
        (r"m,a=b\\\,c", {"__name__": "m", "a": r"b\\,c"}),
        ('"m",a="b"', {"__name__": '"m"', "a": '"b"'}),
        (r"m,a=line\nbreak", {"__name__": "m", "a": r"line\nbreak"}),
        ("m,größe=\U0001f600", {"__name__": "m", "größe": "\U0001f600"}),
        ("m,a=\u2028b\x85", {"__name__": "m", "a": "\u2028b\x85"}),
        (r"\#m", {"__name__": r"\#m"}),
    ],
)
def test_escapes_in_names(series: str, labels: dict[str, str]) -> None:
    assert labels_of(series) == labels


def test_escapes_in_a_field_name() -> None:
    assert labels_of("m", r"a\,b\=c\ d\e") == {"__name__": r"m_a,b=c d\e"}


def test_tags_in_another_order_are_the_same_labels() -> None:
    assert labels_of("m,a=1,b=2") == labels_of("m,b=2,a=1")


def test_known_series_have_known_keys() -> None:
    first = decoded("m,a=1 x=1,y=2 5\nm,b=1 x=1 5")
    second = decoded("m,a=1 y=3,x=2 6")

    assert first.key_index.tolist() == [0, 1, 2]
    assert set(second.keys) == set(first.keys[:2])


@pytest.mark.parametrize("key", [b"", b"#", b"m value", b"#m", b"#m,a=1", b"#m v w", b"#m,a=1 "])
def test_a_broken_key_has_no_labels(key: bytes) -> None:
    with pytest.raises(InvalidLabels, match="broken key"):
        line_protocol.labels_of(key)


# ---- the metric's name


@pytest.mark.parametrize(
    "measurement, field, name",
    [
        (b"cpu", b"usage_idle", b"cpu_usage_idle"),
        (b"project_vcpu_usage", b"value", b"project_vcpu_usage"),
        (b"prometheus", b"project_vcpu_usage", b"project_vcpu_usage"),
    ],
)
def test_a_metric_is_named_as_telegraf_names_it(
    measurement: bytes, field: bytes, name: bytes
) -> None:
    assert metric_name(measurement, field) == name


def test_the_name_tag_that_influxdb_keeps_from_prometheus_is_no_label() -> None:
    series = "project_mb_usage,__name__=project_mb_usage,project_name=a"

    assert labels_of(series) == {"__name__": "project_mb_usage", "project_name": "a"}


def test_a_name_tag_that_contradicts_the_measurement_is_refused() -> None:
    assert reason("m,__name__=other value=1") == 'tag "__name__" differs from the measurement'


# ---- values


@pytest.mark.parametrize(
    "text, value",
    [
        ("1", 1.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("-1", -1.0),
        ("1e4", 1e4),
        ("1E+4", 1e4),
        ("1.e-4", 1e-4),
        ("-1.25e2", -125.0),
        ("1" * 400 + "e-399", 1.1111111111111112),
        ("1e-400", 0.0),
        ("0i", 0.0),
        ("-12i", -12.0),
        ("0012i", 12.0),
        ("9007199254740993i", 9007199254740992.0),
        ("9223372036854775807i", 2.0**63),
        ("-9223372036854775808i", -(2.0**63)),
        ("18446744073709551615u", 2.0**64),
        ("0" * 5000 + "7u", 7.0),
        *[(text, 1.0) for text in ("t", "T", "true", "True", "TRUE")],
        *[(text, 0.0) for text in ("f", "F", "false", "False", "FALSE")],
    ],
)
def test_a_value_becomes_the_nearest_float64(text: str, value: float) -> None:
    assert values(f"m value={text}") == {"m": value}


@pytest.mark.parametrize(
    "text",
    [
        *["1_0", "+1", "nan", "NaN", "inf", "-Infinity", "infinity", "0x10", "1e", "1e+", ".", "-"],
        *[
            "-.",
            "1.i",
            "1.5i",
            "1e3i",
            "-1u",
            "i",
            "u",
            "1ii",
            "1_0i",
            "+1i",
            "tRUE",
            "yes",
            "null",
        ],
        *["1\t", "\v1", "\u0661", "1\u0662i", "--1", "1.2.3", "e5", "1f", "'a'"],
    ],
)
def test_what_only_python_takes_for_a_number_is_refused(text: str) -> None:
    assert reason(f"m value={text}").startswith("invalid number ")


@pytest.mark.parametrize(
    "text",
    [
        *["9223372036854775808i", "-9223372036854775809i", "18446744073709551616u"],
        *["1" * 5000 + "i", "1e309", "-1e309", "9" * 400],
    ],
)
def test_a_number_out_of_range_is_refused(text: str) -> None:
    assert "out of range" in reason(f"m value={text}")


def test_string_fields_yield_no_samples() -> None:
    assert values(r'm text="a,b=c d\"e\\",value=1,other="" 5') == {"m": 1.0}
    assert values('m text="only"') == {}


def test_a_string_may_hold_raw_newlines() -> None:
    body = 'm text="line\nm value=9 1\r\n#",value=1\nm value=2'

    assert [value for _, _, value in samples(body)] == [1.0, 2.0]


def test_of_a_repeated_field_the_last_counts() -> None:
    assert values("m a=1,b=2,a=3") == {"m_a": 3.0, "m_b": 2.0}
    assert values('m a=1,a="text"') == {}


# ---- times


@pytest.mark.parametrize(
    "precision, time_ms",
    [
        *[(unit, 1) for unit in ("", "n", "ns")],
        *[(unit, 1_700) for unit in ("u", "us", "\u00b5", "\u03bc", "\u00b5s", "\u03bcs")],
        *[("ms", 1_700_000), ("s", 1_700_000_000)],
        *[("m", 1_700_000 * 60_000), ("h", 1_700_000 * 3_600_000)],
    ],
)
def test_precision_is_the_unit_of_times(precision: str, time_ms: int) -> None:
    assert samples("m value=1 1700000", precision)[0][1] == time_ms


@pytest.mark.parametrize("precision", ["q", "NS", "sec", "1s", " ns", "d", "x" * 1000])
def test_an_invalid_precision_is_refused(precision: str) -> None:
    with pytest.raises(InvalidInput, match="invalid precision") as caught:
        decoded("m value=1 1", precision)

    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "written, time_ms",
    [("0", 0), ("999999", 0), ("1000000", 1), ("-1", -1), ("-1000000", -1), ("-1000001", -2)],
)
def test_times_are_floored_to_milliseconds(written: str, time_ms: int) -> None:
    assert samples(f"m value=1 {written}")[0][1] == time_ms


@pytest.mark.parametrize("sign", [1, -1])
def test_the_outermost_times(sign: int) -> None:
    outermost = sign * 9223372036854775806

    assert samples(f"m value=1 {outermost}")[0][1] == outermost // 1_000_000
    assert reason(f"m value=1 {outermost + sign}") == "timestamp out of range"
    assert reason(f"m value=1 {'-' * (sign < 0)}{'9' * 4400}") == "timestamp out of range"


@pytest.mark.parametrize(
    "precision, outermost",
    [
        *[("u", 2**63 // 1000), ("ms", 2**63 // 10**6), ("s", 2**63 // 10**9)],
        *[("m", 2**63 // (60 * 10**9)), ("h", 2**63 // (3600 * 10**9))],
    ],
)
def test_the_range_holds_after_scaling(precision: str, outermost: int) -> None:
    assert len(samples(f"m value=1 {outermost}\nm value=1 {-outermost}", precision)) == 2
    assert reason(f"m value=1 {outermost + 1}", precision) == "timestamp out of range"
    assert reason(f"m value=1 {-outermost - 1}", precision) == "timestamp out of range"


@pytest.mark.parametrize(
    "written", ["1.5", "1_0", "+1", "1e3", "now", "1i", "\u0661", "1 2", "0x1", "1\t"]
)
def test_an_invalid_timestamp_is_refused(written: str) -> None:
    assert reason(f"m value=1 {written}").startswith("invalid timestamp ")


# ---- what is refused, and with which words


@pytest.mark.parametrize(
    "body, expected",
    [
        ("m", "missing fields"),
        ("m,a=b", "missing fields"),
        ("m ", "missing fields"),
        (",a=b value=1", "missing measurement"),
        ("m, value=1", "missing tag name"),
        ("m,=b value=1", "missing tag name"),
        ("m,a value=1", 'tag "a" has no value'),
        ("m,a= value=1", 'tag "a" has an empty value'),
        ("m,a=,b=c value=1", 'tag "a" has an empty value'),
        ("m,a=b=c value=1", 'unexpected "="'),
        ("m,a=b,a=c value=1", 'duplicate tag "a"'),
        (r"m,a\ b=1,a\ b=2 value=1", 'duplicate tag "a b"'),
        ("m,time=1 value=1", '"time" cannot be the name of a tag'),
        ("m time=1,value=1", '"time" cannot be the name of a field'),
        ("m =1", "missing field name"),
        ("m a=1,", "missing field name"),
        ("m a=1, b=2", "missing field name"),
        ("m x", 'field "x" has no value'),
        ("m x=", 'field "x" has no value'),
        ("m x= 5", 'field "x" has no value'),
        ("m x=1,y", 'field "y" has no value'),
        ('m x="a', 'field "x" has a string without an end'),
        ('m x="a"b', 'unexpected "b" after field "x"'),
        ("m x=1_0", 'invalid number "1_0"'),
        ("m\ta=b", 'unexpected "\\t"'),
        ("\tm a=b", "missing measurement"),
        ("m,a=b\x00 value=1", 'unexpected "\\x00"'),
        ("m x=1 yesterday", 'invalid timestamp "yesterday"'),
    ],
)
def test_a_refused_line_is_told_why(body: str, expected: str) -> None:
    assert reason(body) == expected
    assert reason(f"   {body}\r\n") == expected


@pytest.mark.parametrize("body", [b"m\xff value=1", b"m,a=\xed\xa0\x80 value=1", b'm x="\xff"'])
def test_text_that_is_not_utf8_is_refused(body: bytes) -> None:
    assert reason(body) == "not valid UTF-8"


@pytest.mark.parametrize(
    "text", ["x" * 10_000, "\x1b[31m" * 1000, "\U0001f600" * 1000, "\xa0" * 999]
)
@pytest.mark.parametrize("body", ["m,{} value=1", "m {}", "m x=1 {}", "m x=1,{0}={0}", 'm x="a"{}'])
def test_a_reason_is_short_and_printable(body: str, text: str) -> None:
    told = reason(body.format(text))

    assert len(told) < 1100
    assert told.isprintable()


@pytest.mark.parametrize(
    "body, shown",
    [
        ("  bad\r\n", "bad"),
        ("bad\n", "bad"),
        ('m text="a\nb",value=x 5\nm value=1', r'm text="a\nb",value=x 5'),
        ("\x1b[0m", r"\x1b[0m"),
        ("x" * 100, "x" * 80 + "..."),
        ("\x1b" * 80, r"\x1b" * 40 + "..."),
    ],
)
def test_a_refused_line_is_shown_as_influxdb_shows_it(body: str, shown: str) -> None:
    [rejected] = decoded(body).rejected

    assert rejected.reason.startswith(f"unable to parse '{shown}': ")


def test_of_many_refused_lines_only_the_first_are_shown() -> None:
    body = "bad\n" * (POINTS_SHOWN_MAX + 9)
    reasons = Counter(rejected.reason for rejected in decoded(body).rejected)

    assert reasons == {
        "unable to parse 'bad': missing fields": POINTS_SHOWN_MAX,
        "unable to parse: missing fields": 9,
    }


# ---- fields that hold text


def test_text_fields_are_counted_by_the_name_that_a_number_would_have() -> None:
    body = (
        'm,t=1 value="x",a="y",n=1\nm,t=2 value="",a\\ b="z"\nprometheus up="1"\n'
        'a\\,b value="1"\nm a="1",a="2"\nm a="1",a=2\nm a="1",n=bad\nbad text="1\n'
    )
    push = decoded(body)

    assert push.texts == {"m": 2, "m_a": 2, "m_a b": 1, "up": 1, "a,b": 1}
    assert push.values.tolist() == [1.0, 2.0]


def test_text_fields_count_as_pieces_of_a_body() -> None:
    with pytest.raises(TooLarge):
        line_protocol.decode(b'm a="",b=""', "ns", 2)
    assert line_protocol.decode(b'm a="",b=""', "ns", 3).texts == {"m_a": 1, "m_b": 1}


# ---- each line is judged alone


def test_a_bad_line_costs_only_itself() -> None:
    push = decoded("m value=1\nbad\nm value=2\nm value=x\nm value=3")

    assert push.values.tolist() == [1.0, 2.0, 3.0]
    assert faults(push) == [("line 2", "missing fields"), ("line 4", 'invalid number "x"')]


def test_a_string_without_an_end_costs_only_its_own_line() -> None:
    push = decoded('m value=1\nm text="open\nm value=2\nm value=3,text="closed"\nm value=4')

    assert push.rejected[0].where == "line 2"
    assert push.values.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert push.positions.tolist() == [1, 3, 4, 5]


def test_newlines_in_the_string_of_a_refused_point_start_no_points() -> None:
    push = decoded('m text="\nm value=1000000 1\n",value=1_0\nm value=2')

    assert push.values.tolist() == [2.0]
    assert faults(push) == [("line 1", 'invalid number "1_0"')]


def test_a_line_that_is_not_utf8_costs_only_itself() -> None:
    push = decoded(b"m value=1\nm,a=\xff value=2\nm value=3")

    assert push.values.tolist() == [1.0, 3.0]
    assert faults(push) == [("line 2", "not valid UTF-8")]


# ---- the reference's own cases


@pytest.mark.parametrize("case", json.loads(CORPUS.read_text()))
def test_the_corpus_of_the_reference_implementation(case: dict[str, Any]) -> None:
    body = case["text"].encode() if "text" in case else base64.b64decode(case["base64"])
    push = decoded(body, case["precision"])
    if "error" in case or b",time=" in body:  # that name is refused here, unlike there
        assert push.rejected
        return

    expected = [
        (expected_labels(sample), (sample["time_ns"] or 0) // 1_000_000, float(sample["value"]))
        for sample in case["samples"]
    ]
    labels = [dict(line_protocol.labels_of(key)) for key in push.keys]
    rows = zip(push.key_index, push.times_ms.tolist(), push.values.tolist(), strict=True)

    assert push.rejected == []
    assert [(labels[key], time_ms, value) for key, time_ms, value in rows] == expected


def expected_labels(sample: dict[str, Any]) -> dict[str, str]:
    name = metric_name(sample["measurement"].encode(), sample["field"].encode())
    return {**sample["tags"], "__name__": name.decode()}


# ---- no body is read in more than linear time


@pytest.mark.parametrize(
    "piece",
    [
        b'm a="\\"\n',
        b'm a="',
        b"\\",
        b"m,",
        b"m,a=b",
        b"a=1,",
        b'm a="x\n',
        b'x",j=" f=",z="\n',
        b" ",
        b"\r",
        b"#",
        b'm a="\n\n\n',
        b"m a=1\\",
        b"0",
        b'm ""="',
    ],
)
def test_strange_bodies_are_read_in_linear_time(piece: bytes) -> None:
    body = b'm a="' + piece * (500_000 // len(piece))
    started = time.process_time()
    decoded(body)
    decoded(body[5:])

    assert time.process_time() - started < 20
