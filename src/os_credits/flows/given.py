"""Reads what was given to a project, and what became of it, in one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits, from_micro
from os_credits.domain.grant import Grant, GrantState
from os_credits.flows.burn import read_burned_by_sums
from os_credits.store import grants

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.lot import LotState
    from os_credits.store.pool import Connection

# How many lots of one account are looked at: more than any has.
LOTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class GivenLot:
    """A grant with what became of it, in credits: burned + expired + left is its amount.

    Of one that was taken back nothing is left.
    """

    grant: Grant
    state: GrantState
    burned: Credits
    expired: Credits
    left: Credits

    @property
    def is_over(self) -> bool:
        """Tell whether nothing of it is left, and nothing of it is to come."""
        return self.state is not GrantState.SCHEDULED and not self.left


async def read_given(conn: Connection, project_id: int, now: datetime) -> list[GivenLot]:
    """Give a project's lots as they stand: those that count in the order in which they burn.

    Then those to come, then those that are over, the latest first. The connection must be a
    `store.pool.snapshot`, and `now` the moment of its balance.
    """
    found = await grants.list_grants(conn, project_id, after_id=0, limit=LOTS_MAX)
    burned = await read_burned_by_sums(conn, project_id, now)
    states = {state.lot.id: state for state in burned.states} if burned else {}
    order = {lot_id: place for place, lot_id in enumerate(states)}
    given = [_given(one, states.get(one.id), one.state_at(now)) for one in found]
    over = [one for one in given if one.is_over]
    coming = [one for one in given if one.state is GrantState.SCHEDULED]
    valid = [one for one in given if one.left and one.state is not GrantState.SCHEDULED]
    return [
        *sorted(valid, key=lambda one: order.get(one.grant.id, len(order))),
        *sorted(coming, key=lambda one: (one.grant.valid_from, one.grant.id)),
        *sorted(over, key=lambda one: (one.grant.valid_from, one.grant.id), reverse=True),
    ]


def _given(grant: Grant, fate: LotState | None, state: GrantState) -> GivenLot:
    """Tell what became of a grant; one without a fate waits for its hour, or was taken back."""
    if fate is None:
        nothing = from_micro(0)
        left = nothing if state is GrantState.VOID else grant.amount
        return GivenLot(grant, state, nothing, nothing, left)
    return GivenLot(
        grant,
        state,
        from_micro(fate.burned_micro),
        from_micro(fate.expired_micro),
        from_micro(fate.left_micro),
    )
