"""Hashes passwords with argon2id, in threads of their own and few at a time: each takes memory."""

from __future__ import annotations

import asyncio
import functools
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from os_credits.domain.login import prepared
from os_credits.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

# RFC 9106, second choice, on one lane: 64 MiB for each hashing, hence so few at once.
MEMORY_KIB = 64 * 1024
HASHINGS_AT_ONCE_MAX = 2
# Beyond this many that wait for their turn nobody else is let in to wait.
HASHINGS_WAITING_MAX = 100

_hasher = PasswordHasher(time_cost=3, memory_cost=MEMORY_KIB, parallelism=1, type=Type.ID)
_threads = ThreadPoolExecutor(HASHINGS_AT_ONCE_MAX, thread_name_prefix="passwords")
_waiting = 0


async def hash_password(password: str) -> str:
    """Give what is stored of a password. Raises InvalidInput for what cannot be one."""
    encoded = prepared(password)
    if encoded is None:
        raise InvalidInput("is too long, or no text", where="password")
    return await _in_thread(lambda: _hasher.hash(encoded))


async def is_password(password: str, stored: str | None) -> bool:
    """Tell whether a password is the stored one; it takes as long if nothing is stored."""
    encoded = prepared(password)
    dummy = await _in_thread(_dummy)
    fits = await _in_thread(lambda: _verify(stored or dummy, encoded or b""))
    return fits and stored is not None and encoded is not None


def is_outdated(stored: str) -> bool:
    """Tell whether a hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def _verify(stored: str, encoded: bytes) -> bool:
    try:
        return _hasher.verify(stored, encoded)
    except (VerificationError, InvalidHashError):
        return False


@functools.cache
def _dummy() -> str:
    """Give the hash of something that nobody knows."""
    return _hasher.hash(secrets.token_bytes(32))


async def _in_thread(work: Callable[[], Result]) -> Result:
    global _waiting  # noqa: PLW0603 - the process has one memory, whatever loops run in it
    if _waiting >= HASHINGS_WAITING_MAX:
        raise Unavailable("too many people log in at this moment")
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work)
    finally:
        _waiting -= 1
