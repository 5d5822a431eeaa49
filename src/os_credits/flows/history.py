"""Reads a part of a project's history with running totals, in one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits
from os_credits.domain.history import History, Place, Totals, run_totals
from os_credits.store.balances import read_balances
from os_credits.store.history import UsedColumns, list_lines, read_used_columns, sum_lines

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.balance import Balance
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
    opening = await _totals_at(conn, balance, after)
    lines = await list_lines(conn, project_id, after=after, until=until, limit=lines_max + 1)
    more = len(lines) > lines_max
    return History(
        balance=balance,
        opening=opening,
        lines=run_totals(opening, lines[:lines_max]),
        next_place=lines[lines_max - 1].place if more else None,
    )


async def read_used(
    conn: Connection, project_id: int, *, start: datetime, until: datetime | None, lines_max: int
) -> UsedColumns:
    """Read only what was used, in columns; one line more than `lines_max` if there are more.

    The connection must be a `store.pool.snapshot`.
    """
    balance = (await read_balances(conn, [project_id]))[project_id]
    opening = await _totals_at(conn, balance, beginning(start))
    return await read_used_columns(
        conn, project_id, start=start, until=until, opening=opening.used, limit=lines_max + 1
    )


async def _totals_at(conn: Connection, balance: Balance, place: Place) -> Totals:
    """Count back from today's balance to what it was at a place of the history."""
    behind = await sum_lines(conn, balance.project_id, place)
    return Totals(
        used=Credits(balance.used - behind.used), balance=Credits(balance.current - behind.balance)
    )
