"""Reads a part of a project's history with running totals, in one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits
from os_credits.domain.history import History, Place, Totals, run_totals
from os_credits.store.balances import read_balances
from os_credits.store.history import list_lines, sum_lines

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.store.pool import Connection


def beginning(start: datetime) -> Place:
    """Give the place before every line of the hours from `start` on."""
    return Place(start, -1, 0, 0)


async def read_history(
    conn: Connection, project_id: int, *, after: Place, until: datetime | None, lines_max: int
) -> History:
    """Read the lines behind a place, at most `lines_max`, up to the hour `until` (excluded).

    Totals are counted back from today's balance, so that a recent part costs little however
    long the history is. The connection must be a `store.pool.snapshot`.
    """
    balance = (await read_balances(conn, [project_id]))[project_id]
    behind = await sum_lines(conn, project_id, after)
    opening = Totals(
        used=Credits(balance.used - behind.used), balance=Credits(balance.current - behind.balance)
    )
    lines = await list_lines(conn, project_id, after=after, until=until, limit=lines_max + 1)
    more = len(lines) > lines_max
    return History(
        balance=balance,
        opening=opening,
        lines=run_totals(opening, lines[:lines_max]),
        next_place=lines[lines_max - 1].place if more else None,
    )
