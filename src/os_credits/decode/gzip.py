"""Unpack gzip, Telegraf's default, within a limit that no gzip bomb gets past."""

from __future__ import annotations

import zlib

from os_credits.errors import InvalidInput, TooLarge

# zlib's number for "a gzip header, the largest window".
GZIP_WINDOW = 31

# A gzip file is a row of members; honest senders write one, parallel packers one per 64 KiB or so.
MEMBERS_MAX = 1024

# Members are fed in pieces, so that what follows one is never copied as a whole.
PIECE_BYTES = 65_536


def decompress(body: bytes, limit_bytes: int) -> bytes:
    """Unpack all members of `body`; stops as soon as `limit_bytes` are passed."""
    unpacked: list[bytes] = []
    room = limit_bytes
    start = 0
    for _ in range(MEMBERS_MAX):
        member, start = _member(body, start, room)
        unpacked.append(member)
        room -= len(member)
        if not body[start : start + PIECE_BYTES].strip(b"\0") and not body[start:].strip(b"\0"):
            return b"".join(unpacked)
    raise InvalidInput(f"more than {MEMBERS_MAX} gzip members")


def _member(body: bytes, start: int, room: int) -> tuple[bytes, int]:
    """Unpack the member at `start` into at most `room` bytes; also say where it ends."""
    decompressor = zlib.decompressobj(wbits=GZIP_WINDOW)
    pieces: list[bytes] = []
    while not decompressor.eof:
        piece = body[start : start + PIECE_BYTES]
        if not piece:
            raise InvalidInput("gzip body is truncated")
        try:
            unpacked = decompressor.decompress(piece, room + 1)
        except zlib.error as error:
            raise InvalidInput("broken gzip body") from error
        room -= len(unpacked)
        if room < 0:
            raise TooLarge("holds more bytes uncompressed than the limit allows")
        pieces.append(unpacked)
        start += len(piece) - len(decompressor.unused_data) - len(decompressor.unconsumed_tail)
    return b"".join(pieces), start
