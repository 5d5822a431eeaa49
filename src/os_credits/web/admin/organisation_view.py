"""The tree of organisations as its pages show it; pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from os_credits.domain.amount import from_micro
from os_credits.domain.grant import GrantState
from os_credits.domain.tree import holds_of
from os_credits.web.admin.grant_view import STATES
from os_credits.web.language import gettext

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.amount import Credits
    from os_credits.domain.budget import Budget
    from os_credits.domain.lot import Burned
    from os_credits.domain.organisation import Organisation
    from os_credits.domain.tree import Revision

# Deeper nodes are drawn no further to the right.
DEPTH_SHOWN_MAX = 6


@dataclass(frozen=True, slots=True)
class Node:
    """An organisation in the tree: how deep, since when there (None: ever), and its projects.

    `own` counts those that hang on it itself, `beneath` all others below it.
    """

    organisation: Organisation
    depth: int
    since: datetime | None
    own: int
    beneath: int


def nodes_of(
    found: Sequence[Organisation],
    places: Iterable[Revision],
    own: Mapping[int, int],
    now: datetime,
) -> list[Node]:
    """Give all organisations as the tree is now, each followed by those beneath it, by name."""
    held = {one.below: one for one in holds_of(places) if one.start <= now < one.end}
    known = {one.id for one in found}
    below: dict[int | None, list[Organisation]] = defaultdict(list)
    for one in sorted(found, key=lambda one: (one.name.casefold(), one.id)):
        hold = held.get(one.id)
        below[hold.above if hold is not None and hold.above in known else None].append(one)
    counts: dict[int, int] = {}

    def count(number: int) -> int:
        counts[number] = sum(own.get(one.id, 0) + count(one.id) for one in below[number])
        return counts[number]

    nodes: list[Node] = []

    def walk(parent: int | None, depth: int) -> None:
        for one in below[parent]:
            hold = held.get(one.id)
            nodes.append(
                Node(
                    one,
                    min(depth, DEPTH_SHOWN_MAX),
                    None if hold is None else hold.start,
                    own.get(one.id, 0),
                    counts[one.id],
                )
            )
            walk(one.id, depth + 1)

    for one in below[None]:
        count(one.id)
    walk(None, 0)
    return nodes


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """A budget as a line of a table, with what became of it."""

    budget: Budget
    state: str
    is_over: bool
    left: Credits
    burned: Credits
    may_be_void: bool


def budget_line(budget: Budget, burned: Burned, now: datetime) -> BudgetLine:
    """Put a budget into words."""
    fate = budget.fate_in(burned)
    state = budget.state_at(now)
    is_over = state in (GrantState.EXPIRED, GrantState.VOID)
    return BudgetLine(
        budget,
        gettext(STATES[state]),
        is_over,
        from_micro(fate.left_micro),
        from_micro(fate.burned_micro),
        may_be_void=not is_over and not fate.burned_micro,
    )
