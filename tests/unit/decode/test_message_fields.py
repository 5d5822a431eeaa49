"""Fields of messages are counted before they are parsed."""

import pytest

from os_credits.decode.message_fields import has_more_fields
from os_credits.decode.varint import varint

LONG = b"\x0a" + varint(20_000) + bytes(20_000)


@pytest.mark.parametrize(
    "field",
    [
        *(b"\x0a\0", b"\x2a\3abc", b"\x0a" + varint(300) + bytes(300), LONG, b"\x08\5"),
        *(b"\x08" + varint(2**63), b"\x09" + bytes(8), b"\x0d" + bytes(4), b"\xfa\x01\3abc"),
        b"\xf8\x01\5",
    ],
    ids=lambda field: field[:6].hex(),
)
def test_each_kind_of_field_counts_as_one(field: bytes) -> None:
    assert not has_more_fields(field * 10, 10)
    assert has_more_fields(field * 10, 9)
    assert has_more_fields(field + b"\x0a\0" * 9, 9)


def test_a_group_counts_with_all_that_is_in_it() -> None:
    group = b"\x0b" + b"\x08\1" * 3 + b"\x0c"

    assert not has_more_fields(group, 5)
    assert has_more_fields(group, 4)


@pytest.mark.parametrize("broken", [b"\x0a", b"\x0a\x80", b"\xff" * 20, b"\x0a\x05ab", b"\x09a"])
def test_what_is_broken_is_left_to_the_parser(broken: bytes) -> None:
    assert not has_more_fields(b"\x0a\0" * 3 + broken, 10)


def test_no_more_is_read_than_needed() -> None:
    assert has_more_fields(b"\x0a\0" * 11 + b"\xff" * 20, 10)
