"""Appends to the ledger: closed hours and grants. `append` is the only way entries enter by."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from os_credits.errors import Conflict
from os_credits.flows.notice import rearm
from os_credits.ledger.chain import EMPTY_ACCOUNT, link
from os_credits.ledger.posting import draft_of_charge, draft_of_grant, due_at
from os_credits.store import (
    balances,
    batches,
    charges,
    entries,
    grants,
    projects,
    rating_state,
)
from os_credits.store.pool import Pool, transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from decimal import Decimal

    from os_credits.domain.balance import Balance
    from os_credits.domain.entry import EntryDraft
    from os_credits.domain.grant import GrantRequest
    from os_credits.flows.rate import Rater
    from os_credits.flows.stats import Stats
    from os_credits.store.pool import Connection

# How many charges one transaction books; the next run goes on.
CHARGES_MAX = 5000


@dataclass(frozen=True, slots=True)
class GrantResult:
    """A grant's entry, the balance after it, and whether it was made by this very call."""

    entry_id: int
    balance: Balance
    created: bool


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
    open_charges = await charges.list_due_charges(
        conn,
        closed_until=due.closed_until,
        closing_delay=due.closing_delay,
        quiet_since=due.quiet_since,
        differing_since=due.differing_since,
        limit=CHARGES_MAX,
    )
    drafts = [draft_of_charge(charge) for charge in open_charges]
    entry_ids = await append(conn, drafts)
    if drafts:
        await charges.mark_booked(conn, open_charges, entry_ids)
    return drafts


async def append(conn: Connection, drafts: Sequence[EntryDraft]) -> list[int]:
    """Append drafts, sorted by project, each to its project's chain; gives their ids.

    The clock is read behind the lock, so that the entries of a project rise in time.
    """
    if not drafts:
        return []
    project_ids = sorted({draft.project_id for draft in drafts})
    await projects.lock_projects(conn, project_ids)
    booked_at = await batches.read_now(conn)
    heads = await entries.read_heads(conn, project_ids)
    linked = [
        entry
        for project_id, of_project in groupby(drafts, key=lambda draft: draft.project_id)
        for entry in link(heads.get(project_id, EMPTY_ACCOUNT), of_project, booked_at)
    ]
    return await entries.append_entries(conn, linked)


async def grant(pool: Pool, request: GrantRequest, *, percents: Sequence[Decimal]) -> GrantResult:
    """Give credits to a project, once for each idempotency key.

    The same key with other content raises Conflict. Thresholds that the balance rises above
    may be told again (`percents`, of what is granted).
    """
    async with transaction(pool) as conn:
        await grants.lock_idempotency_key(conn, request.idempotency_key)
        known = await grants.find_grant(conn, request.idempotency_key)
        if known is not None:
            same = (known.project_id, known.amount, known.reason) == (
                request.project_id,
                request.amount,
                request.reason,
            )
            if not same:
                raise Conflict(
                    f"idempotency key {request.idempotency_key!r} was used for another grant"
                )
            entry_id = known.entry_id
        else:
            now = await batches.read_now(conn)
            grant_id = await grants.insert_grant(conn, request)
            (entry_id,) = await append(conn, [draft_of_grant(request, grant_id, now)])
            await rearm(conn, request.project_id, percents)
        account = await balances.read_balances(conn, [request.project_id])
    return GrantResult(entry_id, account[request.project_id], created=known is None)
