"""A threshold was crossed, or something else that people must hear: a notice."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NewType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from os_credits.domain.amount import Credits

NoticeId = NewType("NoticeId", int)


class NoticeKind(StrEnum):
    """What people are told of; the first four are the kinds of lines of `threshold.py`."""

    PERCENT = "percent"
    """The balance fell to so many per cent of the grants that are valid."""
    CREDITS = "credits"
    """The balance fell to so many credits."""
    DAYS = "days"
    """Credits run out within so many days."""
    BURN = "burn"
    """So many credits are used in a day."""
    CLOSED = "closed"
    """The project was closed, or opened again."""
    LATE_USAGE = "late_usage"
    """A closed project was charged more."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A line was crossed, or something else that people must hear; amounts in credits.

    `line` is in the unit of its kind, `from_line` the gravest one of the kind told before, and
    `value` what was held against it (per cent, credits, days, credits per day). `granted` is
    what was valid then. `facts` are plain JSON: `burned`, `forecast` and `also`, see
    `docs/thresholds.md`.
    """

    id: NoticeId
    project_id: int
    kind: NoticeKind
    line: Decimal | None
    from_line: Decimal | None
    value: Decimal | None
    balance: Credits
    granted: Credits
    created_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def percent(self) -> Decimal | None:
        """Give the line if it is one in per cent."""
        return self.line if self.kind is NoticeKind.PERCENT else None
