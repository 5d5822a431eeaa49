"""Credits that were given on terms: from when, until when, and in which order they burn."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from os_credits.domain.period import EPOCH, to_ms

if TYPE_CHECKING:
    from datetime import datetime

# Behind the last moment that there is: credits that never expire.
_NEVER_MS = 10**18


class LotKind(StrEnum):
    """By what a lot came into an account."""

    OPENING = "opening"
    """Taken over from an older service."""
    GRANT = "grant"
    """Given, by a person, a portal or an allowance."""
    ADJUSTMENT = "adjustment"
    """An adjustment upwards: never expires, and counts for no per cent."""
    TRANSFER = "transfer"
    """Moved here from another project."""


@dataclass(frozen=True, slots=True)
class Lot:
    """An amount (millionths of a credit) with its terms; `expires_at` None: never.

    Both times are full hours; the amount counts from the first up to the second, excluded.
    """

    id: int
    micro: int
    valid_from: datetime
    expires_at: datetime | None = None
    priority: int = 0

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Tell in which order lots burn: by priority, then expiry, then start, then id."""
        expires_ms = _NEVER_MS if self.expires_at is None else to_ms(self.expires_at)
        return self.priority, expires_ms, to_ms(self.valid_from), self.id


@dataclass(frozen=True, slots=True)
class LotState:
    """What became of a lot, in millionths: burned + expired + left is its amount."""

    lot: Lot
    burned_micro: int
    expired_micro: int
    left_micro: int


@dataclass(frozen=True, slots=True)
class LotSpan:
    """A part of a lot's life in which the same lots were valid, in millionths.

    `used` is what the account used in it, `paid` what of that (and of older debt, at the start)
    this lot paid, `left` what was left of it at the end. `end` None: still going on.
    """

    start: datetime
    end: datetime | None
    used_micro: int
    paid_micro: int
    left_micro: int


@dataclass(frozen=True, slots=True)
class Burned:
    """All lots of an account at one moment, and the debt that none of them has paid."""

    states: tuple[LotState, ...]
    debt_micro: int

    @property
    def left_micro(self) -> int:
        """Give what is left of all lots less the debt: the balance that they make."""
        return sum(state.left_micro for state in self.states) - self.debt_micro


def event_times(lots: tuple[Lot, ...]) -> tuple[datetime, ...]:
    """Give the moments at which lots start or end, oldest first, the epoch before them all."""
    ends = (lot.expires_at for lot in lots if lot.expires_at is not None)
    return tuple(sorted({EPOCH, *(lot.valid_from for lot in lots), *ends}))
