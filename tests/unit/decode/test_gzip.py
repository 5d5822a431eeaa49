"""Bodies packed with gzip, Telegraf's default, and gzip bombs."""

import gzip as writer
import tracemalloc

import pytest

from os_credits.decode import gzip
from os_credits.errors import InvalidInput, TooLarge

PACKED = writer.compress(b"up value=1\n" * 1000, mtime=0)


@pytest.mark.parametrize("body", [b"", b"up", b"x" * 1_000_000])
def test_what_was_packed_is_unpacked(body: bytes) -> None:
    assert gzip.decompress(writer.compress(body), 1_000_000) == body


def test_members_follow_one_another() -> None:
    assert gzip.decompress(writer.compress(b"a") + writer.compress(b"") + PACKED, 20_000) == (
        b"a" + b"up value=1\n" * 1000
    )


def test_zeros_behind_the_last_member_are_padding() -> None:
    assert gzip.decompress(PACKED + b"\0" * 100_000, 20_000) == b"up value=1\n" * 1000


def test_the_limit_itself_is_allowed() -> None:
    assert len(gzip.decompress(PACKED, 11_000)) == 11_000
    with pytest.raises(TooLarge):
        gzip.decompress(PACKED, 10_999)


def test_the_limit_holds_for_all_members_together() -> None:
    with pytest.raises(TooLarge):
        gzip.decompress(PACKED + PACKED, 21_999)


def test_a_bomb_stops_at_the_limit() -> None:
    bomb = writer.compress(bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(TooLarge):
        gzip.decompress(bomb, 100_000)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 2_000_000


@pytest.mark.parametrize("body", [b"", PACKED[:5], PACKED[:-1], PACKED[:-9], PACKED + PACKED[:3]])
def test_a_truncated_body_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="gzip body is truncated"):
        gzip.decompress(body, 20_000)


@pytest.mark.parametrize(
    "body",
    [b"up value=1", PACKED + b"xx", PACKED[:-5] + b"xxxxx", b"\0" * 20, PACKED[:20] + b"?" * 99],
)
def test_a_broken_body_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="broken gzip body"):
        gzip.decompress(body, 20_000)


def test_more_members_than_anybody_sends_are_refused() -> None:
    with pytest.raises(InvalidInput, match="more than 1024 gzip members"):
        gzip.decompress(writer.compress(b"") * 1025, 1000)
