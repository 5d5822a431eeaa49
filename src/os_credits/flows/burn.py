"""Keeps what expired of each lot in step with what was used, and books it.

Everything that writes here runs under the lock of `rating_state`, so that no usage that is about
to commit is missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.amount import from_micro
from os_credits.domain.lot import event_times
from os_credits.domain.stretch import Stretches
from os_credits.domain.tree import FOREVER, Span
from os_credits.ledger.burn_down import burn_down
from os_credits.store import batches, expiries, lots
from os_credits.store.samples import FIRST_MOMENT
from os_credits.store.span_sums import sum_stretches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.lot import Burned
    from os_credits.store.pool import Connection

# How many projects' lots are worked out at once; the next run goes on.
PROJECTS_MAX = 500


async def read_burned(
    conn: Connection, project_ids: Sequence[int], now: datetime
) -> dict[int, Burned]:
    """Say what became of the lots of these projects; those that were never given any are left out.

    `now` is a moment of the database's clock; lots that start later are left out.
    """
    lots_of = await lots.read_lots(conn, project_ids)
    moments = {project_id: event_times(of_project) for project_id, of_project in lots_of.items()}
    debits = await lots.sum_debits(conn, moments)
    return {
        project_id: burn_down(of_project, debits[project_id], now)
        for project_id, of_project in lots_of.items()
    }


async def read_burned_by_sums(conn: Connection, project_id: int, now: datetime) -> Burned | None:
    """Say what became of a project's lots; None if it was never given any.

    As `read_burned`, but from the sums of days and months: quick however old the account is.
    """
    own = (await lots.read_lots(conn, [project_id])).get(project_id)
    if own is None:
        return None
    moments = event_times(own)
    stretches = Stretches()
    sums = stretches.add([Span(project_id, None, FIRST_MOMENT, FOREVER)], moments)
    used = await sum_stretches(conn, stretches)
    taken = await lots.sum_taken(conn, project_id, moments)
    debits = [used.get(number, 0) + taken[place] for place, number in enumerate(sums)]
    return burn_down(own, debits, now)


async def settle_expiries(conn: Connection, project_ids: Sequence[int], now: datetime) -> None:
    """Work out anew what was left of the lots of these projects that have ended by now."""
    burned = await read_burned(conn, project_ids, now)
    expired = {
        state.lot.id: from_micro(state.expired_micro)
        for of_project in burned.values()
        for state in of_project.states
        if state.lot.expires_at is not None and state.lot.expires_at <= now
    }
    if expired:
        await expiries.put_expired(conn, expired, changed_at=now)


async def settle_due(conn: Connection, now: datetime) -> int:
    """Work out what was left of lots that have just ended; gives how many projects had one."""
    due = await expiries.list_due_projects(conn, now=now, limit=PROJECTS_MAX)
    await settle_expiries(conn, due, now)
    return len(due)


async def follow_charges(conn: Connection, first_hours: Mapping[int, datetime]) -> None:
    """Put expiries right after charges changed; with the first hour that did, by project."""
    touched = await expiries.list_touched(conn, first_hours)
    if touched:
        await settle_expiries(conn, touched, await batches.read_now(conn))
