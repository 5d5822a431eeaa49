"""Line protocol as the simulated cloud writes it."""

import gzip

from os_credits.decode.line_protocol import decode
from os_credits.decode.line_series import labels_of
from os_credits.demo.cast import Door
from os_credits.demo.cloud import samples_between
from os_credits.demo.lines import encode_lines
from os_credits.demo.rhythm import ANCHOR_MS
from os_credits.domain.sample import Labels


def test_a_line_has_tags_a_value_and_nanoseconds() -> None:
    labels: Labels = (("__name__", "disk size"), ("name", "a b,c=d"), ("site", "x"))

    body = gzip.decompress(encode_lines([(labels, [(1_700_000_000_123, 2.5), (0, 3.0)])]))

    assert body == (
        rb"disk\ size,name=a\ b\,c\=d,site=x value=2.5 1700000000123000000" + b"\n"
        rb"disk\ size,name=a\ b\,c\=d,site=x value=3.0 0" + b"\n"
    )


def test_what_is_written_is_read_back_by_the_service_as_it_was() -> None:
    series = samples_between(ANCHOR_MS, ANCHOR_MS + 3_600_000, 300_000)[Door.LINES]

    push = decode(gzip.decompress(encode_lines(series)), "ns")

    assert not push.rejected
    expected = {
        (labels, time_ms, value) for labels, samples in series for time_ms, value in samples
    }
    assert expected == {
        (labels_of(push.keys[key]), int(time_ms), float(value))
        for key, time_ms, value in zip(push.key_index, push.times_ms, push.values, strict=True)
    }
