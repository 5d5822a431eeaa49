"""Protobuf's numbers of variable length: seven bits in each byte, the lowest first."""

from __future__ import annotations

from os_credits.errors import InvalidInput

# The bit that says: another byte follows.
MORE = 0x80

VARINT_BYTES_MAX = 10

_SHORT_LENGTHS = [bytes([length]) for length in range(MORE)]


def varint(number: int) -> bytes:
    """Write `number`, which is not negative."""
    written = bytearray()
    while number >= MORE:
        written.append(number & 0x7F | MORE)
        number >>= 7
    written.append(number)
    return bytes(written)


def read_varint(body: bytes, start: int, bytes_max: int = VARINT_BYTES_MAX) -> tuple[int, int]:
    """Read the number at `start`; also say where it ends."""
    if start < len(body) and body[start] < MORE:  # as nearly all are
        return body[start], start + 1
    number = 0
    for index, byte in enumerate(body[start : start + bytes_max]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < MORE:
            return number, start + index + 1
    raise InvalidInput("broken varint")


def framed(text: bytes) -> bytes:
    """Put its length in front of `text`."""
    length = len(text)
    return _SHORT_LENGTHS[length] + text if length < MORE else varint(length) + text


def unframed(text: bytes) -> bytes:
    """Take away what `framed` put in front."""
    return text[read_varint(text, 0)[1] :]
