"""Tells owners when the balance has fallen to a line: writes notices and their mails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.notify.thresholds import checked_percents, crossing, rearmed, settled
from os_credits.store import mails, notices
from os_credits.store.balances import read_balances
from os_credits.store.pool import connection, transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from os_credits.domain.balance import Balance
    from os_credits.domain.notice import ThresholdState
    from os_credits.store.pool import Connection, Pool

# How many balances are read at once.
PAGE_PROJECTS_MAX = 1000


async def check(
    pool: Pool,
    percents: Sequence[Decimal],
    now: datetime | None = None,
    *,
    message_id_domain: str = "localhost",
) -> int:
    """Write a notice for each project whose balance has crossed a graver line; give how many.

    Only projects that seem to have crossed one are locked, one at a time, and looked at again
    under the lock: any number of copies writes one notice per crossing. `now` None means the
    database's clock; `message_id_domain` stands behind the @ of every Message-ID.
    """
    lines = checked_percents(percents)
    notice_count = 0
    after_id = 0
    while True:
        states, balances = await _read_page(pool, after_id)
        crossed = [
            state.project_id
            for state in states
            if crossing(balances[state.project_id], lines, state.lowest_percent) is not None
        ]
        if crossed:
            async with connection(pool) as conn:
                await notices.ensure_states(conn, crossed)
        for project_id in crossed:
            async with transaction(pool) as conn:
                notice_count += await _tell(conn, project_id, lines, now, message_id_domain)
        if len(states) < PAGE_PROJECTS_MAX:
            return notice_count
        after_id = states[-1].project_id


async def _read_page(pool: Pool, after_id: int) -> tuple[list[ThresholdState], dict[int, Balance]]:
    async with connection(pool) as conn:
        states = await notices.list_states(conn, after_id=after_id, limit=PAGE_PROJECTS_MAX)
        return states, await read_balances(conn, [state.project_id for state in states])


async def _tell(
    conn: Connection,
    project_id: int,
    lines: Sequence[Decimal],
    now: datetime | None,
    message_id_domain: str,
) -> bool:
    """Write one project's notice, mails and state; the balance is read under the state's lock."""
    state = await notices.try_lock_state(conn, project_id)
    if state is None:  # Another copy, or a grant, is at it: the next check looks again.
        return False
    balance = (await read_balances(conn, [project_id]))[project_id]
    percent = crossing(balance, lines, state.lowest_percent)
    if percent is None:
        return False
    created_at = now or balance.as_of
    notice_id = await notices.insert_notice(
        conn,
        project_id=project_id,
        percent=percent,
        balance=balance.current,
        granted=balance.granted,
        created_at=created_at,
    )
    await mails.insert_mails(
        conn,
        notice_id=notice_id,
        project_id=project_id,
        due_at=created_at,
        message_id_domain=message_id_domain,
    )
    await notices.update_state(conn, project_id, percent)
    return True


async def rearm(conn: Connection, project_id: int, percents: Sequence[Decimal]) -> None:
    """Arm the lines that a grant or an adjustment has lifted the balance above.

    Call it in the transaction that appended the entry, after it, and in no other case: a
    correction that lifts the balance does not make its owners hear of the same line twice.
    """
    state = await notices.lock_state(conn, project_id)
    balance = (await read_balances(conn, [project_id]))[project_id]
    lowest_percent = rearmed(balance, checked_percents(percents), state.lowest_percent)
    if lowest_percent != state.lowest_percent:
        await notices.update_state(conn, project_id, lowest_percent)


async def settle(conn: Connection, project_id: int, percents: Sequence[Decimal]) -> None:
    """Take the lines that are crossed now as told: an older service has said so, or should have.

    Call it in the transaction that appended a project's opening, after it; lines that the
    opening has lifted the balance above are armed.
    """
    state = await notices.lock_state(conn, project_id)
    balance = (await read_balances(conn, [project_id]))[project_id]
    lowest_percent = settled(balance, checked_percents(percents))
    if lowest_percent != state.lowest_percent:
        await notices.update_state(conn, project_id, lowest_percent)
