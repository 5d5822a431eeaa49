"""Who acts: told to every transaction, so that the database's audit log can name somebody.

A context variable, since transactions are begun deep below the request or command that wants
them. Where nobody is named, the service acts by itself.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from os_credits.store.pool import Connection

Via = Literal["page", "api", "command"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who wants a change, by which way; `login_id` is 0 for whoever has not logged in."""

    name: str
    via: Via
    login_id: int = 0


ACTOR: ContextVar[Actor | None] = ContextVar("ACTOR", default=None)


async def tell_actor(conn: Connection) -> None:
    """Name in this transaction who acts, if anybody does."""
    actor = ACTOR.get()
    if actor is None:
        return
    told = {"name": actor.name, "via": actor.via, "login_id": actor.login_id}
    await conn.execute("SELECT set_config('os_credits.actor', $1, true)", json.dumps(told))
