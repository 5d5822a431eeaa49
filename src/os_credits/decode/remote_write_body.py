"""Parse the messages of remote write within bounds, so that no few bytes cost gigabytes."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from os_credits.decode.columns import Columns, too_many_pieces
from os_credits.decode.message_fields import has_more_fields
from os_credits.errors import InvalidInput

# The parser takes 16 bytes and more for each field, even of 2 bytes: what is larger is counted
# first. An honest body hardly ever is.
UNCOUNTED_BYTES_MAX = 1024 * 1024

# Room for some 50,000 samples; parsed, the densest of this size takes 50 times as much.
SERIES_BYTES_MAX = 1024 * 1024

AnyMessage = TypeVar("AnyMessage", bound=Message)


def parsed(message: type[AnyMessage], body: bytes) -> AnyMessage:
    """Parse one message; raises InvalidInput for what is none."""
    try:
        return message.FromString(body)
    except DecodeError:
        raise InvalidInput("body is not a remote write message") from None


def parsed_request(message: type[AnyMessage], body: bytes, pieces_max: int) -> AnyMessage:
    """Parse a whole body whose series stay bytes; raises TooLarge for far too many of them."""
    # A 2.0 body holds symbols beside its series.
    if len(body) > UNCOUNTED_BYTES_MAX and has_more_fields(body, 2 * pieces_max):
        raise too_many_pieces(pieces_max)
    return parsed(message, body)


def parsed_series(
    message: type[AnyMessage], series: bytes, columns: Columns, position: int
) -> AnyMessage | None:
    """Parse one series; refuse it, and give None, if it is too long for that."""
    if len(series) > SERIES_BYTES_MAX:
        columns.reject(position, f"longer than {SERIES_BYTES_MAX} bytes")
        return None
    return parsed(message, series)
