"""What happens to projects in a simulated quarter: made from a seed, hour by hour."""

from dataclasses import dataclass, field
from random import Random

HOURS_PER_DAY = 24
# Amounts are in thousandths of a credit, so that rounding has something to do.
SCALE = 1000


@dataclass(frozen=True)
class Deed:
    """Something a person does to an account, in an hour of the quarter.

    `what` is grant, adjust or transfer. `start` and `end` are hours, relative to that of the
    deed; `end` None: for ever.
    """

    what: str
    amount: int
    start: int = 0
    end: int | None = None
    priority: int = 0
    to: int = 0


@dataclass
class ProjectPlan:
    """One project: what it uses in which hour, when each part of that arrives, and the deeds."""

    name: str
    owners: int
    lines: dict[str, list[int]]
    # By the hour in which samples arrive: pairs of the hour of use and the amount.
    arrivals: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    deeds: dict[int, list[Deed]] = field(default_factory=dict)
    allowance: tuple[int, bool] | None = None


def draw_project(chance: Random, number: int, hours: int, others: int) -> ProjectPlan:
    """Draw the quarter of one project."""
    plan = ProjectPlan(f"p{number}", chance.choice([1, 1, 2, 3]), _lines(chance))
    level = chance.choice([20, 200, 1500])
    _draw_usage(chance, plan, hours, level)
    daily = level * 18
    if chance.random() < 0.3:
        plan.allowance = daily * chance.randint(15, 45), chance.random() < 0.4
    else:
        first = Deed("grant", daily * chance.randint(5, 60))
        plan.deeds.setdefault(chance.randint(0, 48), []).append(first)
    if chance.random() < 0.3:
        _let_hover(chance, plan, hours, level)
    for _ in range(hours // 240 + 1):
        deed = _draw_deed(chance, daily, others)
        plan.deeds.setdefault(chance.randint(1, hours - 1), []).append(deed)
    return plan


def _lines(chance: Random) -> dict[str, list[int]]:
    """Draw whose lines hold: mostly the service's own, else some of any kind."""
    if chance.random() < 0.5:
        return {}
    return {
        "percents": chance.choice([[], [50], [90, 75, 50, 25, 10, 0]]),
        "credits": chance.choice([[], [0], [500, 100, -50]]),
        "days": chance.choice([[], [14, 7, 1]]),
        "burn_per_day": chance.choice([[], [10, 40]]),
    }


def _draw_usage(chance: Random, plan: ProjectPlan, hours: int, level: int) -> None:
    by_day = chance.random() < 0.4
    factor = 1.0
    for hour in range(hours):
        if chance.random() < 0.005:
            factor = chance.choice([0, 0.3, 1, 2.5])
        rest = 0.2 if by_day and (hour % HOURS_PER_DAY < 7 or hour // 24 % 7 >= 5) else 1
        amount = int(level * factor * rest * chance.uniform(0.5, 1.5))
        if not amount:
            continue
        # Some of it comes hours or days late, as after an outage of the sender.
        late = chance.randint(2, 120) if chance.random() < 0.03 else 1
        plan.arrivals.setdefault(hour + late, []).append((hour, amount))


def _let_hover(chance: Random, plan: ProjectPlan, hours: int, level: int) -> None:
    """Let somebody keep an account afloat around its line, half a day's usage at a time.

    Half of what is given ends soon, so that what is valid, and the hysteresis with it, stay small.
    """
    line = 12 * level // SCALE + 1
    plan.lines = {"percents": [], "credits": [line, line // 3], "days": [], "burn_per_day": []}
    plan.allowance = None
    plan.deeds = {1: [Deed("grant", 16 * level)]}
    hour = 4
    while hour < hours:
        end = chance.choice([None, 24])
        amount = int(12 * level * chance.uniform(0.6, 1.6))
        plan.deeds.setdefault(hour, []).append(Deed("grant", amount, end=end))
        hour += chance.choice([4, 8, 12, 16])


def _draw_deed(chance: Random, daily: int, others: int) -> Deed:
    what = chance.choices(["grant", "adjust", "transfer"], [6, 2, 1])[0]
    amount = int(daily * chance.choice([0.2, 1, 5, 20]) * chance.uniform(0.5, 1.5)) + 1
    if what == "adjust":
        return Deed(what, amount if chance.random() < 0.5 else -amount)
    end = chance.choice([None, 48, 24 * 10, 24 * 30])
    if what == "transfer":
        return Deed(what, amount, end=end, to=chance.randrange(others))
    start = chance.choice([0, 0, 0, -24, 36, -24 * 5])
    if end is not None and end <= start:
        end = start + 24
    return Deed(what, amount, start, end, chance.choice([0, 0, 1, -1]))
