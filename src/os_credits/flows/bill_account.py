"""Tells how a project's balance came about in the period of a bill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits, added
from os_credits.domain.bill import AccountBlock, AccountChange
from os_credits.flows.history import beginning
from os_credits.store import spending
from os_credits.store.balances import read_balances
from os_credits.store.history import sum_lines

if TYPE_CHECKING:
    from decimal import Decimal

    from os_credits.domain.period import Period
    from os_credits.domain.project import Project
    from os_credits.store.pool import Connection

CHANGES_MAX = 200


async def read_account(conn: Connection, project: Project, period: Period) -> AccountBlock:
    """Tell how a project's balance came from the start of a period to its end."""
    balance = (await read_balances(conn, [project.id]))[project.id]
    since = await sum_lines(conn, project.id, beginning(period.start))
    later = await sum_lines(conn, project.id, beginning(period.end))
    moved = await spending.sum_moved(conn, project.id, start=period.start, end=period.end, by="day")
    found = await spending.list_changes(
        conn,
        project.id,
        start=period.start,
        end=period.end,
        limit=CHANGES_MAX + 1,
        of_usage=False,
    )
    return AccountBlock(
        opening=_less(balance.current, since.balance),
        given=added(*(one.given for one in moved)),
        taken=added(*(one.taken for one in moved)),
        used=_less(since.used, later.used),
        closing=_less(balance.current, later.balance),
        changes=tuple(
            AccountChange(one.hour, one.kind, one.amount, one.reason) for one in found[:CHANGES_MAX]
        ),
        more=len(found) > CHANGES_MAX,
    )


def _less(amount: Decimal, what: Decimal) -> Credits:
    return added(amount, what.copy_negate())
