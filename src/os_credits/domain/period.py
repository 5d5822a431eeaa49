"""Hours and half-open periods, always in UTC; inside rating, times are whole milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from os_credits.errors import InvalidInput

HOUR = timedelta(hours=1)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """Milliseconds since the epoch, floored; a moment without a time zone is refused."""
    if moment.tzinfo is None:
        raise InvalidInput("a moment needs a time zone")
    return (moment - EPOCH) // _MILLISECOND


def ceil_ms(moment: datetime) -> int:
    """Milliseconds since the epoch, the first at or after a moment."""
    return to_ms(moment) + (moment.microsecond % 1000 > 0)


def from_ms(ms: int) -> datetime:
    """Turn milliseconds since the epoch into a moment in UTC, exactly."""
    return EPOCH + ms * _MILLISECOND


def floor_hour(moment: datetime) -> datetime:
    """Give the full hour (UTC) in which a moment lies."""
    return from_ms(to_ms(moment) // HOUR_MS * HOUR_MS)


def floor_day(moment: datetime) -> datetime:
    """Give the UTC day in which a moment lies."""
    return from_ms(to_ms(moment) // DAY_MS * DAY_MS)


def full_hour(moment: datetime, *, where: str) -> datetime:
    """Return the moment in UTC if it is a full hour, else raise InvalidInput."""
    if floor_hour(moment) != moment:
        raise InvalidInput(f"{moment.isoformat()} is not a full hour (UTC)", where=where)
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """The time from `start`, included, to `end`, excluded."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuse a period that lacks a time zone or has no length."""
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise InvalidInput("a period needs moments with a time zone")
        if self.end <= self.start:
            raise InvalidInput("a period must end after its start")
