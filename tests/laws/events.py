"""What happens to a set on its way: it is sent, again, by any door, priced, rated, compared.

A new kind of event needs three things: a class with `draw` and `play`, a line in `KINDS` of
`plan.py`, and, if it changes what is to be charged, a note in the scene, which asks the oracle.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random
from typing import Protocol, Self

from tests.laws import bodies, oracle
from tests.laws.comparison import compare
from tests.laws.copies import COPIES
from tests.laws.scene import Scene
from tests.laws.sets import FLAVORS, PRICES, STATUSES, Point, RandomMeter


@dataclass(frozen=True)
class Shape:
    """How large a set is: what an event may speak of."""

    meters: tuple[RandomMeter, ...]
    hours: int


class Event(Protocol):
    """Something that happens; `chance` decides only how, never what it means to the oracle."""

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen, and tell the scene what it means."""


class DrawnEvent(Event, Protocol):
    """An event that may happen at any time."""

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one."""


@dataclass(frozen=True)
class Send:
    """Points are sent by a door of a copy."""

    points: tuple[Point, ...]
    as_lines: bool
    copy: int

    def __str__(self) -> str:
        """Write it so that a person can follow."""
        points = "".join(f"\n    {point}" for point in self.points)
        return f"Send(as_lines={self.as_lines}, copy={self.copy}){points}"

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen, and tell the scene what it means."""
        points = list(self.points)
        body = bodies.write(points, scene.names, chance, as_lines=self.as_lines)
        await scene.send(body, points, self.copy)


@dataclass(frozen=True)
class Replay:
    """Bodies that were sent before come again, as they were, to any copy."""

    count: int

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one."""
        return cls(chance.randint(1, 3))

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen."""
        for one in chance.choices(scene.sent, k=self.count if scene.sent else 0):
            await scene.send(one.body, one.points, chance.randrange(COPIES), status=one.status)


@dataclass(frozen=True)
class Differ:
    """A sample comes again with another value, flavor or status, often the last of its series."""

    is_last: bool
    copy: int

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one."""
        return cls(chance.random() < 0.6, chance.randrange(COPIES))

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen, and tell the scene of one more sample."""
        if not scene.points:
            return
        known = chance.choice(scene.points)
        if self.is_last:
            thing = (known.meter, known.project, known.server, known.disk)
            known = max(
                (
                    one
                    for one in scene.points
                    if (one.meter, one.project, one.server, one.disk) == thing
                ),
                key=lambda one: one.offset,
            )
        value = chance.uniform(0, 60) if known.value == oracle.STALE else float(known.value) + 1
        value = chance.choice([value, value, 0.0, chance.uniform(0, 60)])
        point = replace(
            known, value=value, flavor=chance.choice(FLAVORS), status=chance.choice(STATUSES)
        )
        is_delta = bodies.needs_lines(scene.meters[known.meter].rules.kind)
        as_lines = is_delta or (bodies.is_writable(point) and chance.random() < 0.5)
        body = bodies.write([point], scene.names, chance, as_lines=as_lines)
        await scene.send(body, [point], self.copy)


@dataclass(frozen=True)
class Stray:
    """A body holds a sample of a time that is not accepted, beside one that was sent before."""

    is_ahead: bool

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one."""
        return cls(chance.random() < 0.5)

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen; it means nothing to the oracle."""
        if not scene.points:
            return
        known = chance.choice(scene.points)
        away = 40 * oracle.WINDOW if self.is_ahead else -oracle.WINDOW - 1
        points = [known, replace(known, offset=known.offset + away)]
        chance.shuffle(points)
        is_delta = bodies.needs_lines(scene.meters[known.meter].rules.kind)
        body = bodies.write(points, scene.names, chance, as_lines=is_delta)
        await scene.send(body, [known], chance.randrange(COPIES), status=400)


@dataclass(frozen=True)
class SetPrice:
    """A price is set by the API for an hour of the set, or shortly before."""

    meter: int
    flavor: str | None
    hour: int
    price: str

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one."""
        return cls(
            chance.randrange(len(shape.meters)),
            chance.choice([None, None, None, *FLAVORS[1:]]),
            chance.randint(-2, shape.hours // 2),
            chance.choice([*PRICES, "none"]),
        )

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen, and tell the oracle."""
        request = {
            "meter": scene.names.meter(self.meter),
            "flavor": self.flavor,
            "credits_per_unit": self.price,
            "valid_from": scene.time(self.hour).isoformat(),
        }
        if chance.random() < 0.3:
            await scene.ask("/api/v1/prices", {**request, "preview": True}, 200)
        await scene.ask("/api/v1/prices", request)
        amount = None if self.price == "none" else Fraction(self.price)
        scene.prices[self.meter].append((self.flavor, scene.first_hour + self.hour, amount))


@dataclass(frozen=True)
class Restart:
    """A copy ends and starts anew, with other settings."""

    copy: int

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one."""
        return cls(chance.randrange(COPIES))

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen."""
        await scene.copies.restart(self.copy, chance)


@dataclass(frozen=True)
class Work:
    """A third worker, which may have slept for long or know nothing, rates and maybe books."""

    is_new: bool
    books: bool

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one."""
        return cls(chance.random() < 0.3, chance.random() < 0.6)

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen."""
        if self.is_new:
            scene.copies.other_worker(chance)
        await scene.copies.core.rater.run()
        if self.books:
            await scene.copies.book()


@dataclass(frozen=True)
class Compare:
    """What is charged by now is compared, not only at the end."""

    @classmethod
    def draw(cls, chance: Random, shape: Shape) -> Self:
        """Draw one."""
        return cls()

    async def play(self, scene: Scene, chance: Random) -> None:
        """Let it happen."""
        await compare(scene, chance)
