"""What lies beneath what, against a plain program that looks at every hour by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from os_credits.domain.period import HOUR
from os_credits.domain.tree import DEPTH_MAX, Revision, Span, Tree, holds_of, spans_beneath
from os_credits.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

START = datetime(2026, 1, 31, 20, tzinfo=UTC)
HOURS = 8
ORGANISATIONS = range(1, 7)
PROJECTS = range(101, 105)
hours = st.integers(-1, HOURS).map(lambda count: START + count * HOUR)
places = st.tuples(
    st.sampled_from(ORGANISATIONS), st.none() | st.sampled_from(ORGANISATIONS), hours
)
memberships = st.tuples(
    st.sampled_from(PROJECTS), st.none() | st.sampled_from(ORGANISATIONS), hours
)


def above_at(revisions: Iterable[Revision], below: int, hour: datetime) -> int | None:
    """Give what something hangs on in an hour: the latest start counts, and of it the last."""
    best: tuple[datetime, int | None] | None = None
    for one, above, start in revisions:
        if one == below and start <= hour and (best is None or start >= best[0]):
            best = (start, above)
    return None if best is None else best[1]


def chain(revisions: Sequence[Revision], first: int, hour: datetime) -> list[int] | None:
    """Give the way up from an organisation; None for a ring."""
    way, one = [first], above_at(revisions, first, hour)
    while one is not None:
        if one in way:
            return None
        way.append(one)
        one = above_at(revisions, one, hour)
    return way


def all_hours() -> list[datetime]:
    return [START + count * HOUR for count in range(-2, HOURS + 2)]


def accepted(said: Sequence[Revision]) -> list[Revision]:
    """Say places one after the other, and keep those that are not refused."""
    kept: list[Revision] = []
    for below, above, start in said:
        if below == above:
            continue
        more = [*kept, (below, above, start)]
        try:
            Tree(more).check(below, start)
        except Conflict:
            continue
        kept = more
    return kept


@given(st.lists(places, max_size=25))
def test_a_place_is_refused_iff_some_hour_would_have_a_ring(said: list[Revision]) -> None:
    kept: list[Revision] = []
    for below, above, start in said:
        if below == above:
            continue
        more = [*kept, (below, above, start)]
        rings = any(chain(more, one, hour) is None for one in ORGANISATIONS for hour in all_hours())
        try:
            Tree(more).check(below, start)
            refused = False
        except Conflict:
            refused = True

        assert rings == refused
        kept = kept if refused else more


@given(st.lists(places, max_size=25), st.sampled_from(ORGANISATIONS), hours)
def test_the_path_is_the_way_up(said: list[Revision], one: int, hour: datetime) -> None:
    kept = accepted(said)

    assert chain(kept, one, hour) == Tree(kept).path(one, hour)


def hours_in(spans: Iterable[Span]) -> list[tuple[int, int | None, datetime]]:
    return [
        (span.project_id, span.part, hour)
        for span in spans
        for hour in all_hours()
        if span.start <= hour < span.end
    ]


def expected(
    kept: Sequence[Revision], members: Sequence[Revision], node: int
) -> list[tuple[int, int | None, datetime]]:
    """Go through all hours of all projects."""
    found: list[tuple[int, int | None, datetime]] = []
    for project in PROJECTS:
        for hour in all_hours():
            first = above_at(members, project, hour)
            way = [] if first is None else chain(kept, first, hour) or []
            if node in way:
                place = way.index(node)
                found.append((project, way[place - 1] if place else None, hour))
    return found


@given(st.lists(places, max_size=25), st.lists(memberships, max_size=12))
def test_an_hour_lies_beneath_a_node_once_or_not_at_all(
    said: list[Revision], members: list[Revision]
) -> None:
    kept = accepted(said)
    tree, holds = Tree(kept), holds_of(members)
    for node in ORGANISATIONS:
        spans = spans_beneath(tree, holds, node)

        assert sorted(expected(kept, members, node), key=str) == sorted(hours_in(spans), key=str)


@given(st.lists(places, max_size=25), st.lists(memberships, max_size=12))
def test_siblings_part_what_lies_beneath_their_parent(
    said: list[Revision], members: list[Revision]
) -> None:
    kept = accepted(said)
    tree, holds = Tree(kept), holds_of(members)
    for node in ORGANISATIONS:
        whole = sorted(hours_in(spans_beneath(tree, holds, node)), key=str)
        parts: list[tuple[int, int | None, datetime]] = [
            (project, child, hour)
            for child in ORGANISATIONS
            for project, _, hour in hours_in(spans_beneath(tree, holds, child))
            if above_at(kept, child, hour) == node
        ]
        parts += [
            (project, None, hour)
            for project in PROJECTS
            for hour in all_hours()
            if above_at(members, project, hour) == node
        ]

        assert whole == sorted(parts, key=str)


@given(st.lists(places, max_size=25), st.lists(memberships, max_size=12))
def test_whoever_is_seen_above_has_an_hour_beneath(
    said: list[Revision], members: list[Revision]
) -> None:
    kept = accepted(said)
    tree, holds = Tree(kept), holds_of(members)

    beneath = {node for node in ORGANISATIONS if expected(kept, members, node)}

    assert beneath == tree.above(holds)


@given(hours, hours)
def test_a_period_cuts_the_spans(one: datetime, other: datetime) -> None:
    start, end = sorted((one, other + HOUR))
    members: list[Revision] = [(101, 1, START), (101, 2, START + 2 * HOUR), (102, 2, START)]
    tree = Tree([(2, 1, START + HOUR)])

    whole = hours_in(spans_beneath(tree, holds_of(members), 1))
    cut = hours_in(spans_beneath(tree, holds_of(members), 1, start=start, end=end))

    assert [found for found in whole if start <= found[2] < end] == cut


def row_of(length: int) -> list[Revision]:
    return [(one, one + 1, START) for one in range(1, length)]


def test_a_path_as_long_as_allowed_is_taken_and_one_more_is_not() -> None:
    longest = row_of(DEPTH_MAX)
    for below, _, start in longest:
        Tree(longest).check(below, start)
    for more in ((DEPTH_MAX, 1000, START), (1000, 1, START)):
        with pytest.raises(Conflict, match=rf"{DEPTH_MAX + 1} organisations"):
            Tree([*longest, more]).check(more[0], START)


def test_parts_of_a_path_at_different_times_are_not_added_up() -> None:
    """The upper half is gone before the lower half comes."""
    half = DEPTH_MAX // 2 + 1
    middle = START + 4 * HOUR
    upper = [(one, one + 1, START) for one in range(half, 2 * half - 1)]
    away: list[Revision] = [(half, None, middle)]
    lower = [(one, one + 1, middle) for one in range(1, half)]
    said = [*upper, *away, *lower]

    for below, _, start in said:
        Tree(said).check(below, start)
    with pytest.raises(Conflict, match="would lie beneath each other"):
        Tree([*said, (half, half + 1, middle)]).check(half, middle)
