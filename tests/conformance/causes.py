"""Trouble that passes, brought about for real: each cause lasts as long as its context."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Flag, auto
from functools import partial
from typing import LiteralString

import psycopg

from tests import database

Connection = psycopg.AsyncConnection[tuple[object, ...]]
WAITING_SECONDS_MAX = 10
NOTICING_SECONDS = 0.05
# What PostgreSQL can answer to a statement that is right, and some that only a schema explains
# that is not ours: whoever sent a push can do nothing about any of them.
STATES = (
    *("08006", "22003", "23505", "40001", "42703", "53100", "53200", "55000", "55P03", "57014"),
    *("57P01", "58030", "P0001", "XX001"),
)
WAITING_SESSIONS: LiteralString = (
    "SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE NOT l.granted AND a.datname = %s"
)
# What the text of an error might say; no answer may repeat it.
SAID = "partial write: unable to parse sekret"


class Stage(Flag):
    """What a push needs, one after the other."""

    KEY = auto()
    """The database, to look a key up that is not remembered."""
    BODY = auto()
    """Room and time to read a body."""
    REGISTER = auto()
    """The database, to learn label sets that were not seen before."""
    STORE = auto()
    """The database, to make the samples durable."""


# What the database is needed for.
ALL = Stage.KEY | Stage.REGISTER | Stage.STORE
Begins = Callable[[str], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Cause:
    """A trouble, the stages that fail by it, and how it begins and ends (at a database's URL)."""

    name: str
    stages: Stage
    begins: Begins


@asynccontextmanager
async def owner(url: str, *, elsewhere: bool = False) -> AsyncIterator[Connection]:
    """Open a session of the owner of the tables; `elsewhere` in another database."""
    target = database.server_url() if elsewhere else database.as_owner(url)
    async with await psycopg.AsyncConnection.connect(target, autocommit=True) as connection:
        yield connection


async def execute(url: str, *statements: str, elsewhere: bool = False) -> None:
    """Run statements as the owner, each on its own."""
    async with owner(url, elsewhere=elsewhere) as connection:
        for statement in statements:
            await connection.execute(statement.encode())


async def end_sessions(connection: Connection, url: str) -> None:
    """End the service's sessions, but not the one that asks, and let the service notice."""
    async with asyncio.timeout(WAITING_SECONDS_MAX):
        while await _count(
            connection,
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
            " AND pid <> pg_backend_pid() AND pg_has_role(usesysid, 'USAGE')",
            url,
        ):
            await asyncio.sleep(0.01)
    await asyncio.sleep(NOTICING_SECONDS)


async def _count(connection: Connection, statement: LiteralString, url: str) -> int:
    found = await connection.execute(statement, [database.name_of(url)])
    row = await found.fetchone()
    assert row is not None
    return int(str(row[0]))


@asynccontextmanager
async def altered(
    change: str, back: str, url: str, *, ends_sessions: bool = True
) -> AsyncIterator[None]:
    """Alter the database for sessions to come, and end the ones there are; so at the end."""
    name = database.name_of(url)
    async with owner(url, elsewhere=True) as connection:
        await connection.execute(f"ALTER DATABASE {name} {change}".encode())
        await end_sessions(connection, url)
        try:
            yield
        finally:
            await connection.execute(f"ALTER DATABASE {name} {back}".encode())
            if ends_sessions:
                await end_sessions(connection, url)


@asynccontextmanager
async def changed(there: tuple[str, ...], back: tuple[str, ...], url: str) -> AsyncIterator[None]:
    """Run statements, and others at the end."""
    await execute(url, *there)
    try:
        yield
    finally:
        await execute(url, *back)


@asynccontextmanager
async def locked(url: str, *tables: str) -> AsyncIterator[Connection]:
    """Hold tables so that nobody can even read them."""
    async with owner(url) as connection, connection.transaction():
        await connection.execute(f"LOCK {', '.join(tables)} IN ACCESS EXCLUSIVE MODE".encode())
        yield connection


@asynccontextmanager
async def waited_too_long(url: str) -> AsyncIterator[None]:
    """Lock what every push needs, where sessions wait for locks a moment only."""
    async with (
        altered("SET lock_timeout = '300ms'", "RESET lock_timeout", url),
        locked(url, "batch", "api_key"),
    ):
        yield


@asynccontextmanager
async def blocked(url: str) -> AsyncIterator[None]:
    """Lock what every push needs for as long as this lasts."""
    async with locked(url, "batch", "api_key"):
        yield


async def until_waiting(connection: Connection, url: str, count: int) -> None:
    """Wait until so many sessions wait for a lock."""
    async with asyncio.timeout(WAITING_SECONDS_MAX):
        while await _count(connection, WAITING_SESSIONS, url) < count:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def killed(url: str, *, count: int) -> AsyncIterator[None]:
    """End all sessions while so many of them are in the middle of a statement."""

    async def strike() -> None:
        async with owner(url, elsewhere=True) as connection:
            await until_waiting(connection, url, count)
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND wait_event_type = 'Lock'",
                [database.name_of(url)],
            )

    async with blocked(url):
        striking = asyncio.create_task(strike())
        yield
        await striking


@asynccontextmanager
async def deadlocked(url: str, *, count: int) -> AsyncIterator[None]:
    """Let so many pushes, which hold `project`, wait for `label_set`; and want `project` then.

    PostgreSQL looks for deadlocks a second after a session began to wait: the pushes, which
    wait longer, are the ones that it ends.
    """

    async def embrace(holder: Connection) -> None:
        async with owner(url, elsewhere=True) as observer:
            await until_waiting(observer, url, count)
        await holder.execute("LOCK project IN EXCLUSIVE MODE")

    async with owner(url) as holder, holder.transaction(force_rollback=True):
        await holder.execute("LOCK label_set IN SHARE ROW EXCLUSIVE MODE")
        embracing = asyncio.create_task(embrace(holder))
        try:
            yield
            await embracing
        finally:
            embracing.cancel()
            with suppress(asyncio.CancelledError):
                await embracing


def _raise(state: str) -> str:
    return f"$$ BEGIN RAISE EXCEPTION '{SAID}' USING ERRCODE = '{state}'; END $$"


def raising(state: str) -> Cause:
    """Let the database answer with this SQLSTATE to who looks a key up or stores samples."""
    there = (
        f"CREATE FUNCTION public.fails() RETURNS bool LANGUAGE plpgsql AS {_raise(state)}",
        f"CREATE FUNCTION public.refuses() RETURNS trigger LANGUAGE plpgsql AS {_raise(state)}",
        "GRANT EXECUTE ON FUNCTION public.fails, public.refuses TO PUBLIC",
        "CREATE TRIGGER fails BEFORE INSERT ON batch EXECUTE FUNCTION public.refuses()",
        "ALTER TABLE api_key RENAME TO api_key_behind",
        "CREATE VIEW api_key AS SELECT * FROM api_key_behind WHERE public.fails()",
        "GRANT SELECT ON api_key TO PUBLIC",
    )
    back = (
        "DROP VIEW api_key",
        "ALTER TABLE api_key_behind RENAME TO api_key",
        "DROP TRIGGER fails ON batch",
        "DROP FUNCTION public.fails, public.refuses",
    )
    return Cause(f"SQLSTATE {state}", Stage.KEY | Stage.STORE, partial(changed, there, back))


def renamed(table: str, stage: Stage) -> Cause:
    """Let a table be away."""
    there, back = f"ALTER TABLE {table} RENAME TO gone", f"ALTER TABLE gone RENAME TO {table}"
    return Cause(f"{table} renamed", stage, partial(changed, (there,), (back,)))


def closed(table: str, right: str, stage: Stage, role: str) -> Cause:
    """Let the service's role lose a right on a table."""
    there = f'REVOKE {right} ON {table} FROM "{role}"'
    back = f'GRANT {right} ON {table} TO "{role}"'
    return Cause(f"no {right} on {table}", stage, partial(changed, (there,), (back,)))


def database_causes(role: str, *, door_count: int, storing_count: int) -> list[Cause]:
    """List what can befall a database while pushes come in by so many doors."""
    return [
        Cause("database away", ALL, partial(altered, "ALLOW_CONNECTIONS false",
                                            "ALLOW_CONNECTIONS true")),
        Cause("too many sessions", ALL, partial(altered, "CONNECTION LIMIT 0",
                                                "CONNECTION LIMIT -1")),
        Cause("read only", Stage.REGISTER | Stage.STORE,
              partial(altered, "SET default_transaction_read_only = on",
                      "RESET default_transaction_read_only", ends_sessions=False)),
        Cause("lock timeout", Stage.KEY | Stage.STORE, waited_too_long),
        Cause("sessions killed", Stage.KEY | Stage.STORE,
              partial(killed, count=door_count + storing_count)),
        Cause("deadlock", Stage.REGISTER, partial(deadlocked, count=storing_count)),
        renamed("batch", Stage.STORE),
        renamed("api_key", Stage.KEY),
        renamed("label_set", Stage.REGISTER),
        renamed("meter_version", Stage.STORE),
        closed("batch", "INSERT", Stage.STORE, role),
        closed("api_key", "SELECT", Stage.KEY, role),
        closed("series", "INSERT", Stage.REGISTER, role),
        *map(raising, STATES),
    ]  # fmt: skip
