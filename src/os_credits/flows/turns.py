"""Lets others have a turn during long work on the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

Item = TypeVar("Item")

# Some ten milliseconds of reading label sets.
AT_ONCE_MAX = 500


async def in_turns(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Give the items one by one, and now and then let the event loop do something else."""
    for number, item in enumerate(items, start=1):
        if number % AT_ONCE_MAX == 0:
            await asyncio.sleep(0)
        yield item
