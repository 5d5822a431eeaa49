"""What somebody saw that a decision would change, so that just this is done, and once."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.period import to_ms
from os_credits.errors import Conflict, InvalidInput
from os_credits.store import rating_state

if TYPE_CHECKING:
    from os_credits.flows.reprice import Change
    from os_credits.store.pool import Connection

_WRITTEN = re.compile(r"([0-9]{1,15})\.([0-9]{1,18})\.([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Effect:
    """What moves in hours before `closed_ms`, if `last_id` is the newest decision of its sort.

    Hours that still run grow by themselves, so what moves in them is left out.
    """

    closed_ms: int
    last_id: int
    digest: str

    @classmethod
    def of(cls, change: Change, closed_ms: int, last_id: int) -> Effect:
        """Take down what a change moves."""
        moved = "\n".join(map(repr, sorted(change.before(closed_ms).items())))
        return cls(closed_ms, last_id, hashlib.sha256(moved.encode()).hexdigest()[:32])

    @classmethod
    def read(cls, text: str | None) -> Effect | None:
        """Read what a preview has written, None where nothing was; raises InvalidInput."""
        if not text:
            return None
        match = _WRITTEN.fullmatch(text)
        if match is None:
            raise InvalidInput("must be as a preview gave it", where="effect")
        return cls(int(match[1]), int(match[2]), match[3])

    def __str__(self) -> str:
        """Write it for the call that is to have just this effect."""
        return f"{self.closed_ms}.{self.last_id}.{self.digest}"


async def checked(conn: Connection, change: Change, last_id: int, asked: Effect | None) -> Effect:
    """Give the effect of a change; raises Conflict if another one was asked for."""
    if asked is not None and asked != Effect.of(change, asked.closed_ms, last_id):
        raise Conflict("the effect is another one since the preview")
    closed_ms = to_ms(await rating_state.read_closed_until(conn))
    return Effect.of(change, closed_ms, last_id)
