"""Count the fields of a protobuf message without parsing it, which takes memory for each."""

from __future__ import annotations

from os_credits.decode.varint import MORE, read_varint
from os_credits.errors import InvalidInput

# The wire type of a field says what follows its number: here its length, then as many bytes.
LENGTH = 2
WIRE_TYPE_BITS = 0x07


def has_more_fields(message: bytes, fields_max: int) -> bool:
    """Tell whether `message` has more than `fields_max` fields, reading no further than that.

    What is broken is left to the parser; the fields of a group count as fields of the message.
    """
    end, count = 0, 0
    try:
        while end < len(message):
            count += 1
            if count > fields_max:
                return True
            end = _end_of_field(message, end)
    except (InvalidInput, IndexError):
        pass
    return False


def _end_of_field(message: bytes, start: int) -> int:
    tag = message[start]
    if tag & WIRE_TYPE_BITS == LENGTH and tag < MORE:  # as nearly all are: without a call
        length = message[start + 1]
        if length < MORE:
            return start + 2 + length
        if message[start + 2] < MORE:
            return start + 3 + (length & (MORE - 1)) + (message[start + 2] << 7)
    tag, end = read_varint(message, start)
    match tag & WIRE_TYPE_BITS:
        case 0:
            return read_varint(message, end)[1]
        case 1:
            return end + 8
        case 2:
            length, end = read_varint(message, end)
            return end + length
        case 5:
            return end + 4
    return end  # the start or the end of a group
