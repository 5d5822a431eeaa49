"""What was left of a lot when it ended, and what of that is booked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.amount import Credits


@dataclass(frozen=True, slots=True)
class OpenExpiry:
    """An expiry that differs from what is booked of it; both in credits, never negative.

    `entry_id` is the expiry entry that booked it first, `correction_count` how many
    corrections followed.
    """

    grant_id: int
    project_id: int
    hour: datetime
    expired: Credits
    booked: Credits
    entry_id: int | None
    correction_count: int


@dataclass(frozen=True, slots=True)
class StoredExpiry:
    """An expiry of a known project as it is stored; `expired` is None before its hour."""

    grant_id: int
    hour: datetime
    expired: Credits | None
    booked: Credits
    entry_id: int | None
    correction_count: int
