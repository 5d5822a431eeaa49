"""Unpack a snappy block, the compression of remote write, without trusting what it claims."""

from __future__ import annotations

import cramjam

from os_credits.decode.varint import read_varint
from os_credits.errors import InvalidInput, TooLarge

# How a snappy *stream* starts: other framing around the same compression, never to be accepted.
STREAM_MAGIC = b"\xff\x06\x00\x00sNaPpY"

# The densest element of a block says "repeat 64 bytes" in 3 bytes.
UNPACKED_BYTES_MAX_PER_3_PACKED = 64

LENGTH_BYTES_MAX = 5


def decompress(body: bytes, limit_bytes: int) -> bytes:
    """Unpack `body`; what it claims to hold is judged before a byte of memory is taken."""
    if body.startswith(STREAM_MAGIC):
        raise InvalidInput("framed snappy is not accepted, send the block format")
    claimed_bytes = claimed_length(body)
    if claimed_bytes > limit_bytes:
        raise TooLarge(f"holds {claimed_bytes} bytes uncompressed, the limit is {limit_bytes}")
    if claimed_bytes * 3 > len(body) * UNPACKED_BYTES_MAX_PER_3_PACKED:
        raise InvalidInput("broken snappy block: claims more bytes than it can hold")
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise InvalidInput("broken snappy block") from error


def compress(body: bytes) -> bytes:
    """Pack `body` as one snappy block."""
    return bytes(cramjam.snappy.compress_raw(body))


def claimed_length(body: bytes) -> int:
    """Give how many bytes a block says that it holds, which may be untrue."""
    try:
        return read_varint(body, 0, LENGTH_BYTES_MAX)[0]
    except InvalidInput:
        raise InvalidInput("broken snappy block: no length at its start") from None
