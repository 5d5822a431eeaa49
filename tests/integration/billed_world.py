"""Five weeks of charged projects in a tree that changes, and bills of them by a naive program."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from os_credits.domain.amount import to_micro
from os_credits.domain.bill import By
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.organisation import MembershipRequest, PlaceRequest
from os_credits.domain.period import HOUR, HOUR_MS, floor_day, floor_hour, from_ms
from os_credits.flows.day_sums import sum_due_days
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.organisations import create_organisation, place_organisation, place_project
from os_credits.flows.prices import set_price
from os_credits.store.pool import connection

if TYPE_CHECKING:
    import random

    from tests.core import Core, Written

DAYS = 35
PROJECTS = ("p1", "p2", "p3", "p4")
ORGANISATIONS = ("a", "b", "c", "d")
LABELS = {"project_id": "project", "resource": "server", "flavor": "flavor"}
FILE = MeterFile(
    (
        MeterDefinition(name="vcpu", metric="vcpu", kind="counter", unit="hour", **LABELS),
        MeterDefinition(name="server", metric="server", kind="gauge", unit="server", value="one",
                        max_gap_seconds=40 * 3600, **LABELS),
        MeterDefinition(name="free", metric="free", kind="counter", unit="GiB", **LABELS),
        MeterDefinition(name="later", metric="later", kind="counter", unit="GiB", **LABELS),
    ),
    (
        FilePrice("vcpu", None, Decimal("0.7")),
        FilePrice("server", "small", Decimal("0.333333")),
        FilePrice("server", "large", Decimal("1.1")),
        FilePrice("free", None, Decimal(0)),
    ),
)  # fmt: skip
# Project, hour, meter, flavor, micro-credits.
Charge = tuple[int, datetime, str, str, int]


@dataclass(frozen=True)
class Measured:
    """A row of usage; `micro` None: without a price."""

    project: int
    resource: str
    hour: datetime
    meter: str
    flavor: str
    quantity: int
    micro: int | None


@dataclass
class World:
    """What was said, charged and measured."""

    core: Core
    first: datetime
    now: datetime
    charges: list[tuple[int, datetime, str, str, int, int]] = field(default_factory=list)
    usage: list[Measured] = field(default_factory=list)
    places: dict[int, dict[datetime, int | None]] = field(default_factory=dict)
    members: dict[int, dict[datetime, int | None]] = field(default_factory=dict)
    dropped: datetime | None = None

    def way(self, project: int, hour: datetime) -> list[int]:
        """Give the organisations above a project in an hour, the nearest first."""
        way, one = [], _said(self.members, project, hour)
        while one is not None:
            way.append(one)
            one = _said(self.places, one, hour)
        return way

    def part(self, node: int, project: int, hour: datetime) -> int | None:
        """Give through which part an hour lies beneath: 0 the node itself, None: it does not."""
        way = self.way(project, hour)
        if node not in way:
            return None
        place = way.index(node)
        return way[place - 1] if place else 0

    def group(self, by: By, node: int | None, project: int, hour: datetime, meter: str) -> Any:
        match by:
            case By.PART:
                assert node is not None
                return self.part(node, project, hour)
            case By.PROJECT:
                return project
            case By.DAY:
                return floor_day(hour)
            case By.MONTH:
                return floor_day(hour).replace(day=1)
        return meter

    def concerns(self, node: int | None, project: int | None, of: int, hour: datetime) -> bool:
        if project is not None:
            return of == project
        assert node is not None
        return self.part(node, of, hour) is not None

    def used(
        self,
        by: By,
        start: datetime,
        end: datetime,
        *,
        node: int | None,
        project: int | None,
        seen: set[int] | None,
    ) -> dict[tuple[Any, str, str], tuple[int, int]]:
        """Sum charges, and what of them is open, by going through every hour."""
        sums: dict[tuple[Any, str, str], list[int]] = defaultdict(lambda: [0, 0])
        for of, hour, meter, flavor, charged, booked in self.charges:
            if not (start <= hour < end) or (seen is not None and of not in seen):
                continue
            if self.concerns(node, project, of, hour):
                line = sums[self.group(by, node, of, hour, meter), meter, flavor]
                line[0] += charged
                line[1] += charged - booked
        return {key: (charged, waiting) for key, (charged, waiting) in sums.items()}

    def measured(
        self,
        by: By,
        start: datetime,
        end: datetime,
        *,
        node: int | None,
        project: int | None,
        seen: set[int] | None,
        resource: str | None = None,
    ) -> dict[tuple[Any, str, str], tuple[int, int]]:
        """Sum steps with a price, and those without one."""
        sums: dict[tuple[Any, str, str], list[int]] = defaultdict(lambda: [0, 0])
        for one in self.usage:
            if not (start <= one.hour < end) or (seen is not None and one.project not in seen):
                continue
            if resource is not None and one.resource != resource:
                continue
            if self.concerns(node, project, one.project, one.hour):
                group = (
                    one.resource
                    if by is By.RESOURCE
                    else self.group(by, node, one.project, one.hour, one.meter)
                )
                sums[group, one.meter, one.flavor][one.micro is None] += one.quantity
        return {key: (priced, unpriced) for key, (priced, unpriced) in sums.items()}


def _said(said: dict[int, dict[datetime, int | None]], one: int, hour: datetime) -> int | None:
    starts = [start for start in said.get(one, {}) if start <= hour]
    return said[one][max(starts)] if starts else None


async def make_world(core: Core, dice: random.Random) -> World:
    """Charge every project for five weeks, correct some of it, and move things about."""
    now_ms = await core.now_ms()
    first = floor_day(from_ms(now_ms)) - timedelta(days=DAYS)
    world = World(core, first, from_ms(now_ms))
    await _measure(core, dice, int(first.timestamp() * 1000), now_ms)
    middle = first + timedelta(days=DAYS // 2, hours=7)
    await set_price(core.pool, meter="vcpu", flavor=None, credits_per_unit=Decimal("0.9"),
                    valid_from=middle, author="ada")  # fmt: skip
    if dice.random() < 0.7:  # else all days are read by hours
        await sum_due_days(core.pool)
    await core.push(_late(dice, world))
    await core.rate()
    await read_world(world)
    await _move(world, dice)
    return world


def _late(dice: random.Random, world: World) -> list[Written]:
    """Change two days after they were summed: they are read by hours."""
    return [
        (
            {"__name__": "server", "flavor": "small", "project": "p1", "server": "late"},
            int((world.first + timedelta(hours=dice.randrange(DAYS * 24))).timestamp() * 1000),
            1.0,
        )
        for _ in range(2)
    ]


async def _measure(core: Core, dice: random.Random, first_ms: int, now_ms: int) -> None:
    samples = []
    for project in PROJECTS:
        for server in ("s1", "s2"):
            labels = {"project": project, "server": server}
            totals = dict.fromkeys(("vcpu", "free", "later"), 0.0)
            for time_ms in sorted(dice.randrange(first_ms, now_ms) for _ in range(40)):
                flavor = "small" if time_ms < first_ms + 15 * 24 * HOUR_MS else "large"
                samples.append(({"__name__": "server", "flavor": flavor, **labels}, time_ms, 1.0))
                for meter in totals:
                    totals[meter] += dice.randrange(1, 900) / 7
                    samples.append(({"__name__": meter, **labels}, time_ms, totals[meter]))
    dice.shuffle(samples)
    half = len(samples) // 2
    await core.push(samples[:half])
    await core.rate()
    await core.book(grace=timedelta())
    await core.push(samples[half : half + half // 2])
    await core.rate()
    # Hours that were booked get corrections.
    await core.book(grace=timedelta(seconds=-1))
    await core.push(samples[half + half // 2 :])
    await core.rate()


async def read_world(world: World) -> None:
    """Read all charges and all usage."""
    world.charges.clear()
    world.usage.clear()
    async with connection(world.core.pool) as conn:
        for row in await conn.fetch(
            """
            SELECT c.project_id, c.hour, m.name, f.name, c.charged, c.booked
            FROM charge c JOIN meter m ON m.id = c.meter_id JOIN flavor f ON f.id = c.flavor_id
            """
        ):
            world.charges.append((*row[:4], to_micro(row[4]), to_micro(row[5])))
        for row in await conn.fetch(
            """
            SELECT s.project_id, s.resource, u.hour, m.name, f.name, u.quantity, u.credits
            FROM usage u JOIN series s ON s.id = u.series_id JOIN meter m ON m.id = s.meter_id
            JOIN flavor f ON f.id = u.flavor_id WHERE u.kind = 0 OR u.credits > 0
            """
        ):
            micro = None if row[6] is None else to_micro(row[6])
            project, resource, hour, meter, flavor, quantity, _ = row
            world.usage.append(
                Measured(project, resource, hour, meter, flavor, int(quantity), micro)
            )
        assert await conn.fetchval("SELECT count(*) FROM charge WHERE charged <> booked") > DAYS
        assert await conn.fetchval("SELECT count(*) FROM entry WHERE kind = 'correction'") > DAYS


async def _move(world: World, dice: random.Random) -> None:
    pool, first = world.core.pool, world.first
    ids: dict[str, int] = {}
    for name in ORGANISATIONS:
        ids[name] = (await create_organisation(pool, name))[0].id
    for below, above in (("b", "a"), ("c", "b"), ("d", "a")):
        start = first - timedelta(days=1)
        await place_organisation(
            pool, PlaceRequest(ids[below], ids[above], start, "founded", "ada")
        )
        world.places.setdefault(ids[below], {})[start] = ids[above]
    moved = first + timedelta(days=dice.randrange(3, 30), hours=dice.randrange(24))
    await place_organisation(pool, PlaceRequest(ids["c"], ids["d"], moved, "moved", "ada"))
    world.places[ids["c"]][moved] = ids["d"]
    projects = sorted({one[0] for one in world.charges})
    for number, project in enumerate(projects):
        for _ in range(4):
            start = floor_hour(first + timedelta(hours=dice.randrange(-24, DAYS * 24)))
            chosen: str | None = dice.choice([*ORGANISATIONS, None])
            request = MembershipRequest(project, chosen, start, "moved", "ada")
            await place_project(pool, request)
            world.members.setdefault(project, {})[start] = None if chosen is None else ids[chosen]
        if number == 0:
            start = first - HOUR
            await place_project(pool, MembershipRequest(project, "a", start, "new", "ada"))
            world.members[project][start] = ids["a"]
