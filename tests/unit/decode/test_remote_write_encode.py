"""The encoders that tests, the demo and benchmarks share."""

from collections.abc import Callable

import pytest

from os_credits.decode import remote_write, snappy
from os_credits.decode.remote_write_encode import EncodableSeries, encode_v1, encode_v2
from os_credits.domain.sample import Labels, Push

UP: Labels = (("__name__", "up"), ("job", "node"))


def test_a_lone_sample_is_written_as_prometheus_writes_it() -> None:
    body = snappy.decompress(encode_v1([(UP, [(1_795_311_049_127, 1.0)])]), 1000)

    assert body == (
        b"\x0a\x2f"
        b"\x0a\x0e\x0a\x08__name__\x12\x02up"
        b"\x0a\x0b\x0a\x03job\x12\x04node"
        b"\x12\x10\x09\0\0\0\0\0\0\xf0\x3f\x10\xa7\xb3\x82\x87\xa0\x34"
    )


def test_version_2_writes_each_text_once() -> None:
    body = snappy.decompress(encode_v2([(UP, [(1, 1.0)]), (UP, [(2, 1.0)])]), 1000)

    assert body.startswith(b'"\0"\x08__name__"\x02up"\x03job"\x04node*')
    assert body.count(b"node") == 1


@pytest.mark.parametrize(
    "encode, decode",
    [(encode_v1, remote_write.decode_v1), (encode_v2, remote_write.decode_v2)],
)
def test_nothing_to_write_is_an_empty_body(
    encode: Callable[[list[EncodableSeries]], bytes], decode: Callable[[bytes], Push]
) -> None:
    assert len(decode(snappy.decompress(encode([]), 10))) == 0
