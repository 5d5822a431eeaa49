"""Plays an account's past once more, hour by hour, to see whom other lines would have told.

Pure. What is known now counts as if it had been known in its hour: what came late or was
corrected is where it belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.amount import from_micro
from os_credits.domain.period import HOUR, floor_day
from os_credits.notify.thresholds import Facts, NoticeDraft, alarm_of, settled, step

if TYPE_CHECKING:
    from os_credits.domain.threshold import Line, Lines, Told

# Days until run-out and credits per day, as seen at the start of a day with that balance.
Estimate = Callable[[datetime, Decimal], tuple[Decimal | None, Decimal | None]]


@dataclass(frozen=True, slots=True)
class HourChange:
    """What changed an account in one hour, in millionths; nothing is signed but `used`.

    At its start lots expire (`expired` of the balance, `ended` of the grants), then credits are
    given (`given`, of which `granted` are grants), then it is used, and taken away (`taken`, of
    which `ungranted` were grants).
    """

    expired: int = 0
    ended: int = 0
    given: int = 0
    granted: int = 0
    used: int = 0
    taken: int = 0
    ungranted: int = 0


@dataclass(frozen=True, slots=True)
class PastAccount:
    """An account from one full hour up to a moment: how it was then, and what changed it."""

    start: datetime
    end: datetime
    balance: int
    granted: int
    changes: Mapping[datetime, HourChange]


@dataclass(frozen=True, slots=True)
class PastNotice:
    """A notice that would have been written, and when."""

    created_at: datetime
    draft: NoticeDraft
    facts: Facts


class _Player:
    """An account and what is told of its lines, while time passes."""

    def __init__(self, past: PastAccount, lines: Lines, estimate: Estimate | None) -> None:
        self.lines = lines
        self.balance, self.granted = past.balance, past.granted
        self.estimate = estimate
        self.known: tuple[Decimal | None, Decimal | None] = (None, None)
        self.day: datetime | None = None
        self.notices: list[PastNotice] = []
        # What was crossed before is told, so long ago that no cool-down is left of it.
        before = past.start - lines.cool_down
        self.told: dict[Line, Told] = settled(lines, self.facts(past.start), {}, before)
        self.alarm = alarm_of(lines, from_micro(self.granted), self.told)

    def facts(self, now: datetime) -> Facts:
        """Give what lines are held against; estimates are made once a day."""
        if self.estimate is not None and self.day != floor_day(now):
            self.day = floor_day(now)
            self.known = self.estimate(self.day, from_micro(self.balance))
        return Facts(from_micro(self.balance), from_micro(self.granted), *self.known)

    def change_grants(self, difference: int) -> None:
        """Let more, or less, be granted than before."""
        self.granted += difference
        self.alarm = alarm_of(self.lines, from_micro(self.granted), self.told)

    def step(self, now: datetime, *, lifted: bool = False) -> None:
        """Do one step, and keep its notice."""
        facts = self.facts(now)
        self.told, draft = step(self.lines, facts, self.told, now, lifted=lifted)
        if draft is not None:
            self.notices.append(PastNotice(now, draft, facts))
        self.alarm = alarm_of(self.lines, facts.granted, self.told)

    def needs_step(self, now: datetime) -> bool:
        """Tell whether a check could tell anything; nearly all of them could not."""
        if self.estimate is not None and self.day != floor_day(now):
            return True
        return self.alarm is not None and self.balance <= self.alarm


def replay(past: PastAccount, lines: Lines, estimate: Estimate | None = None) -> list[PastNotice]:
    """Give the notices that an account's past would have caused with these lines.

    Lines that were crossed at the start count as told. `estimate` None: lines of days and burn
    are left out.
    """
    player = _Player(past, lines, estimate)
    hour = past.start
    while hour < past.end:
        change = past.changes.get(hour)
        if change is not None:
            _start(player, change, hour)
            player.balance -= change.used + change.taken
            if change.ungranted:
                player.change_grants(-change.ungranted)
        end = min(hour + HOUR, past.end)
        if player.needs_step(end):
            player.step(end)
        hour += HOUR
    return player.notices


def _start(player: _Player, change: HourChange, hour: datetime) -> None:
    """Let lots end and credits come, with the check before them."""
    player.balance -= change.expired
    if change.ended:
        player.change_grants(-change.ended)
    if change.given:
        player.step(hour)
        player.balance += change.given
        player.change_grants(change.granted)
        player.step(hour, lifted=True)
