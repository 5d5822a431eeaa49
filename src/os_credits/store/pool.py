"""Connections to PostgreSQL, and the translation of the driver's errors into ours."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from os_credits.errors import Misconfigured, Unavailable
from os_credits.store.actor import tell_actor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)

# Trouble that passes by itself or by an operator's hand: the request may come again.
# 08 connection, 25006 read-only, 40 deadlock, 53 out of resources, 55P03 lock time-out,
# 57 shut down or cancelled, 58 system.
_PASSING_CLASSES = ("08", "40", "53", "57", "58")
_PASSING_STATES = ("25006", "55P03")
# What the driver itself says when a connection is lost, sometimes in the middle of a step.
_OF_THE_CONNECTION = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


def _passes(error: asyncpg.PostgresError) -> bool:
    state = error.sqlstate or ""
    return state[:2] in _PASSING_CLASSES or state in _PASSING_STATES


@contextmanager
def translated() -> Iterator[None]:
    """Turn every driver error that means passing trouble into `Unavailable`."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if _passes(error):
            raise Unavailable(f"database: {type(error).__name__}") from error
        raise
    except _OF_THE_CONNECTION as error:
        raise Unavailable(f"database: {type(error).__name__}") from error


async def open_pool(
    database_url: str,
    *,
    connections_max: int,
    statement_timeout_seconds: float,
    connection_class: type[asyncpg.Connection[asyncpg.Record]] = asyncpg.Connection,
) -> Pool:
    """Open a pool that connects when first used, so that the service starts without one.

    `connection_class` is the driver's own but for the tests that let connections fail.
    """
    with translated():
        return await asyncpg.create_pool(
            database_url,
            min_size=0,
            max_size=connections_max,
            command_timeout=statement_timeout_seconds + 5,
            timeout=5,
            connection_class=connection_class,
            server_settings={
                "application_name": "os_credits",
                "timezone": "UTC",
                "statement_timeout": str(int(statement_timeout_seconds * 1000)),
                "idle_in_transaction_session_timeout": "60000",
                # The server finds out within half a minute that our host is gone.
                "tcp_keepalives_idle": "15",
                "tcp_keepalives_interval": "5",
                "tcp_keepalives_count": "3",
                "jit": "off",
            },
        )


@asynccontextmanager
async def connection(pool: Pool, *, wait_seconds: float = 5) -> AsyncIterator[Connection]:
    """Lend a connection; none to be had within `wait_seconds`, for any reason, is `Unavailable`."""
    try:
        lent = await pool.acquire(timeout=wait_seconds)
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise Misconfigured(f"the database URL: {error}") from error
    except (asyncpg.PostgresError, *_OF_THE_CONNECTION) as error:
        raise Unavailable(f"database: {type(error).__name__}") from error
    with translated():
        try:
            yield lent
        except asyncpg.ReadOnlySQLTransactionError:
            lent.terminate()  # it leads to a standby by now: a new one leads to who took over
            raise
        finally:
            await pool.release(lent)


@asynccontextmanager
async def transaction(pool: Pool, *, wait_seconds: float = 5) -> AsyncIterator[Connection]:
    """Lend a connection inside a READ COMMITTED transaction that commits at the end."""
    async with connection(pool, wait_seconds=wait_seconds) as lent, lent.transaction():
        await tell_actor(lent)
        yield lent


class _Previewed(Exception):
    """Ends a transaction whose work is only to be looked at."""


@asynccontextmanager
async def previewed(pool: Pool, *, preview: bool) -> AsyncIterator[Connection]:
    """Lend a connection inside a transaction that, for a preview, keeps nothing of its work."""
    with suppress(_Previewed):
        async with transaction(pool) as lent:
            yield lent
            if preview:
                raise _Previewed


@asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection whose reads all see one moment (REPEATABLE READ, read only)."""
    async with (
        connection(pool) as lent,
        lent.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield lent
