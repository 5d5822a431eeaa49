"""A source of samples: a key (or an open network), a door and a site, and how it sends.

Only for people who look after the service: nothing here decides about credits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What the last hour brought is known in steps of five minutes.
SLOT = timedelta(minutes=5)
SLOTS_MAX = 12
EXAMPLES_MAX = 5
SITE_LENGTH_MAX = 200
# How much one more push changes what is usual, and how long it counts at most, in usual times.
_WEIGHT = 0.1
_STRETCHED_MAX = 4.0
# From so many pushes on it is known what is usual; so much longer without one is silence.
KNOWN_PUSHES_MIN = 5
SILENT_TIMES = 10
SILENT_MIN = timedelta(minutes=5)


class SourceState(StrEnum):
    """Whether a source sends as it used to."""

    SENDING = "sending"
    """Its last push came when one was to be expected."""
    SILENT = "silent"
    """It used to send regularly, and does so no more."""
    NEW = "new"
    """Too few pushes came to say what is usual."""


@dataclass(frozen=True, slots=True)
class SourceKey:
    """What tells sources apart; `key_id` 0 is an open network.

    `site` None stands for pushes of no site or of several at once, and for sites beyond a bound.
    """

    key_id: int
    door: str
    site: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An example of what was refused: when, the short reason, and place and words."""

    at: datetime
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """What came of one source between two moments, as one copy of the service saw it."""

    first_at: datetime
    last_at: datetime
    push_count: int
    accepted_count: int = 0
    set_aside_count: int = 0
    unknown_count: int = 0
    last_sample_at: datetime | None = None
    refused: Mapping[str, int] | None = None
    examples: Sequence[Refusal] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """All that is known of a source; `usual` is the time between two of its pushes.

    `recent_counts` are accepted samples in steps of `SLOT`, the oldest first; `recent_slot` is
    the number of the last step since the epoch.
    """

    key: SourceKey
    first_push_at: datetime
    last_push_at: datetime
    last_sample_at: datetime | None
    usual: timedelta | None
    push_count: int
    accepted_count: int
    set_aside_count: int
    unknown_count: int
    refused: Mapping[str, int]
    refused_examples: tuple[Refusal, ...]
    recent_slot: int
    recent_counts: tuple[int, ...]

    @property
    def refused_count(self) -> int:
        """Count refused samples; a body that could not be read counts as one."""
        return sum(self.refused.values())

    def state(self, now: datetime) -> SourceState:
        """Judge whether it sends as it used to."""
        if self.usual is None or self.push_count < KNOWN_PUSHES_MIN:
            return SourceState.NEW
        patience = max(SILENT_MIN, SILENT_TIMES * self.usual)
        return SourceState.SILENT if now - self.last_push_at > patience else SourceState.SENDING

    def accepted_last_hour(self, now: datetime) -> int:
        """Count what was accepted within an hour, in steps of `SLOT`: that under way included."""
        passed = min(max(slot_of(now) - self.recent_slot, 0), SLOTS_MAX)
        return sum(self.recent_counts[passed:])

    def after(self, traffic: Traffic) -> Source:
        """Give the source once this has come, too."""
        latest = [at for at in (self.last_sample_at, traffic.last_sample_at) if at is not None]
        slot = slot_of(traffic.last_at)
        counted = Counter(self.refused) + Counter(traffic.refused or {})
        examples = (*self.refused_examples, *traffic.examples)
        return replace(
            self,
            first_push_at=min(self.first_push_at, traffic.first_at),
            last_push_at=max(self.last_push_at, traffic.last_at),
            last_sample_at=max(latest, default=None),
            usual=_usual_after(self, traffic),
            push_count=self.push_count + traffic.push_count,
            accepted_count=self.accepted_count + traffic.accepted_count,
            set_aside_count=self.set_aside_count + traffic.set_aside_count,
            unknown_count=self.unknown_count + traffic.unknown_count,
            refused=dict(counted),
            refused_examples=tuple(sorted(examples, key=lambda one: one.at)[-EXAMPLES_MAX:]),
            recent_slot=max(slot, self.recent_slot),
            recent_counts=_recent_after(self, slot, traffic.accepted_count),
        )


def new_source(key: SourceKey, traffic: Traffic) -> Source:
    """Give a source of which this is the first that came."""
    counts = (0,) * SLOTS_MAX
    span = traffic.last_at - traffic.first_at
    known = span / (traffic.push_count - 1) if traffic.push_count > 1 else None
    nothing = Source(
        key, traffic.first_at, traffic.last_at, None, None, 0, 0, 0, 0, {}, (),
        slot_of(traffic.last_at), counts,
    )  # fmt: skip
    return replace(nothing.after(traffic), usual=known)


def slot_of(moment: datetime) -> int:
    """Give the number of the step of five minutes in which a moment lies."""
    return int(moment.timestamp()) // int(SLOT.total_seconds())


def _usual_after(source: Source, traffic: Traffic) -> timedelta | None:
    """Move what is usual towards the time that passed for each of the new pushes.

    A long pause counts for little, so that it is not what is usual from then on. Copies of the
    service tell in turns, each of its own pushes: on the average that comes to the same.
    """
    if not source.push_count or not traffic.push_count:
        return source.usual
    passed = max(traffic.last_at - source.last_push_at, timedelta(0)) / traffic.push_count
    if source.usual is None:
        return passed
    passed = min(passed, _STRETCHED_MAX * source.usual + timedelta(seconds=1))
    weight = 1 - (1 - _WEIGHT) ** traffic.push_count
    return source.usual + weight * (passed - source.usual)


def _recent_after(source: Source, slot: int, count: int) -> tuple[int, ...]:
    """Add accepted samples to their step; what is older than an hour falls out."""
    passed = slot - source.recent_slot
    counts = list(source.recent_counts)
    if passed > 0:
        kept = counts[passed:]
        counts = [*kept, *[0] * (SLOTS_MAX - len(kept))]
    place = SLOTS_MAX - 1 + min(passed, 0)
    if place >= 0:
        counts[place] += count
    return tuple(counts)
