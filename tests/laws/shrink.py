"""Makes a set that fails small: what can be left out while it still fails is left out."""

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from tests.laws.events import Send
from tests.laws.plan import Plan

TRIES_MAX = 150
SECONDS_MAX = 60


async def shrunk(
    plan: Plan, problem: str, problem_of: Callable[[Plan], Awaitable[str]]
) -> tuple[Plan, str]:
    """Leave out halves, quarters ... of the events, then of the points, as long as it helps.

    Gives the plan itself with no problem if it does not fail again: then the moment mattered.
    """
    again = await problem_of(plan)
    if not again:
        return plan, f"once: {problem}"
    until, tries = time.monotonic() + SECONDS_MAX, 0
    smaller = True
    while smaller:
        smaller = False
        for candidate in _candidates(plan):
            tries += 1
            if tries > TRIES_MAX or time.monotonic() > until:
                return plan, again
            if found := await problem_of(candidate):
                plan, again, smaller = candidate, found, True
                break
    return plan, again


def _candidates(plan: Plan) -> Iterator[Plan]:
    size = len(plan.events)
    while size := size // 2:
        for start in range(0, len(plan.events), size):
            events = plan.events[:start] + plan.events[start + size :]
            if any(isinstance(event, Send) for event in events):
                yield replace(plan, events=events)
    for at, event in enumerate(plan.events):
        if isinstance(event, Send):
            size = len(event.points)
            while size := size // 2:
                for start in range(0, len(event.points), size):
                    points = event.points[:start] + event.points[start + size :]
                    sent = replace(event, points=points)
                    yield replace(plan, events=(*plan.events[:at], sent, *plan.events[at + 1 :]))
