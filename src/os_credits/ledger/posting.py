"""What is booked, and when: computed less booked, once per project, meter, flavor and hour.

Rule 8 of `docs/rating-rules.md`.
"""

from __future__ import annotations

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
    from os_credits.domain.grant import GrantRequest

AUTHOR = "os_credits"
# A late amount waits for quiet, but no longer than this.
LATE_AT_MOST = timedelta(hours=24)
CORRECTION_REASON = "the usage or the price of this hour changed after it was booked"


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


def draft_of_grant(request: GrantRequest, grant_id: int, now: datetime) -> EntryDraft:
    """Make the entry of a grant, in the hour in which it is given."""
    return EntryDraft(
        project_id=request.project_id,
        kind=EntryKind.GRANT,
        amount=request.amount,
        hour=floor_hour(now),
        reason=request.reason,
        author=request.author,
        entry_key=f"grant:{grant_id}",
        grant_id=grant_id,
    )


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
