"""Which organisations and hours of projects lie beneath which organisation, past and to come.

An organisation hangs on another one by its places, a project on an organisation by its
memberships; both are revisions from a full hour on, of which the latest of each start counts.
At no moment may the organisations make a ring, or a path of more than `DEPTH_MAX` of them: so
there is one way up from a project at any hour, and it lies beneath an organisation once or not.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from os_credits.domain.period import EPOCH
from os_credits.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# How many organisations a path may have, from the one that hangs on none downwards.
DEPTH_MAX = 32
FOREVER = datetime(9000, 1, 1, tzinfo=UTC)
# What hangs, on what (None: on nothing), from when on.
Revision = tuple[int, int | None, datetime]


@dataclass(frozen=True, slots=True)
class Hold:
    """That `below` hangs on `above` from `start` up to `end`."""

    below: int
    above: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Stay:
    """That an organisation is the node, or lies beneath it, from `start` up to `end`.

    `part` is the organisation right beneath the node through which it does; None for the node.
    """

    organisation_id: int
    part: int | None
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """The hours of a project from `start` up to `end`, which lie beneath a node.

    `part` is the organisation right beneath the node through which they do; None where the
    project hangs on the node itself.
    """

    project_id: int
    part: int | None
    start: datetime
    end: datetime


def holds_of(revisions: Iterable[Revision]) -> list[Hold]:
    """Turn revisions, in the order in which they were said, into what holds from when to when."""
    said: dict[int, dict[datetime, int | None]] = defaultdict(dict)
    for below, above, start in revisions:
        said[below][start] = above
    holds = []
    for below, by_start in said.items():
        starts = sorted(by_start)
        for start, end in zip(starts, [*starts[1:], FOREVER], strict=True):
            above = by_start[start]
            if above is not None and start < end:
                holds.append(Hold(below, above, start, end))
    return holds


class Tree:
    """All organisations with their places, at every moment."""

    def __init__(self, places: Iterable[Revision]) -> None:
        """Sort the places by who hangs, and by what they hang on."""
        self._holds = holds_of(places)
        self._above: dict[int, list[Hold]] = defaultdict(list)
        self._below: dict[int, list[Hold]] = defaultdict(list)
        for hold in self._holds:
            self._above[hold.below].append(hold)
            self._below[hold.above].append(hold)

    def path(self, organisation_id: int, at: datetime) -> list[int]:
        """Give an organisation and those above it at a moment; raises Conflict for a ring."""
        path = [organisation_id]
        while (above := self._parent(path[-1], at)) is not None:
            if above in path:
                raise Conflict(f"from {at:%Y-%m-%dT%H:%MZ} on it would lie beneath itself")
            path.append(above)
        return path

    def _parent(self, organisation_id: int, at: datetime) -> int | None:
        held = (one for one in self._above.get(organisation_id, ()) if one.start <= at < one.end)
        return next((one.above for one in held), None)

    def stays(self, node: int, start: datetime = EPOCH, end: datetime = FOREVER) -> Iterator[Stay]:
        """Give the node itself, and when each organisation lies beneath it, in a period."""
        yield Stay(node, None, start, end)
        for hold in self._overlapping(node, start, end):
            for stay in self.stays(hold.below, max(start, hold.start), min(end, hold.end)):
                yield Stay(stay.organisation_id, hold.below, stay.start, stay.end)

    def above(self, memberships: Iterable[Hold]) -> set[int]:
        """Give all organisations beneath which any of these lies at any hour of it."""
        found: set[int] = set()
        waiting = list(memberships)
        while waiting:
            hold = waiting.pop()
            found.add(hold.above)
            for one in self._above.get(hold.above, ()):
                start, end = max(one.start, hold.start), min(one.end, hold.end)
                if start < end:
                    waiting.append(Hold(hold.below, one.above, start, end))
        return found

    def _overlapping(self, node: int, start: datetime, end: datetime) -> list[Hold]:
        return [one for one in self._below.get(node, ()) if one.start < end and one.end > start]

    def _depth(self, node: int, at: datetime) -> int:
        """Count the organisations on the longest path from a node downwards, with itself."""
        below = (one.below for one in self._below.get(node, ()) if one.start <= at < one.end)
        return 1 + max((self._depth(one, at) for one in below), default=0)

    def check(self, organisation_id: int, start: datetime) -> None:
        """Raise Conflict if the place that begins here makes a ring, or too long a path, ever.

        Nothing else can, if all was well before: only its own hours have changed.
        """
        mine = next((one for one in self._above[organisation_id] if one.start == start), None)
        if mine is None:
            return
        events = {moment for one in self._holds for moment in (one.start, one.end)}
        for at in sorted({start, *(one for one in events if start < one < mine.end)}):
            # The way up comes first: without a ring, the way down has an end.
            length = len(self.path(organisation_id, at)) + self._depth(organisation_id, at) - 1
            if length > DEPTH_MAX:
                raise Conflict(
                    f"from {at:%Y-%m-%dT%H:%MZ} on {length} organisations would lie beneath each"
                    f" other, at most {DEPTH_MAX} may"
                )


def spans_beneath(
    tree: Tree,
    memberships: Iterable[Hold],
    node: int,
    *,
    start: datetime = EPOCH,
    end: datetime = FOREVER,
) -> list[Span]:
    """Give the hours of projects that lie beneath a node in a period, none of them twice.

    Sorted by project and start; spans that touch are one unless they differ in `part`.
    """
    stays: dict[int, list[Stay]] = defaultdict(list)
    for stay in tree.stays(node, start, end):
        stays[stay.organisation_id].append(stay)
    return _joined(_met(stays, memberships))


def _met(stays: Mapping[int, list[Stay]], memberships: Iterable[Hold]) -> Iterator[Span]:
    for hold in memberships:
        for stay in stays.get(hold.above, ()):
            start, end = max(hold.start, stay.start), min(hold.end, stay.end)
            if start < end:
                yield Span(hold.below, stay.part, start, end)


def _joined(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for one in sorted(spans, key=lambda one: (one.project_id, one.start)):
        last = joined[-1] if joined else None
        if last and (last.project_id, last.part, last.end) == (one.project_id, one.part, one.start):
            joined[-1] = Span(last.project_id, last.part, last.start, one.end)
        else:
            joined.append(one)
    return joined
