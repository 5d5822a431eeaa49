"""Grants and other lines of an account in words, as a project's page shows them; pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.entry import EntryKind
from os_credits.domain.grant import GrantState
from os_credits.domain.lot import LotKind
from os_credits.web.language import N_
from os_credits.web.language import gettext as _
from os_credits.web.project import when_text

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
    LotKind.OPENING: N_("Taken over"),
    LotKind.GRANT: N_("Grant"),
    LotKind.ADJUSTMENT: N_("Adjustment"),
    LotKind.TRANSFER: N_("Transfer"),
}
_STATES = {
    GrantState.SCHEDULED: N_("coming"),
    GrantState.VALID: N_("valid"),
    GrantState.EXPIRED: N_("expired"),
    GrantState.VOID: N_("taken back"),
}
_CHANGES = {
    EntryKind.OPENING: N_("Taken over"),
    EntryKind.GRANT: N_("Grant"),
    EntryKind.CORRECTION: N_("Correction"),
    EntryKind.ADJUSTMENT: N_("Adjustment"),
    EntryKind.TRANSFER: N_("Transfer"),
    EntryKind.EXPIRY: N_("Expired"),
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
    `explained_at` is where a correction's hour is explained, below `spent/`; else ''.
    """

    hour: datetime
    what: str
    about: str
    is_name: bool
    reason: str
    amount: Credits
    booked_at: datetime | None
    explained_at: str = ""


def lot_lines(facts: PageFacts) -> list[LotLine]:
    """Give the grants that count or are to come, and the latest that are over."""
    lines = [_lot_line(one) for one in facts.lots]
    over = [line for line in lines if line.is_over]
    return [*(line for line in lines if not line.is_over), *over[:OVER_MAX]]


def _lot_line(one: GivenLot) -> LotLine:
    grant = one.grant
    is_burned = one.is_over and one.burned == grant.amount
    if grant.allowance_id is not None:
        what = _("Allowance")
    else:
        what = _("Top-up") if grant.tops_up is not None else _(_LOTS[grant.kind])
    return LotLine(
        what=what,
        reason=grant.reason,
        state=_(N_("used up") if is_burned else _STATES[one.state]),
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
    what, about, is_name, explained_at = _what(change), "", False, ""
    if change.meter_id is not None:
        explained_at = f"{when_text(change.hour, 'hour')}#entry-{change.entry_id}"
        flavor = facts.flavors.get(change.flavor_id or 0, "")
        about = flavor or facts.meters[change.meter_id].name
    elif change.kind is EntryKind.TRANSFER and not change.is_void:
        partner = facts.partners.get(change.entry_id or 0)
        is_name = partner is not None and may_see(partner)
        what = _("Transfer to") if change.amount < 0 else _("Transfer from")
        about = partner.name if partner is not None and is_name else _("another project")
    return ChangeLine(
        hour=change.hour,
        what=what,
        about=about,
        is_name=is_name,
        reason=change.reason,
        amount=change.amount,
        booked_at=change.booked_at,
        explained_at=explained_at,
    )


def _what(change: Change) -> str:
    if change.kind is None:
        return _("Expired, not booked yet")
    if change.is_void:
        return _("%(what)s taken back", what=_(_CHANGES[change.kind]))
    if change.kind is EntryKind.CORRECTION and change.meter_id is None:
        return _("Correction of what expired")
    return _(_CHANGES[change.kind])
