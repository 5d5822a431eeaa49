"""A grant that comes again every month."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from os_credits.domain.grant import check_priority
from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from os_credits.domain.amount import Credits

# Longer than the rest of any month that has begun, shorter than two months.
_INTO_NEXT = timedelta(days=32)
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_YEAR_MIN = 1970


def month_of(text: object, *, where: str = "month") -> datetime:
    """Read a month like 2026-01 as the moment (UTC) with which it begins."""
    match = _MONTH.fullmatch(text) if isinstance(text, str) else None
    if match is None or int(match[1]) < _YEAR_MIN:
        raise InvalidInput("must be a month like 2026-01", where=where)
    return datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC)


def month_text(month: datetime) -> str:
    """Write a month as `month_of` reads it."""
    return f"{month:%Y-%m}"


def full_month(moment: datetime, *, where: str) -> datetime:
    """Return the moment in UTC if a month begins with it, else raise InvalidInput."""
    if moment.tzinfo is None or floor_month(moment) != moment:
        raise InvalidInput(f"{moment.isoformat()} is not the start of a month (UTC)", where=where)
    return moment.astimezone(UTC)


def floor_month(moment: datetime) -> datetime:
    """Give the start of the month (UTC) in which a moment lies."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(month: datetime) -> datetime:
    """Give the start of the month after the one that begins here."""
    return floor_month(month + _INTO_NEXT)


@dataclass(frozen=True, slots=True)
class AllowanceRequest:
    """An allowance as asked for: from `first_month` up to `end_month`, excluded (None: no end).

    Without `carries_over`, what is left of a month expires when the next one begins.
    """

    action: ClassVar[str] = "allowance"

    project_id: int
    amount: Credits
    first_month: datetime
    end_month: datetime | None
    carries_over: bool
    reason: str
    author: str
    idempotency_key: str
    priority: int = 0

    def __post_init__(self) -> None:
        """Refuse months that are none, and an end before the start."""
        first = full_month(self.first_month, where="first_month")
        object.__setattr__(self, "first_month", first)
        if self.end_month is not None:
            end = full_month(self.end_month, where="end_month")
            object.__setattr__(self, "end_month", end)
            if end <= first:
                raise InvalidInput("must be after first_month", where="end_month")
        check_priority(self.priority)

    def content(self) -> tuple[str, ...]:
        """Give what the key stands for."""
        end = self.end_month.isoformat() if self.end_month else "for ever"
        over = "carries over" if self.carries_over else "expires"
        first = self.first_month.isoformat()
        return str(self.amount), self.reason, first, end, over, str(self.priority)


@dataclass(frozen=True, slots=True)
class AllowanceEnd:
    """That an allowance gives nothing for `end_month` and later."""

    action: ClassVar[str] = "end allowance"

    project_id: int
    allowance_id: int
    end_month: datetime
    reason: str
    author: str
    idempotency_key: str

    def __post_init__(self) -> None:
        """Refuse a moment with which no month begins."""
        end = full_month(self.end_month, where="end_month")
        object.__setattr__(self, "end_month", end)

    def content(self) -> tuple[str, ...]:
        """Give what the key stands for."""
        return str(self.allowance_id), self.reason, self.end_month.isoformat()


@dataclass(frozen=True, slots=True)
class Allowance:
    """An allowance as it is stored.

    `end_month` counts whoever set it first or last; `granted_until` is the first month for
    which nothing was given yet.
    """

    id: int
    project_id: int
    amount: Credits
    first_month: datetime
    end_month: datetime | None
    carries_over: bool
    priority: int
    reason: str
    author: str
    created_at: datetime
    granted_until: datetime

    @property
    def is_over(self) -> bool:
        """Tell whether it has given all that it ever will."""
        return self.end_month is not None and self.granted_until >= self.end_month
