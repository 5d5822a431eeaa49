"""Table `rating_state`: one row that is the lock of all rating and booking.

Whoever holds it is the only one who writes samples, usage, charges and entries of usage. It
is a row lock, so it ends with the transaction, or with the connection of a copy that died.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from os_credits.store.pool import Connection


# A copy that holds the lock and says nothing for so long (frozen, or cut off without a word) loses
# it. One that died loses it at once.
SILENT_AT_MOST = "15s"


@dataclass(frozen=True, slots=True)
class Epoch:
    """For how long what a writer remembers is true; `database` names the running server too.

    A standby that was promoted, or a restored copy, may lack what was committed last.
    """

    number: int
    database: str


async def lock_rating(conn: Connection, *, writer: UUID, wait: bool) -> Epoch | None:
    """Take the lock and give the epoch; None if another copy has it and `wait` is false.

    The epoch rises whenever the writer changes, so that a copy that was the writer before can
    tell whether what it remembers is still what is stored.
    """
    locked = await conn.fetchrow(
        "SELECT writer, epoch FROM rating_state FOR UPDATE"
        if wait
        else "SELECT writer, epoch FROM rating_state FOR UPDATE SKIP LOCKED"
    )
    if locked is None:
        return None
    await conn.execute(
        "SELECT set_config('idle_in_transaction_session_timeout', $1, true)", SILENT_AT_MOST
    )
    database = await conn.fetchval(
        "SELECT concat_ws(' ', oid, pg_postmaster_start_time()) FROM pg_database "
        "WHERE datname = current_database()"
    )
    if locked["writer"] == writer:
        return Epoch(locked["epoch"], database)
    epoch = await conn.fetchval(
        "UPDATE rating_state SET writer = $1, epoch = epoch + 1 RETURNING epoch", writer
    )
    return Epoch(epoch, database)


async def lock(conn: Connection) -> None:
    """Keep every copy from rating and booking until this transaction ends."""
    await conn.execute("SELECT FROM rating_state FOR UPDATE")


async def raise_epoch(conn: Connection) -> None:
    """Tell every copy to forget what it remembers of samples (someone else wrote)."""
    await conn.execute("UPDATE rating_state SET writer = NULL, epoch = epoch + 1")


async def read_closed_until(conn: Connection) -> datetime:
    """Read until when hours are closed."""
    closed_until: datetime = await conn.fetchval("SELECT closed_until FROM rating_state")
    return closed_until


async def close_until(conn: Connection, hour: datetime) -> None:
    """Close all hours before this one; never opens one again."""
    await conn.execute("UPDATE rating_state SET closed_until = $1 WHERE closed_until < $1", hour)
