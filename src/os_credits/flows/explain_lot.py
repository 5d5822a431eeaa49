"""Explains the lot behind an entry: which part of what was used it paid, and what expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from os_credits.domain.explanation import ExplainedLot
from os_credits.domain.lot import event_times
from os_credits.ledger.burn_down import burn_down, life_of
from os_credits.store import batches, grants, lots

if TYPE_CHECKING:
    from os_credits.store.pool import Connection


async def explain_lot(conn: Connection, project_id: int, grant_id: int) -> ExplainedLot:
    """Tell the life of a lot of a project; the connection must be a `store.pool.snapshot`."""
    [grant] = await grants.find_grants(conn, [grant_id])
    of_project = (await lots.read_lots(conn, [project_id])).get(project_id, ())
    lot = next((one for one in of_project if one.id == grant_id), None)
    if lot is None:
        return ExplainedLot(grant, None)
    now = await batches.read_now(conn)
    debits = await lots.sum_debits(conn, {project_id: event_times(of_project)})
    burned = burn_down(of_project, debits[project_id], now)
    return ExplainedLot(
        grant,
        next(state for state in burned.states if state.lot.id == grant_id),
        life_of(lot, of_project, debits[project_id], now),
    )
