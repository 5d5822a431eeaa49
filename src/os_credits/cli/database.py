"""Lends commands the database: settings read, one pool opened, the schema looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

from os_credits.api.logs import configure_logs
from os_credits.cli.operator import author
from os_credits.cli.output import complain
from os_credits.errors import Unavailable
from os_credits.flows.start import check_revision
from os_credits.settings import Settings, read_settings
from os_credits.store import server
from os_credits.store.actor import ACTOR, Actor
from os_credits.store.pool import Pool, connection, open_pool

CONNECTIONS_MAX = 2
Result = TypeVar("Result")


def quiet_settings() -> Settings:
    """Read the settings for a command: doubts go to standard error, logs only if grave."""
    settings, warnings = read_settings()
    configure_logs("WARNING", "console")
    for warning in warnings:
        complain(f"warning: {warning}")
    return settings


def with_database(work: Callable[[Pool, Settings], Awaitable[Result]]) -> Result:
    """Do one piece of work on a migrated database; raises Unavailable if there is none."""
    settings = quiet_settings()

    async def do() -> Result:
        ACTOR.set(Actor(author(), "command"))
        pool = await open_pool(
            settings.database_url,
            connections_max=CONNECTIONS_MAX,
            statement_timeout_seconds=settings.database_statement_timeout_seconds,
        )
        try:
            try:
                async with connection(pool) as conn:
                    revision = await server.read_revision(conn)
            except Unavailable as error:
                raise Unavailable(unreachable(settings, error)) from error
            check_revision(revision)
            return await work(pool, settings)
        finally:
            await pool.close()

    return asyncio.run(do())


def unreachable(settings: Settings, error: Unavailable) -> str:
    """Say which database does not answer, and why, without the password."""
    url = urlsplit(settings.database_url)
    place = f"{url.hostname or 'the local socket'}{f':{url.port}' if url.port else ''}{url.path}"
    reason = error.__cause__ or error
    return (
        f"the database at {place} does not let us in: "
        f"{str(reason).splitlines()[0] if str(reason) else type(reason).__name__} "
        "(OS_CREDITS_DATABASE_URL names it)"
    )
