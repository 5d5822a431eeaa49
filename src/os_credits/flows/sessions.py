"""Sessions: found at every request, so that one that was ended is over at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from os_credits.domain.login import (
    SEEN_EVERY,
    SESSION_IDLE,
    SeenSession,
    Session,
    Subtree,
    access_of_login,
    token_digest,
)
from os_credits.errors import NotFound
from os_credits.flows.organisations import above_projects
from os_credits.store import logins, sessions
from os_credits.store.pool import connection, transaction

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from os_credits.domain.login import Parts
    from os_credits.store.pool import Connection, Pool

# A token has 43 characters; nobody's is longer.
TOKEN_LENGTH_MAX = 100
# Of so many sets of managed organisations it is remembered what lies beneath, for so long.
REMEMBERED_MAX = 200
REMEMBERED = 10.0


class SessionBook:
    """Finds sessions; remembers nothing of them, only what lies beneath organisations.

    What lies there is the same as long as no place was said since and the hour is the same; as
    places that were said at once may commit in any order, it is asked for again after a while.
    """

    def __init__(self, idle: timedelta = SESSION_IDLE) -> None:
        """Let sessions end that were not used for so long."""
        self.idle = idle
        self._subtrees: dict[frozenset[int], tuple[object, float, Subtree]] = {}

    async def find(self, pool: Pool, token: str, now: datetime | None = None) -> Session | None:
        """Give the session of a token and what it may do now; None once it is over.

        None for now is the database's clock. Raises Unavailable.
        """
        if not token or len(token) > TOKEN_LENGTH_MAX or not token.isascii():
            return None
        async with connection(pool) as conn:
            found = await sessions.find_session(
                conn, token_digest(token), idle=self.idle, seen_every=SEEN_EVERY, now=now
            )
            if found is None:
                return None
            if found.is_to_touch:
                await sessions.touch_session(conn, found.id, now)
            parts = await logins.read_parts(conn, found.login.email)
            is_limited = not found.login.is_administrator
            subtree = await self._beneath(conn, parts) if is_limited else Subtree()
        return Session(
            id=found.id,
            login=found.login,
            created_at=found.created_at,
            expires_at=found.expires_at,
            access=access_of_login(found.login, parts.roles, subtree),
            roles=parts.roles,
            managed=parts.managed,
        )

    async def _beneath(self, conn: Connection, parts: Parts) -> Subtree:
        if not parts.managed:
            return Subtree()
        stamp, until, subtree = self._subtrees.get(parts.managed, (None, 0.0, Subtree()))
        if stamp == parts.tree_stamp and time.monotonic() < until:
            return subtree
        organisations, projects = await logins.read_beneath(conn, parts.managed)
        names = frozenset(f"#{one}" for one in projects)
        above = await above_projects(conn, names)
        subtree = Subtree(frozenset(organisations), names, frozenset(above))
        if len(self._subtrees) >= REMEMBERED_MAX:
            self._subtrees.clear()
        self._subtrees[parts.managed] = parts.tree_stamp, time.monotonic() + REMEMBERED, subtree
        return subtree


async def find_session(
    pool: Pool, token: str, now: datetime | None = None, *, idle: timedelta = SESSION_IDLE
) -> Session | None:
    """Give the session of a token, as `SessionBook.find` does that remembers nothing."""
    return await SessionBook(idle).find(pool, token, now)


async def list_sessions(
    pool: Pool, login_id: int, now: datetime | None = None, *, idle: timedelta = SESSION_IDLE
) -> list[SeenSession]:
    """Give where a login is in use, the latest first."""
    async with connection(pool) as conn:
        return await sessions.list_sessions(conn, login_id, idle=idle, now=now)


async def log_out(pool: Pool, token: str) -> bool:
    """End the session of a token in every copy of the service; tells whether there was one."""
    async with transaction(pool) as conn:
        return await sessions.delete_session(conn, token_digest(token))


async def log_out_everywhere(pool: Pool, login_id: int, *, but: int = 0) -> int:
    """End all sessions of a login but one (by id; 0: all); gives how many ended."""
    async with transaction(pool) as conn:
        return await sessions.delete_sessions(conn, login_id, but=but)


async def end_session(pool: Pool, login_id: int, session_id: int) -> None:
    """End one session of a login. Raises NotFound."""
    async with transaction(pool) as conn:
        if not await sessions.delete_session_of(conn, login_id, session_id):
            raise NotFound(f"there is no session {session_id}")
