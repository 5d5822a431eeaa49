"""Grants and other lines of an account in words, as a project's page shows them; pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.entry import EntryKind
from os_credits.domain.grant import GrantState
from os_credits.domain.lot import LotKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.project import Project
    from os_credits.flows.given import GivenLot
    from os_credits.store.spending import Change
    from os_credits.web.history import PageFacts

# Of those that are over, the latest.
OVER_MAX = 20
_LOTS = {
    LotKind.OPENING: "Taken over",
    LotKind.GRANT: "Grant",
    LotKind.ADJUSTMENT: "Adjustment",
    LotKind.TRANSFER: "Transfer",
}
_STATES = {
    GrantState.SCHEDULED: "coming",
    GrantState.VALID: "valid",
    GrantState.EXPIRED: "expired",
    GrantState.VOID: "taken back",
}
_CHANGES = {
    EntryKind.OPENING: "Taken over",
    EntryKind.GRANT: "Grant",
    EntryKind.CORRECTION: "Correction",
    EntryKind.ADJUSTMENT: "Adjustment",
    EntryKind.TRANSFER: "Transfer",
    EntryKind.EXPIRY: "Expired",
}


@dataclass(frozen=True, slots=True)
class LotLine:
    """A grant as a line of a table; `percent` of it are left, `expired` is what was lost."""

    what: str
    reason: str
    state: str
    valid_from: datetime
    expires_at: datetime | None
    priority: int
    amount: Credits
    left: Credits
    expired: Credits
    percent: Decimal
    is_over: bool


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """A change of the balance besides usage; `about` is what it corrects, or a project.

    `is_name` tells that `about` is the name of a project; `booked_at` is None before booking.
    """

    hour: datetime
    what: str
    about: str
    is_name: bool
    reason: str
    amount: Credits
    booked_at: datetime | None


def lot_lines(facts: PageFacts) -> list[LotLine]:
    """Give the grants that count or are to come, and the latest that are over."""
    lines = [_lot_line(one) for one in facts.lots]
    over = [line for line in lines if line.is_over]
    return [*(line for line in lines if not line.is_over), *over[:OVER_MAX]]


def _lot_line(one: GivenLot) -> LotLine:
    grant = one.grant
    if grant.allowance_id is not None:
        what = "Allowance"
    else:
        what = "Top-up" if grant.tops_up is not None else _LOTS[grant.kind]
    return LotLine(
        what=what,
        reason=grant.reason,
        state="used up" if one.is_over and one.burned == grant.amount else _STATES[one.state],
        valid_from=grant.valid_from,
        expires_at=grant.expires_at,
        priority=grant.priority,
        amount=grant.amount,
        left=one.left,
        expired=one.expired,
        percent=round(100 * one.left / grant.amount, 2),
        is_over=one.is_over,
    )


def change_lines(facts: PageFacts, may_see: Callable[[Project], bool]) -> list[ChangeLine]:
    """Give the changes of a time; the other project of a transfer only if it may be seen."""
    return [_change_line(facts, one, may_see) for one in facts.changes]


def _change_line(
    facts: PageFacts, change: Change, may_see: Callable[[Project], bool]
) -> ChangeLine:
    what, about, is_name = _what(change), "", False
    if change.meter_id is not None:
        flavor = facts.flavors.get(change.flavor_id or 0, "")
        about = flavor or facts.meters[change.meter_id].name
    elif change.kind is EntryKind.TRANSFER and not change.is_void:
        partner = facts.partners.get(change.entry_id or 0)
        is_name = partner is not None and may_see(partner)
        what = "Transfer to" if change.amount < 0 else "Transfer from"
        about = partner.name if partner is not None and is_name else "another project"
    return ChangeLine(
        change.hour, what, about, is_name, change.reason, change.amount, change.booked_at
    )


def _what(change: Change) -> str:
    if change.kind is None:
        return "Expired, not booked yet"
    if change.is_void:
        return f"{_CHANGES[change.kind]} taken back"
    if change.kind is EntryKind.CORRECTION and change.meter_id is None:
        return "Correction of what expired"
    return _CHANGES[change.kind]
