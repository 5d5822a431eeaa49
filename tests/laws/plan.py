"""A set with everything that happens to it, made from one seed, and how it is played."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from random import Random

from tests.laws.bodies import Names, is_writable, needs_lines
from tests.laws.comparison import conclude
from tests.laws.copies import COPIES, Copies
from tests.laws.decisions import Exclude, Grant, Lift, Settle
from tests.laws.events import (
    Compare,
    Differ,
    DrawnEvent,
    Event,
    Replay,
    Restart,
    Send,
    SetPrice,
    Shape,
    Stray,
    Work,
)
from tests.laws.oracle import HOUR
from tests.laws.revisions import Drop, Revise
from tests.laws.scene import Scene
from tests.laws.sets import Point, random_meter, random_points

HOURS = (3, 6, 12, 12, 30, 80)
HOURS_BACK_MAX = 30 * 24
BODIES_MAX = 8
DROP_DAYS = range(5, 30)
# Every so many sets is one after which old samples are dropped, so that it is played alone.
DROPPING_EVERY = 5
# How often each kind of event is drawn, by and large.
KINDS: tuple[tuple[type[DrawnEvent], float], ...] = (
    (Replay, 2),
    (SetPrice, 3),
    (Restart, 0.5),
    (Work, 2),
    (Compare, 1),
    (Stray, 0.5),
    (Differ, 3),
    (Exclude, 2),
    (Lift, 1.5),
    (Settle, 2),
    (Revise, 1),
    (Grant, 0.3),
)
ORDERS = {"in order": 2, "nearly": 2, "in any order": 3}
ORDERS_OF_DROPPED = {"in order": 4, "nearly": 1, "in any order": 1}
PREVAILING = 2
KINDS_OF_METER = ("gauge", "gauge", "counter", "counter", "counter", "delta")
# What is before a counter's dropped samples matters most.
DROPPED_KINDS = ("gauge", "counter", "counter", "counter", "counter")
_runs = count(1)


@dataclass(frozen=True)
class Plan:
    """What is sent and what else happens, in order; the set begins `hours_back` before now.

    Where samples are dropped in its course, it begins that long before the start of this day.
    """

    seed: int
    hours_back: int
    shape: Shape
    events: tuple[Event, ...]

    @property
    def drops(self) -> bool:
        """Tell whether samples of everybody are dropped in its course."""
        return any(isinstance(event, Drop) for event in self.events)

    def first_hour(self, this_hour: int) -> int:
        """Give the number of the hour in which it begins."""
        return (this_hour // 24 * 24 if self.drops else this_hour) - self.hours_back

    def __str__(self) -> str:
        """Write it so that a person can follow."""
        meters = [f"  meter {number}: {one}" for number, one in enumerate(self.shape.meters)]
        return "\n".join(
            [
                f"set {self.seed}, {self.hours_back} hours ago",
                *meters,
                *(f"  {event}" for event in self.events),
            ]
        )


def draw_plan(seed: int) -> Plan:
    """Draw a set, permute it, double some of it, cut it into bodies, put events in between."""
    chance = Random(seed)
    hours = chance.choice(HOURS)
    drops = seed % DROPPING_EVERY == 0
    kinds_of_meter = DROPPED_KINDS if drops else KINDS_OF_METER
    meters = tuple(
        random_meter(chance, chance.choice(kinds_of_meter))
        for _ in range(chance.choice([1, 1, 2, 3]))
    )
    points = [
        point
        for number, meter in enumerate(meters)
        for point in random_points(chance, number, meter.rules, hours, 0.9 if drops else 0.3)
    ]
    shape = Shape(meters, hours)
    # Some kinds prevail in a set, so that they meet each other.
    weighted = dict(KINDS)
    for kind in chance.sample(list(weighted), PREVAILING):
        weighted[kind] *= 5
    kinds, weights = list(weighted), list(weighted.values())
    events: list[Event] = []
    for body in _bodies(points, chance, ORDERS_OF_DROPPED if drops else ORDERS):
        events += _sends(body, shape, chance)
        while chance.random() < 0.65:
            events.append(chance.choices(kinds, weights)[0].draw(chance, shape))
    hours_back = chance.randint(hours + 2, HOURS_BACK_MAX)
    if drops:
        drop = _drop_within(events, chance)
        hours_back = chance.choice(DROP_DAYS) * 24 + drop.hour
    return Plan(seed, hours_back, shape, tuple(events))


def _drop_within(events: list[Event], chance: Random) -> Drop:
    """Let samples be dropped: mostly, those sent before are old enough, and those after not."""
    sends = [(at, event) for at, event in enumerate(events) if isinstance(event, Send)]
    at, later = chance.choice(sends[1:] or sends)
    drop = Drop(min(point.offset for point in later.points) // HOUR + chance.choice([0, 0, 1]))
    events.insert(at, drop)
    return drop


def _bodies(points: list[Point], chance: Random, orders: dict[str, int]) -> Iterator[list[Point]]:
    doubled = points + chance.choices(points, k=len(points) // 4)
    match chance.choices(list(orders), list(orders.values())):
        case ["in order"]:
            doubled.sort(key=lambda point: point.offset)
        case ["nearly"]:
            doubled.sort(key=lambda point: point.offset + chance.randrange(2 * HOUR))
        case ["in any order"]:
            chance.shuffle(doubled)
    cuts = {chance.randint(0, len(doubled)) for _ in range(chance.randrange(BODIES_MAX))}
    for start, end in pairwise(sorted({0, *cuts, len(doubled)})):
        yield doubled[start:end]


def _sends(body: Sequence[Point], shape: Shape, chance: Random) -> Iterator[Send]:
    """Choose a door, or both where one cannot take all."""
    wants_lines = chance.random() < 0.5
    by_door: dict[bool, list[Point]] = {True: [], False: []}
    for point in body:
        must = needs_lines(shape.meters[point.meter].rules.kind)
        by_door[must or (wants_lines and is_writable(point))].append(point)
    for as_lines, points in by_door.items():
        if points:
            yield Send(tuple(points), as_lines, chance.randrange(COPIES))


async def play(plan: Plan, copies: Copies) -> None:
    """Let everything happen, under names that were never used; raises MismatchError."""
    hour = plan.first_hour(await copies.core.now_ms() // HOUR)
    scene = Scene(copies, Names(f"{plan.seed}x{next(_runs)}", hour * HOUR), plan.shape.meters)
    await scene.begin()
    for event in plan.events:
        # Each by a chance of its own, so that it stays the same when others are left out.
        await event.play(scene, Random(f"{plan.seed} {event}"))
    await conclude(scene, Random(plan.seed))
