"""Counts in memory who sends what, on the path of every push: a few additions for each push.

Every few seconds `flows/sources.py` adds to the table what has been counted meanwhile.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from os_credits.domain.period import from_ms
from os_credits.domain.source import (
    EXAMPLES_MAX,
    SITE_LENGTH_MAX,
    Refusal,
    SourceKey,
    Traffic,
)
from os_credits.domain.text import legible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from os_credits.domain.access import Access
    from os_credits.domain.sample import Push, Rejected
    from os_credits.rating.judgement import Judgement

# How many sources are counted apart between two reports; further sites are counted together.
COUNTED_MAX = 500
EXAMPLE_LENGTH_MAX = 300
# What the calendar has no room for is no time of a sample that anybody needs to see.
_LATEST_MS = 253_402_300_799_999


@dataclass(slots=True)
class _Tally:
    """What came of one source since the last report; moments are of this process's own clock."""

    first: float
    last: float = 0.0
    push_count: int = 0
    accepted_count: int = 0
    set_aside_count: int = 0
    unknown_count: int = 0
    last_sample_ms: int | None = None
    refused: Counter[str] = field(default_factory=Counter)
    examples: deque[tuple[float, str, str]] = field(
        default_factory=lambda: deque(maxlen=EXAMPLES_MAX)
    )

    def note_refused(self, code: str, rejected: Rejected) -> None:
        self.refused[code] += rejected.sample_count
        text = f"{rejected.where}: {rejected.reason}"[:EXAMPLE_LENGTH_MAX]
        self.examples.append((self.last, code, text))


class SourceCounts:
    """What one copy of the service has seen since it last told the table."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._tallies: dict[SourceKey, _Tally] = {}
        self._kept: dict[SourceKey, Traffic] = {}

    def note(self, access: Access, door: str, push: Push, judgement: Judgement) -> None:
        """Count a push that was answered: what was accepted by site, the rest for the push."""
        by_site = judgement.by_site
        own = None
        for site, (count, last_ms) in by_site.items():
            own = self._tally(access, door, site)
            own.push_count += 1
            own.accepted_count += count
            if last_ms is not None:
                own.last_sample_ms = max(last_ms, own.last_sample_ms or last_ms)
        if own is not None and len(by_site) == 1:
            self._note_rest(own, push, judgement)
        elif own is None or _has_rest(push, judgement):
            mixed = self._tally(access, door, None)
            mixed.push_count += 1
            self._note_rest(mixed, push, judgement)

    def _note_rest(self, tally: _Tally, push: Push, judgement: Judgement) -> None:
        """Count what of a push was not accepted; of refusals the last ones serve as examples."""
        tally.set_aside_count += judgement.set_aside.total()
        tally.unknown_count += judgement.unknown.total()
        refused = [*(("unreadable", one) for one in push.rejected), *judgement.refused]
        for code, rejected in refused[:-EXAMPLES_MAX]:
            tally.refused[code] += rejected.sample_count
        for code, rejected in refused[-EXAMPLES_MAX:]:
            tally.note_refused(code, rejected)

    def note_body(self, access: Access, door: str, rejected: Rejected) -> None:
        """Count a body that could not be read at all."""
        tally = self._tally(access, door, None)
        tally.push_count += 1
        tally.note_refused("body", rejected)

    def _tally(self, access: Access, door: str, site: str | None) -> _Tally:
        now = time.monotonic()
        key = SourceKey(access.key_id, door, None if site is None else site[:SITE_LENGTH_MAX])
        tally = self._tallies.get(key)
        if tally is None:
            if len(self._tallies) >= COUNTED_MAX and site is not None:
                return self._tally(access, door, None)
            tally = self._tallies[key] = _Tally(now)
        tally.last = now
        return tally

    def take(self, now: datetime) -> dict[SourceKey, Traffic]:
        """Give what has been seen and start anew; `now` is the database's clock."""
        tallies, self._tallies = self._tallies, {}
        taken, self._kept = self._kept, {}
        at = time.monotonic()
        for key, tally in tallies.items():
            own = _traffic(tally, now, at)
            taken[key] = joined(taken[key], own) if key in taken else own
        return taken

    def give_back(self, taken: Mapping[SourceKey, Traffic]) -> None:
        """Keep what could not be told for the next time, unless it is too much."""
        if len(taken) <= 2 * COUNTED_MAX:
            self._kept = dict(taken)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing came since the last report."""
        return not self._tallies and not self._kept


def _has_rest(push: Push, judgement: Judgement) -> bool:
    """Tell whether anything of a push was not accepted."""
    return bool(push.rejected or judgement.refused or judgement.set_aside or judgement.unknown)


def joined(one: Traffic, later: Traffic) -> Traffic:
    """Add up what came of one source."""
    latest = [at for at in (one.last_sample_at, later.last_sample_at) if at is not None]
    return replace(
        one,
        last_at=max(one.last_at, later.last_at),
        push_count=one.push_count + later.push_count,
        accepted_count=one.accepted_count + later.accepted_count,
        set_aside_count=one.set_aside_count + later.set_aside_count,
        unknown_count=one.unknown_count + later.unknown_count,
        last_sample_at=max(latest, default=None),
        refused=dict(Counter(one.refused or {}) + Counter(later.refused or {})),
        examples=(*one.examples, *later.examples)[-EXAMPLES_MAX:],
    )


def _traffic(tally: _Tally, now: datetime, at: float) -> Traffic:
    def moment(monotonic: float) -> datetime:
        return now - timedelta(seconds=at - monotonic)

    last_ms = tally.last_sample_ms
    return Traffic(
        first_at=moment(tally.first),
        last_at=moment(tally.last),
        push_count=tally.push_count,
        accepted_count=tally.accepted_count,
        set_aside_count=tally.set_aside_count,
        unknown_count=tally.unknown_count,
        last_sample_at=None if last_ms is None else from_ms(min(last_ms, _LATEST_MS)),
        refused=dict(tally.refused),
        examples=tuple(_refusals(tally.examples, moment)),
    )


def _refusals(
    examples: Iterable[tuple[float, str, str]], moment: Callable[[float], datetime]
) -> Iterable[Refusal]:
    for monotonic, code, text in examples:
        yield Refusal(moment(monotonic), code, legible(text))
