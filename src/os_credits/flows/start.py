"""Brings the service up: waits for the database, checks what it promises, then lets work begin.

A database that is away does not keep the service from starting: it answers 503 and goes on
trying. Settings under which acknowledged samples could be lost keep it from serving, and so does
a role that could change the ledger.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from os_credits.errors import Misconfigured, Unavailable
from os_credits.store import ledger_guard, server
from os_credits.store.pool import Pool, connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from os_credits.store.ledger_guard import LedgerGuard

FIRST_PAUSE_SECONDS = 0.25
PAUSE_SECONDS_MAX = 5.0
# What to do where the service's role could change the ledger.
TWO_ROLES = (
    "let OS_CREDITS_OWNER_DATABASE_URL name the role that owns the tables and "
    "OS_CREDITS_DATABASE_URL another one that owns nothing, then run os-credits migrate, which "
    "grants the latter its rights"
)

log = structlog.stdlib.get_logger(__name__)


class Start:
    """One start of the service; `problem` says what it still waits for, None when it is up."""

    def __init__(
        self, pool: Pool, *, allow_unsafe: bool, begin: Callable[[], Awaitable[None]]
    ) -> None:
        """Keep the pool, whether an unsafe database is allowed, and what to do at last."""
        self._pool = pool
        self._allow_unsafe = allow_unsafe
        self._begin = begin
        self.problem: str | None = "starting"

    async def attempt(self) -> None:
        """Check the database and begin; raises Unavailable or Misconfigured."""
        try:
            async with connection(self._pool) as conn:
                durability = await server.read_durability(conn)
                self._check_durability(durability)
                check_revision(await server.read_revision(conn))
                self._check_guard(await ledger_guard.read_ledger_guard(conn))
            await self._begin()
        except (Unavailable, Misconfigured) as error:
            self.problem = str(error)
            raise
        self.problem = None
        log.info("ready", action="start", timescaledb=durability.timescaledb_version)

    async def keep_trying(self) -> None:
        """Attempt until it works, with pauses that grow up to `PAUSE_SECONDS_MAX`."""
        pause_seconds = FIRST_PAUSE_SECONDS
        told = None
        while self.problem is not None:
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, PAUSE_SECONDS_MAX)
            try:
                await self.attempt()
            except (Unavailable, Misconfigured) as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("waiting", action="start", reason=told)
            except Exception as error:
                self.problem = f"{type(error).__name__} while starting, see the log"
                log.exception("failed", action="start")

    def _check_durability(self, durability: server.Durability) -> None:
        if durability.timescaledb_version is None:
            raise Misconfigured(
                "the database lacks TimescaleDB: CREATE EXTENSION timescaledb in it"
            )
        if durability.problems and not self._allow_unsafe:
            raise Misconfigured(
                f"the database could lose acknowledged samples: {', '.join(durability.problems)}; "
                "change it in postgresql.conf, or, if its file system makes it needless, "
                "set OS_CREDITS_ALLOW_UNSAFE_DATABASE=true"
            )

    def _check_guard(self, guard: LedgerGuard) -> None:
        if not guard.problems:
            return
        if not self._allow_unsafe:
            raise Misconfigured(
                f"{why_unguarded(guard)}; {TWO_ROLES}, or, to serve all the same, "
                "set OS_CREDITS_ALLOW_UNSAFE_DATABASE=true"
            )
        log.warning(why_unguarded(guard), action="start")


def why_unguarded(guard: LedgerGuard) -> str:
    """Say by what the service's role could change the ledger."""
    return f"the role {guard.role} could change the ledger: it {', '.join(guard.problems)}"


def check_revision(revision: str | None) -> None:
    """Raise Unavailable while the schema is older than this version needs.

    A revision that this version does not know is a newer one; migrations that run before
    their code leave older copies working.
    """
    head, older = server.expected_revisions()
    if revision is None:
        raise Unavailable("the database has no tables yet: run os-credits migrate")
    if revision in older:
        raise Unavailable(
            f"the schema is at {revision}, this version needs {head}: run os-credits migrate"
        )
