"""What is booked, and when: computed less booked, once per project, meter, flavor and hour.

Rule 8 of `docs/rating-rules.md`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits, added
from os_credits.domain.entry import EntryDraft, EntryKind
from os_credits.domain.period import HOUR, floor_hour

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from os_credits.domain.charge import OpenCharge
    from os_credits.domain.expiry import OpenExpiry
    from os_credits.domain.grant import Grant, GrantRequest
    from os_credits.domain.instruction import Adjustment, Transfer, Void

AUTHOR = "os_credits"
# A late amount waits for quiet, but no longer than this.
LATE_AT_MOST = timedelta(hours=24)
CORRECTION_REASON = "the usage or the price of this hour changed after it was booked"
EXPIRY_REASON = "what was left of the grant when it ended"
EXPIRY_CORRECTION_REASON = "what was used, or given, before the grant ended changed later"


@dataclass(frozen=True, slots=True)
class Due:
    """Which charges are booked now: of hours before `closed_until`, and one of these.

    Changed for the last time at most `closing_delay` after its hour began (it was there when
    the hour closed), or before `quiet_since`, or differing since before `differing_since`.
    """

    closed_until: datetime
    closing_delay: timedelta
    quiet_since: datetime
    differing_since: datetime


def due_at(now: datetime, grace: timedelta) -> Due:
    """Say what is due: an hour closes a grace period after its end."""
    return Due(
        closed_until=floor_hour(now - grace),
        closing_delay=HOUR + grace,
        quiet_since=now - grace,
        differing_since=now - LATE_AT_MOST,
    )


def draft_of_charge(charge: OpenCharge) -> EntryDraft:
    """Make the entry that brings what is booked up to what is charged; usage is negative."""
    is_first = charge.entry_id is None
    return EntryDraft(
        project_id=charge.project_id,
        kind=EntryKind.USAGE if is_first else EntryKind.CORRECTION,
        amount=added(charge.booked, charge.charged.copy_negate()),
        hour=charge.hour,
        reason="" if is_first else CORRECTION_REASON,
        author=AUTHOR,
        entry_key=key_of_charge(
            charge.project_id,
            charge.meter_id,
            charge.flavor_id,
            charge.hour,
            0 if is_first else charge.correction_count + 1,
        ),
        meter_id=charge.meter_id,
        flavor_id=charge.flavor_id,
        corrects=charge.entry_id,
    )


def key_of_charge(
    project_id: int, meter_id: int, flavor_id: int, hour: datetime, correction: int
) -> str:
    """Give the entry key of a charge's first booking (0) or of its n-th correction."""
    key = f"charge:{project_id}:{meter_id}:{flavor_id}:{hour:%Y%m%d%H}"
    return f"{key}:{correction}" if correction else key


def draft_of_lot(grant: Grant) -> EntryDraft:
    """Make the entry of credits that were given, in the hour from which they are valid."""
    return EntryDraft(
        project_id=grant.project_id,
        kind=EntryKind(grant.kind.value),
        amount=grant.amount,
        hour=grant.valid_from,
        reason=grant.reason,
        author=grant.author,
        entry_key=f"grant:{grant.id}",
        grant_id=grant.id,
    )


def draft_of_void(grant: Grant, void: Void, now: datetime) -> EntryDraft:
    """Make the entry that takes a grant back whole: a second one of its grant, negative."""
    return EntryDraft(
        project_id=grant.project_id,
        kind=EntryKind(grant.kind.value),
        amount=Credits(grant.amount.copy_negate()),
        hour=floor_hour(now),
        reason=void.reason,
        author=void.author,
        entry_key=f"void:{grant.id}",
        grant_id=grant.id,
    )


def draft_of_adjustment(adjustment: Adjustment, now: datetime) -> EntryDraft:
    """Make the entry of an adjustment downwards; its key keeps no text of people."""
    digest = hashlib.sha256(adjustment.idempotency_key.encode()).hexdigest()
    return EntryDraft(
        project_id=adjustment.project_id,
        kind=EntryKind.ADJUSTMENT,
        amount=adjustment.amount,
        hour=floor_hour(now),
        reason=adjustment.reason,
        author=adjustment.author,
        entry_key=f"adjustment:{digest}",
    )


def draft_of_transfer(transfer: Transfer, transfer_id: int, now: datetime) -> EntryDraft:
    """Make the entry of what leaves a project; what arrives elsewhere is a lot with its own."""
    return EntryDraft(
        project_id=transfer.project_id,
        kind=EntryKind.TRANSFER,
        amount=Credits(transfer.amount.copy_negate()),
        hour=floor_hour(now),
        reason=transfer.reason,
        author=transfer.author,
        entry_key=f"transfer:{transfer_id}",
    )


def draft_of_expiry(expiry: OpenExpiry) -> EntryDraft:
    """Make the entry that brings what is booked of an expiry up to what it is."""
    is_first = expiry.entry_id is None
    return EntryDraft(
        project_id=expiry.project_id,
        kind=EntryKind.EXPIRY if is_first else EntryKind.CORRECTION,
        amount=added(expiry.booked, expiry.expired.copy_negate()),
        hour=expiry.hour,
        reason=EXPIRY_REASON if is_first else EXPIRY_CORRECTION_REASON,
        author=AUTHOR,
        entry_key=key_of_expiry(expiry.grant_id, 0 if is_first else expiry.correction_count + 1),
        corrects=expiry.entry_id,
        grant_id=expiry.grant_id,
    )


def key_of_expiry(grant_id: int, correction: int) -> str:
    """Give the entry key of an expiry's first booking (0) or of its n-th correction."""
    return f"expiry:{grant_id}:{correction}" if correction else f"expiry:{grant_id}"


@dataclass(frozen=True, slots=True)
class OpeningFrame:
    """What all opening entries of a project share: who wrote them, and when they stand."""

    project_id: int
    source: str
    as_of: datetime
    author: str


def draft_of_opening_charge(
    frame: OpeningFrame, meter_id: int, meter: str, credits_charged: Decimal
) -> EntryDraft:
    """Make the entry of what an older service had charged of a meter, in all its time."""
    return EntryDraft(
        project_id=frame.project_id,
        kind=EntryKind.OPENING,
        amount=Credits(-credits_charged),
        hour=floor_hour(frame.as_of),
        reason=f"charged by {frame.source}",
        author=frame.author,
        entry_key=f"opening:{frame.project_id}:{meter}",
        meter_id=meter_id,
    )


def draft_of_opening_grant(
    frame: OpeningFrame, request: GrantRequest, grant_id: int | None
) -> EntryDraft:
    """Make the entry of a grant that an older service had given."""
    return EntryDraft(
        project_id=frame.project_id,
        kind=EntryKind.OPENING,
        amount=request.amount,
        hour=floor_hour(frame.as_of),
        reason=request.reason,
        author=frame.author,
        entry_key=request.idempotency_key,
        grant_id=grant_id,
    )
