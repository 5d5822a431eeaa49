"""How bytes are handed to COPY."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def in_one_piece(data: bytes) -> AsyncIterator[bytes]:
    """Give all bytes at once.

    From a file asyncpg reads piece by piece, each in a thread, and what it makes for that keeps
    the bytes until the next full collection of garbage.
    """
    yield data
