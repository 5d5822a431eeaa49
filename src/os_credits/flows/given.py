"""Reads what was given to a project, and what became of it, in one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits, from_micro
from os_credits.flows.burn import read_burned
from os_credits.store import grants

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.grant import Grant
    from os_credits.domain.lot import LotState
    from os_credits.store.pool import Connection

# How many lots of one account are looked at: more than any has.
LOTS_MAX = 10_000


class LotStatus(StrEnum):
    """How a lot stands at a moment."""

    COMING = "coming"
    """Valid later."""
    VALID = "valid"
    """Something of it is left."""
    USED = "used"
    """All of it is used."""
    EXPIRED = "expired"
    """Its time is over."""
    VOID = "void"
    """Taken back, unused."""


@dataclass(frozen=True, slots=True)
class GivenLot:
    """A grant with what became of it, in credits: burned + expired + left is its amount."""

    grant: Grant
    status: LotStatus
    burned: Credits
    expired: Credits
    left: Credits


async def read_given(conn: Connection, project_id: int, now: datetime) -> list[GivenLot]:
    """Give a project's lots as they stand: those that count in the order in which they burn.

    Then those to come, then those that are over, the latest first. The connection must be a
    `store.pool.snapshot`, and `now` the moment of its balance.
    """
    found = await grants.list_grants(conn, project_id, after_id=0, limit=LOTS_MAX)
    burned = (await read_burned(conn, [project_id], now)).get(project_id)
    states = {state.lot.id: state for state in burned.states} if burned else {}
    order = {lot_id: place for place, lot_id in enumerate(states)}
    given = [_given(one, states.get(one.id)) for one in found]
    valid = [one for one in given if one.status is LotStatus.VALID]
    coming = [one for one in given if one.status is LotStatus.COMING]
    over = [one for one in given if one.status not in {LotStatus.VALID, LotStatus.COMING}]
    return [
        *sorted(valid, key=lambda one: order[one.grant.id]),
        *sorted(coming, key=lambda one: (one.grant.valid_from, one.grant.id)),
        *sorted(over, key=lambda one: (one.grant.valid_from, one.grant.id), reverse=True),
    ]


def _given(grant: Grant, state: LotState | None) -> GivenLot:
    nothing = from_micro(0)
    if grant.is_void:
        return GivenLot(grant, LotStatus.VOID, nothing, nothing, nothing)
    if state is None:
        return GivenLot(grant, LotStatus.COMING, nothing, nothing, grant.amount)
    if state.left_micro:
        status = LotStatus.VALID
    else:
        status = LotStatus.EXPIRED if state.expired_micro else LotStatus.USED
    return GivenLot(
        grant,
        status,
        from_micro(state.burned_micro),
        from_micro(state.expired_micro),
        from_micro(state.left_micro),
    )
