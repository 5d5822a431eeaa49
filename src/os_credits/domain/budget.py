"""Credits that an organisation has for all projects beneath it, and what is usable under them.

A budget is a lot of its organisation: it burns as a grant does, by what the projects beneath
the organisation used in the hours in which they were there. It counts from the start of the
organisation's first budget on; before that, nothing was limited, so nothing is owed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from os_credits.domain.amount import Credits, from_micro, to_micro
from os_credits.domain.grant import GrantState, Terms
from os_credits.domain.lot import Burned, Lot, LotState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from os_credits.domain.organisation import Organisation


@dataclass(frozen=True, slots=True)
class BudgetRequest:
    """A budget as asked for; the same `idempotency_key` gives it once."""

    action: ClassVar[str] = "budget"

    organisation_id: int
    amount: Credits
    reason: str
    author: str
    idempotency_key: str
    terms: Terms = Terms()  # noqa: RUF009 - frozen

    def content(self) -> tuple[str, ...]:
        """Give what the key stands for."""
        return str(self.amount), self.reason, *self.terms.texts()


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget as it is stored; `is_void` once it was taken back."""

    id: int
    organisation_id: int
    amount: Credits
    valid_from: datetime
    expires_at: datetime | None
    priority: int
    reason: str
    author: str
    created_at: datetime
    is_void: bool

    def state_at(self, now: datetime) -> GrantState:
        """Tell whether it counts at a moment of the database's clock."""
        if self.is_void:
            return GrantState.VOID
        if self.expires_at is not None and self.expires_at <= now:
            return GrantState.EXPIRED
        return GrantState.VALID if self.valid_from <= now else GrantState.SCHEDULED

    def fate_in(self, burned: Burned) -> LotState:
        """Tell what became of it; one that has not started is whole, of a void one nothing left."""
        for state in burned.states:
            if state.lot.id == self.id:
                return state
        micro = to_micro(self.amount)
        lot = Lot(self.id, micro, self.valid_from, self.expires_at, self.priority)
        return LotState(lot, 0, 0, 0 if self.is_void else micro)


@dataclass(frozen=True, slots=True)
class BudgetBalance:
    """What an organisation's budgets have come to at one moment.

    `burned` tells it of each budget that has started; `balance` (credits) is what is left of
    them less the debt.
    """

    organisation: Organisation
    burned: Burned
    as_of: datetime

    @property
    def debt(self) -> Credits:
        """Give what was used and no budget has paid."""
        return from_micro(self.burned.debt_micro)

    @property
    def balance(self) -> Credits:
        """Give what is left, below zero if more was used than there was."""
        return from_micro(self.burned.left_micro)

    @property
    def used(self) -> Credits:
        """Give what the projects beneath used since the first budget's start, in credits."""
        burned = sum(state.burned_micro for state in self.burned.states)
        return from_micro(burned + self.burned.debt_micro)


@dataclass(frozen=True, slots=True)
class Level:
    """A place on a project's path that limits it; `organisation` None: the project's own lots."""

    organisation: Organisation | None
    balance: Credits


@dataclass(frozen=True, slots=True)
class Usable:
    """What a project can use: the least along its path, the project itself first.

    `levels` are those that count, the nearest first; without any, nothing limits, and `amount`
    is the project's own balance.
    """

    amount: Credits
    limited_by: Level | None
    levels: tuple[Level, ...]


def usable_of(own: Credits, levels: Iterable[Level]) -> Usable:
    """Find the level that limits: of several with the same balance, the nearest one."""
    found = tuple(levels)
    least = min(found, key=lambda one: one.balance, default=None)
    return Usable(own if least is None else least.balance, least, found)


def started(lots: Mapping[int, tuple[Lot, ...]], now: datetime) -> dict[int, tuple[Lot, ...]]:
    """Leave out who has no lot that has begun: nothing limits there yet."""
    return {
        owner: of_owner
        for owner, of_owner in lots.items()
        if any(lot.valid_from <= now for lot in of_owner)
    }


def first_start(lots: tuple[Lot, ...]) -> datetime:
    """Give the moment from which on budgets burn."""
    return min(lot.valid_from for lot in lots)
