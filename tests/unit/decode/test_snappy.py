"""P5 and P6: the block format of snappy, judged by what it claims before it is unpacked."""

import cramjam
import pytest

from os_credits.decode import snappy
from os_credits.errors import InvalidInput, TooLarge


@pytest.mark.parametrize("body", [b"", b"up", b"x" * 100_000])
def test_what_was_packed_is_unpacked(body: bytes) -> None:
    assert snappy.decompress(snappy.compress(body), 100_000) == body


def test_p5_framed_snappy_is_refused() -> None:
    framed = bytes(cramjam.snappy.compress(b"up" * 100))

    with pytest.raises(InvalidInput, match="framed snappy"):
        snappy.decompress(framed, 1000)


def test_p6_a_claim_over_the_limit_is_refused_before_unpacking() -> None:
    four_gibibytes_in_seven_bytes = b"\xff\xff\xff\xff\x0f\x00\x00"

    with pytest.raises(TooLarge, match="holds 4294967295 bytes uncompressed, the limit is 1000"):
        snappy.decompress(four_gibibytes_in_seven_bytes, 1000)


def test_p6_the_limit_itself_is_allowed() -> None:
    body = snappy.compress(b"x" * 1000)

    assert len(snappy.decompress(body, 1000)) == 1000
    with pytest.raises(TooLarge):
        snappy.decompress(body, 999)


def test_p6_a_claim_beyond_the_possible_ratio_is_broken() -> None:
    with pytest.raises(InvalidInput, match="more bytes than it can hold") as caught:
        snappy.decompress(b"\xff\xff\xff\x7f" + b"\0" * 100, 2**32)

    assert not isinstance(caught.value, TooLarge)


@pytest.mark.parametrize(
    "body", [b"", b"\x80", b"\xff\xff\xff\xff\xff\xff", b"\x05abc", b"\x02\x04", b"\x01\0xx"]
)
def test_p5_a_broken_block_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="broken snappy block"):
        snappy.decompress(body, 1000)
