"""Credits given to a project, on terms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from os_credits.domain.period import EPOCH, full_hour
from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.lot import LotKind

# A grant that should burn last or first lies within these; smaller burns first.
PRIORITY_MAX = 1000


def check_priority(priority: int) -> None:
    """Raise InvalidInput for a priority out of range."""
    if not -PRIORITY_MAX <= priority <= PRIORITY_MAX:
        raise InvalidInput(f"-{PRIORITY_MAX} to {PRIORITY_MAX}", where="priority")


@dataclass(frozen=True, slots=True)
class Terms:
    """From when and until when credits count (full hours), and how early they burn.

    `valid_from` None: from the hour in which they are given; `expires_at` None: for ever. The
    smaller a `priority`, the earlier they burn. Raises InvalidInput for what makes no sense.
    """

    valid_from: datetime | None = None
    expires_at: datetime | None = None
    priority: int = 0

    def __post_init__(self) -> None:
        """Refuse moments within an hour, an end before the start and priorities out of range."""
        for where in ("valid_from", "expires_at"):
            moment = getattr(self, where)
            if moment is not None:
                object.__setattr__(self, where, full_hour(moment, where=where))
                if moment < EPOCH:
                    raise InvalidInput("must not be before 1970", where=where)
        if self.valid_from and self.expires_at and self.expires_at <= self.valid_from:
            raise InvalidInput("must be after valid_from", where="expires_at")
        check_priority(self.priority)

    def texts(self) -> Iterator[str]:
        """Give what is not usual about the terms, for the content of an idempotency key."""
        if self.valid_from is not None:
            yield f"valid_from={self.valid_from.isoformat()}"
        if self.expires_at is not None:
            yield f"expires_at={self.expires_at.isoformat()}"
        if self.priority:
            yield f"priority={self.priority}"


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """A grant as asked for; the same `idempotency_key` is granted once."""

    action: ClassVar[str] = "grant"

    project_id: int
    amount: Credits
    reason: str
    author: str
    idempotency_key: str
    terms: Terms = Terms()

    def content(self) -> tuple[str, ...]:
        """Give what the key stands for."""
        return str(self.amount), self.reason, *self.terms.texts()


class GrantState(StrEnum):
    """Whether the credits of a grant count."""

    SCHEDULED = "scheduled"
    """Its hour has not come: it has no entry yet."""
    VALID = "valid"
    """It counts, even if all of it is burned."""
    EXPIRED = "expired"
    """It has ended; what was left of it is gone."""
    VOID = "void"
    """It was taken back before anything of it was burned."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A lot as people read it: what was given, on which terms, and what became of it.

    `entry_id` is None before it is valid; `is_void` once it was taken back.
    """

    id: int
    project_id: int
    kind: LotKind
    amount: Credits
    reason: str
    author: str
    created_at: datetime
    valid_from: datetime
    expires_at: datetime | None
    priority: int
    allowance_id: int | None
    tops_up: int | None
    entry_id: int | None
    is_void: bool

    def state_at(self, now: datetime) -> GrantState:
        """Tell whether it counts at a moment of the database's clock."""
        if self.is_void:
            return GrantState.VOID
        if self.expires_at is not None and self.expires_at <= now:
            return GrantState.EXPIRED
        return GrantState.VALID if self.entry_id is not None else GrantState.SCHEDULED
