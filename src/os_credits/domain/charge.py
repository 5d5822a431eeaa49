"""What one project, meter, flavor and hour costs, and what of it is booked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.amount import Credits


@dataclass(frozen=True, slots=True)
class OpenCharge:
    """A charge that differs from what is booked of it.

    `entry_id` is the usage entry that booked it first, `correction_count` how many corrections
    followed. `differs_since` and `changed_at` say since when both figures differ, and when
    the charge last moved.
    """

    project_id: int
    hour: datetime
    meter_id: int
    flavor_id: int
    charged: Credits
    booked: Credits
    entry_id: int | None
    correction_count: int
    differs_since: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class StoredCharge:
    """A charge of a known project, as it is stored; the hour in ms since the epoch."""

    hour_ms: int
    meter_id: int
    flavor_id: int
    charged: Credits
    booked: Credits
    entry_id: int | None
    correction_count: int
