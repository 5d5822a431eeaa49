"""Closes hours, and books what is charged and what has expired by then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.period import HOUR
from os_credits.flows.append import append
from os_credits.ledger.posting import draft_of_charge, draft_of_expiry, due_at
from os_credits.store import batches, charges, expiries, rating_state
from os_credits.store.pool import connection

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from os_credits.domain.charge import OpenCharge
    from os_credits.domain.entry import EntryDraft
    from os_credits.domain.expiry import OpenExpiry
    from os_credits.flows.rate import Rater
    from os_credits.flows.stats import Stats
    from os_credits.ledger.posting import Due
    from os_credits.store.pool import Connection, Pool

# How many charges, and expiries, one transaction books; the next run goes on.
CHARGES_MAX = 5000
EXPIRIES_MAX = 1000


async def book_if_due(pool: Pool, rater: Rater, stats: Stats, *, grace: timedelta) -> int:
    """Book as `book` does, but first look, without the lock, whether there is anything to do."""
    async with connection(pool) as conn:
        due = due_at(await batches.read_now(conn), grace)
        is_due = (
            await rating_state.read_closed_until(conn) < due.closed_until
            or await _open_charges(conn, due, limit=1)
            or await _open_expiries(conn, due, limit=1)
        )
    return await book(rater, stats, grace=grace) if is_due else 0


async def book(rater: Rater, stats: Stats, *, grace: timedelta) -> int:
    """Close the hours whose grace period is over and book what is due; gives the entries made.

    Everything that was acknowledged before is rated first; nothing is booked as long as that is
    too much for one transaction. Another copy that is rating or booking is waited for.
    """
    drafts: list[EntryDraft] = []
    async with rater.turn() as conn:
        if await rater.rate_all(conn):
            now = await batches.read_now(conn)
            drafts = await _book_due(conn, now, grace)
    stats.booked_entries.update(draft.kind.value for draft in drafts)
    return len(drafts)


async def _book_due(conn: Connection, now: datetime, grace: timedelta) -> list[EntryDraft]:
    due = due_at(now, grace)
    await rating_state.close_until(conn, due.closed_until)
    open_charges = await _open_charges(conn, due, limit=CHARGES_MAX)
    drafts = [draft_of_charge(charge) for charge in open_charges]
    entry_ids = await append(conn, drafts)
    if drafts:
        await charges.mark_booked(conn, open_charges, entry_ids)
    return drafts + await _book_expiries(conn, due)


async def _open_charges(conn: Connection, due: Due, *, limit: int) -> list[OpenCharge]:
    return await charges.list_due_charges(
        conn,
        closed_until=due.closed_until,
        closing_delay=due.closing_delay,
        quiet_since=due.quiet_since,
        differing_since=due.differing_since,
        limit=limit,
    )


async def _open_expiries(conn: Connection, due: Due, *, limit: int) -> list[OpenExpiry]:
    return await expiries.list_due_expiries(
        conn,
        closed_until=due.closed_until,
        grace=due.closing_delay - HOUR,
        quiet_since=due.quiet_since,
        differing_since=due.differing_since,
        limit=limit,
    )


async def _book_expiries(conn: Connection, due: Due) -> list[EntryDraft]:
    open_expiries = await _open_expiries(conn, due, limit=EXPIRIES_MAX)
    drafts = [draft_of_expiry(expiry) for expiry in open_expiries]
    entry_ids = await append(conn, drafts)
    if drafts:
        await expiries.mark_booked(conn, open_expiries, entry_ids)
    return drafts
