"""Grants in words, as pages of administration show them; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.amount import from_micro
from os_credits.domain.grant import GrantState
from os_credits.domain.lot import LotKind
from os_credits.web.language import N_, gettext

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.grant import Grant
    from os_credits.domain.lot import LotState

KINDS = {
    LotKind.GRANT: N_("Grant"),
    LotKind.ADJUSTMENT: N_("Adjustment"),
    LotKind.TRANSFER: N_("Transfer"),
    LotKind.OPENING: N_("Taken over"),
}
STATES = {
    GrantState.VALID: N_("valid"),
    GrantState.SCHEDULED: N_("to come"),
    GrantState.EXPIRED: N_("expired"),
    GrantState.VOID: N_("taken back"),
}
ALLOWANCE = N_("Allowance")
TOP_UP = N_("Top-up")


@dataclass(frozen=True, slots=True)
class GrantLine:
    """A grant as a line of a table; what became of it is None where that is not worked out.

    Credits may be added to one that `may_grow`, and one that `may_be_void` be taken back.
    """

    grant: Grant
    what: str
    state: str
    is_over: bool
    left: Credits | None
    burned: Credits | None
    may_grow: bool
    may_be_void: bool


def grant_line(grant: Grant, fate: LotState | None, now: datetime) -> GrantLine:
    """Put a grant into words."""
    state = grant.state_at(now)
    is_over = state in (GrantState.EXPIRED, GrantState.VOID)
    if grant.allowance_id is not None:
        what = ALLOWANCE
    else:
        what = TOP_UP if grant.tops_up is not None else KINDS[grant.kind]
    return GrantLine(
        grant=grant,
        what=gettext(what),
        state=gettext(STATES[state]),
        is_over=is_over,
        left=None if fate is None else from_micro(fate.left_micro),
        burned=None if fate is None else from_micro(fate.burned_micro),
        may_grow=not is_over,
        may_be_void=(
            not is_over
            and grant.kind is LotKind.GRANT
            and fate is not None
            and not fate.burned_micro
        ),
    )
