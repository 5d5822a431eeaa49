"""A sequence of what happens to accounts, made from one seed, and how both twins play it."""

from dataclasses import dataclass
from random import Random

from os_credits.domain.period import HOUR, floor_hour
from tests.laws.account_events import (
    Adjust,
    Allow,
    Anchored,
    EndAllowance,
    Exclude,
    Give,
    Lift,
    More,
    Movable,
    Move,
    Push,
    SetPrice,
    TakeBack,
)
from tests.laws.account_model import HOUR_MS
from tests.laws.account_world import Twin, World
from tests.laws.mismatch import MismatchError

MINUTE_MS = 60_000
# How far ahead of the clock amounts are sent at most; ten minutes are taken.
AHEAD_MS = 9 * MINUTE_MS
HOURS_BEFORE = 72
NEXT_HOUR = 0
# In minutes; NEXT_HOUR: to its very first moment.
STEPS = (0, 0, 7, 25, 50, NEXT_HOUR, NEXT_HOUR, 180, 600, 1440, 3600)
ODD = (-1, 1, 1, 3)


@dataclass(frozen=True)
class Segment:
    """A stretch of time in which the clock stands: what each twin does, and then both."""

    minutes: int
    movable: tuple[tuple[Movable, ...], tuple[Movable, ...]]
    anchored: tuple[Anchored, ...]


@dataclass(frozen=True)
class AccountPlan:
    """What happens; hours count from a full hour that is chosen when it is played."""

    seed: int
    projects: int
    segments: tuple[Segment, ...]

    def __str__(self) -> str:
        """Write it so that a person can follow."""
        lines = [f"sequence {self.seed}, {self.projects} projects"]
        for one in self.segments:
            lines.append(f"  at {one.minutes // 60}:{one.minutes % 60:02d}")
            for number, movable in enumerate(one.movable):
                lines += [f"    twin {number}: {event}" for event in movable]
            lines += [f"    both: {event}" for event in one.anchored]
        return "\n".join(lines)


def draw_account_plan(seed: int) -> AccountPlan:
    """Draw times, what happens at any of them, and what happens in between."""
    chance = Random(seed)
    projects = chance.choice([1, 2, 2, 3])
    times = [chance.randrange(60)]
    for _ in range(chance.randint(4, 10)):
        step = chance.choice(STEPS)
        times.append(times[-1] + (step or 60 - times[-1] % 60))
    drawing = _Drawing(chance, projects, times)
    for _ in range(chance.randint(3, 9)):
        drawing.push()
    for number in range(chance.randint(2, 8)):
        drawing.give(number)
    for project in range(projects):
        if chance.random() < 0.5:
            drawing.give_plenty(project)
    for start in chance.sample(range(-HOURS_BEFORE, times[-1] // 60 + 2), chance.randint(0, 2)):
        price = chance.choice([2_000_000, 500_000, 1_250_000, 0, 1])
        drawing.anywhere(SetPrice(start, price))
    for number in range(chance.choice([0, 0, 1, 2])):
        drawing.exclude(number)
    for number in range(len(times)):
        drawing.together(number)
    return AccountPlan(seed, projects, tuple(drawing.segments()))


class _Drawing:
    """A plan that is being drawn."""

    def __init__(self, chance: Random, projects: int, times: list[int]) -> None:
        self.chance = chance
        self.projects = projects
        self.times = times
        self._movable: list[list[list[Movable]]] = [[[], []] for _ in times]
        self._anchored: list[list[Anchored]] = [[] for _ in times]
        self._count = 0
        self._terms: set[tuple[object, ...]] = set()
        # Grants with the segment from which both twins have them, and allowances likewise.
        self._given: list[tuple[int, Give]] = []
        self._allowed: list[tuple[int, Allow]] = []

    def segments(self) -> list[Segment]:
        return [
            Segment(minutes, (tuple(first), tuple(second)), tuple(anchored))
            for minutes, (first, second), anchored in zip(
                self.times, self._movable, self._anchored, strict=True
            )
        ]

    def anywhere(self, event: Movable, earliest: int = 0) -> list[int]:
        """Let each twin do it at a time of its own; gives both."""
        places = [self.chance.randrange(earliest, len(self.times)) for _ in range(2)]
        for twin, place in enumerate(places):
            of_twin = self._movable[place][twin]
            of_twin.insert(self.chance.randint(0, len(of_twin)), event)
        return places

    def push(self) -> None:
        end_ms = self.times[-1] * MINUTE_MS + AHEAD_MS
        around = self.chance.randrange(-HOURS_BEFORE * HOUR_MS, end_ms)
        items = tuple(
            (
                self.chance.randrange(self.projects),
                # No two at one time: the larger one would count.
                min(around + self.chance.randrange(4 * HOUR_MS), end_ms) - self._next(),
                self.chance.randint(1, 12),
            )
            for _ in range(self.chance.randint(1, 4))
        )
        last_ms = max(ms for _, ms, _ in items) - AHEAD_MS
        ready = [number for number, one in enumerate(self.times) if one * MINUTE_MS >= last_ms]
        self.anywhere(Push(items), ready[0])

    def give(self, number: int) -> None:
        chance, last = self.chance, self.times[-1] // 60
        start = chance.choice([chance.randint(-80, last), chance.randint(-3, last + 3), last + 200])
        length = chance.choice([None, None, 1, 2, 5, 24, 70])
        end = None if length is None else start + length
        terms = chance.randrange(self.projects), start, end, chance.choice(ODD)
        # Ids follow the order of arrival, so they must not decide anything here.
        if terms not in self._terms:
            self._terms.add(terms)
            project, _, _, priority = terms
            grant = Give(f"g{number}", project, self._micro(), start, end, priority)
            self._given.append((max(self.anywhere(grant)), grant))

    def give_plenty(self, project: int) -> None:
        """Give much that burns before all else, so that there is enough to move and take back."""
        grant = Give(f"plenty{project}", project, 300_000_000, -90, None, -3)
        self._given.append((max(self.anywhere(grant)), grant))

    def exclude(self, number: int) -> None:
        start = self.chance.randint(-HOURS_BEFORE, self.times[-1] // 60)
        project = self.chance.randrange(self.projects)
        event = Exclude(f"e{number}", project, start, start + self.chance.choice([1, 5, 40]))
        places = self.anywhere(event)
        if self.chance.random() < 0.5:
            for twin, place in enumerate(places):
                later = self.chance.randrange(place, len(self.times))
                self._movable[later][twin].append(Lift(event.key, project))

    def together(self, number: int) -> None:
        """Draw what both do at the end of a segment."""
        for count in range(self.chance.choice([0, 1, 1, 2])):
            event = self._anchored_event(f"{number}.{count}", number)
            if event is not None:
                self._anchored[number].append(event)

    def _anchored_event(self, key: str, number: int) -> Anchored | None:
        chance, project = self.chance, self.chance.randrange(self.projects)
        given = [grant for since, grant in self._given if since <= number]
        allowed = [one for since, one in self._allowed if since < number]
        match chance.choice("aammmttvvvlle"):
            case "a":
                return Adjust(f"a{key}", project, chance.choice([-1, 1]) * self._micro())
            case "m" if self.projects > 1:
                to = chance.choice([one for one in range(self.projects) if one != project])
                hours = chance.choice([None, 1, 2, 30])
                return Move(f"m{key}", project, to, self._micro(), hours)
            case "t" if given:
                grant = chance.choice(given)
                return More(f"t{key}", grant.project, grant.key, self._micro())
            case "v" if given:
                grant = chance.choice(given)
                return TakeBack(f"v{key}", grant.project, grant.key)
            case "l":
                first, count = chance.randint(-2, 1), chance.randint(1, 4)
                over, priority = chance.random() < 0.5, chance.choice([0, 2])
                one = Allow(f"l{key}", project, self._micro(), first, count, over, priority)
                self._allowed.append((number, one))
                return one
            case "e" if allowed:
                one = chance.choice(allowed)
                return EndAllowance(f"e{key}", one.project, one.key, chance.randint(0, 4))
        return None

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _micro(self) -> int:
        return self.chance.choice([1, 10**6, 10**6, 10**6]) * self.chance.randint(1, 40)


async def play(plan: AccountPlan, world: World, run: int) -> int:
    """Let everything happen to both twins; gives how often accounts were held against entries."""
    begin = floor_hour(world.now) + HOUR
    world.set_clock(begin)
    base = world.hour
    twins = [Twin(world, f"{plan.seed}x{run}{side}", plan.projects) for side in "ab"]
    steps = 0
    world.twins = twins
    for twin in twins:
        await twin.begin()
    for number, segment in enumerate(plan.segments):
        world.set_clock(begin + segment.minutes * HOUR / 60)
        for side, (twin, movable) in enumerate(zip(twins, segment.movable, strict=True)):
            chance = Random(f"{plan.seed} {number} {side}")
            for event in movable:
                await event.play(twin, base)
                await go_on(twin, chance)
                steps += 1
        for shared in segment.anchored:
            await both(shared, twins, base, Random(f"{plan.seed} {number} {shared}"))
            steps += 2
    world.set_clock(begin + (plan.segments[-1].minutes // 60 + 2) * HOUR)
    for twin in twins:
        await twin.conclude()
    told = [(twin.fates, await twin.sums()) for twin in twins]
    if told[0] != told[1]:
        raise MismatchError(f"the twins differ:\n{told[0]}\n{told[1]}")
    return steps


async def both(event: Anchored, twins: list[Twin], base: int, chance: Random) -> None:
    """Let both do it if the model expects the same of it."""
    for twin in twins:
        await twin.core.rate()
    expected = {event.is_allowed(twin) for twin in twins}
    if len(expected) == 1:
        for twin in twins:
            await event.play(twin, base, allowed=True in expected)
            await twin.check()
        # Only then: the jobs of one let time pass for both.
        for twin in twins:
            await go_on(twin, chance)


async def go_on(twin: Twin, chance: Random) -> None:
    """Let jobs run, in an order of their own, and things be told again."""
    match chance.randrange(9):
        case 0 | 1:
            await twin.world.pass_time()
        case 2 | 3:
            await twin.book(chance.choice([0, 900]))
        case 4:
            await twin.compare()
        case 5 if twin.done:
            await twin.again(chance)
        case 6 if twin.pushed:
            await twin.push(chance.choice(twin.pushed))
        case 7:
            twin.world.other_worker(chance)
        case _:
            await twin.core.rate()
    await twin.check()
