"""Lets time pass for accounts: allowances give, lots start, lots end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.allowance import next_month
from os_credits.domain.lot import LotKind
from os_credits.flows.append import append
from os_credits.flows.burn import settle_due, settle_expiries
from os_credits.flows.notice import rearm, tell_before_lift
from os_credits.ledger.posting import draft_of_lot
from os_credits.store import allowances, batches, expiries, grants
from os_credits.store.pool import connection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.allowance import Allowance
    from os_credits.flows.notice import Watch
    from os_credits.flows.rate import Rater
    from os_credits.store.pool import Connection, Pool

# How many allowances, and lots, one transaction starts; the next run goes on.
STARTS_MAX = 500


async def pass_time_if_due(pool: Pool, rater: Rater, watch: Watch) -> int:
    """Do what `pass_time` does, but first look, without the lock, whether there is anything."""
    async with connection(pool) as conn:
        now = await batches.read_now(conn)
        is_due = (
            await allowances.list_due(conn, None, now=now, limit=1)
            or await grants.is_any_due(conn, now=now)
            or await expiries.list_due_projects(conn, now=now, limit=1)
        )
    return await pass_time(rater, watch) if is_due else 0


async def pass_time(rater: Rater, watch: Watch) -> int:
    """Do what the clock demands of accounts; gives how many lots and projects it concerned.

    Everything that was acknowledged is rated first, as long as that is not too much for one
    transaction: what a lot has left when it ends depends on it.
    """
    async with rater.turn() as conn:
        if not await rater.rate_all(conn):
            return 0
        now = await batches.read_now(conn)
        begun_count, is_done = await begin(conn, now, watch)
        # A month that ends before the next one has begun would look like a project without any.
        return begun_count + (await settle_due(conn, now) if is_done else 0)


async def begin(
    conn: Connection, now: datetime, watch: Watch, project_ids: Sequence[int] | None = None
) -> tuple[int, bool]:
    """Start the lots that have become valid, those of allowances too; of all projects by default.

    Gives how many there were, and whether none is left. Lines that they lift arm again.
    """
    given_count = 0
    owed = await allowances.list_due(conn, project_ids, now=now, limit=STARTS_MAX)
    for allowance, is_closed in owed:
        given_count += await give_months(conn, allowance, now, is_paused=is_closed)
    due = await grants.take_pending(conn, project_ids, now=now, limit=STARTS_MAX)
    if due:
        lots = await grants.find_grants(conn, due)
        lots.sort(key=lambda lot: (lot.project_id, lot.id))
        lifted = sorted({lot.project_id for lot in lots})
        before = await tell_before_lift(conn, lifted, watch)
        await append(conn, [draft_of_lot(lot) for lot in lots])
        # What they pay for by now may have been held against lots that ended since.
        await settle_expiries(conn, lifted, now)
        await rearm(conn, before, watch)
    return given_count + len(due), max(len(owed), len(due)) < STARTS_MAX


async def give_months(
    conn: Connection, allowance: Allowance, now: datetime, *, is_paused: bool = False
) -> int:
    """Give what an allowance owes for the months that have begun; gives how many there were.

    The lots wait for `begin` to start them. Months that begin while it is paused are skipped.
    """
    month, count = allowance.granted_until, 0
    while month <= now and (allowance.end_month is None or month < allowance.end_month):
        following = next_month(month)
        if not is_paused:
            grant_id = await grants.insert_grant(
                conn,
                project_id=allowance.project_id,
                kind=LotKind.GRANT,
                amount=allowance.amount,
                reason=allowance.reason,
                author=allowance.author,
                valid_from=month,
                expires_at=None if allowance.carries_over else following,
                priority=allowance.priority,
                allowance_id=allowance.id,
            )
            await grants.insert_pending(conn, grant_id, month)
            count += 1
        month = following
    await allowances.mark_granted(conn, allowance.id, month)
    return count


async def start_lot(conn: Connection, grant_id: int, now: datetime) -> int | None:
    """Append the entry of a lot that is valid, else let it wait; gives the entry's id."""
    [grant] = await grants.find_grants(conn, [grant_id])
    if grant.valid_from > now:
        await grants.insert_pending(conn, grant_id, grant.valid_from)
        return None
    [entry_id] = await append(conn, [draft_of_lot(grant)])
    return entry_id
