"""Budgets of a tree that changes, and what is usable under them, against a naive program."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING

import asyncpg
import pytest

from os_credits.domain.amount import credits_of, from_micro, to_micro
from os_credits.domain.budget import Budget, BudgetRequest, Usable
from os_credits.domain.difference import Findings, Layer
from os_credits.domain.grant import Terms
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.organisation import MembershipRequest, PlaceRequest
from os_credits.domain.period import HOUR, HOUR_MS, Period, floor_hour, from_ms, to_ms
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.budgets import give_budget, read_budget_balances, usable, void_budget
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.organisations import (
    create_organisation,
    place_organisation,
    place_project,
    sum_usage,
)
from os_credits.flows.verify import recompute
from os_credits.store import organisations
from os_credits.store.balances import read_balances
from os_credits.store.pool import connection, open_pool, previewed, snapshot
from tests.core import WINDOW_MS, Core, opened_core
from tests.laws import burn_oracle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

# Longer than any month, so that whole months, days and hours are summed.
DAYS = 33
PROJECTS = ("p1", "p2", "p3", "p4")
ORGANISATIONS = ("a", "b", "c", "d", "e", "f")
FILE = MeterFile(
    (MeterDefinition(name="vcpu", metric="vcpu", kind="counter", unit="hour",
                     project_id="project"),),
    (FilePrice("vcpu", None, Decimal("0.7")),),
)  # fmt: skip


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


async def fill(core: Core, dice: random.Random) -> datetime:
    """Charge every project for five weeks, and some of it again after it was booked."""
    now_ms = await core.now_ms()
    first_ms = now_ms - DAYS * 24 * HOUR_MS
    samples = []
    for project in PROJECTS:
        total = 0.0
        times = sorted(dice.randrange(first_ms, now_ms) for _ in range(60))
        for time_ms in times:
            total += dice.randrange(1, 900)
            samples.append(({"__name__": "vcpu", "project": project}, time_ms, total))
    dice.shuffle(samples)
    await core.push(samples[: len(samples) // 2])
    await core.rate()
    await core.book(grace=timedelta())
    await core.push(samples[len(samples) // 2 :])
    await core.rate()
    async with connection(core.pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM booked_usage WHERE length = 'day'") > DAYS
        assert await conn.fetchval("SELECT count(*) FROM charge WHERE charged <> booked") > DAYS
    return floor_hour(from_ms(first_ms))


@dataclass
class World:
    """What was said and charged, and the sums of it by going through every hour."""

    now: datetime
    used: dict[int, dict[datetime, int]]
    places: dict[int, dict[datetime, int | None]] = field(default_factory=dict)
    members: dict[int, dict[datetime, int | None]] = field(default_factory=dict)
    budgets: dict[int, list[Budget]] = field(default_factory=dict)

    def above(
        self, said: dict[int, dict[datetime, int | None]], one: int, hour: datetime
    ) -> int | None:
        starts = [start for start in said.get(one, {}) if start <= hour]
        return said[one][max(starts)] if starts else None

    def way(self, project: int, hour: datetime) -> list[int]:
        """Give the organisations above a project in an hour, the nearest first."""
        way = []
        one = self.above(self.members, project, hour)
        while one is not None:
            assert one not in way
            way.append(one)
            one = self.above(self.places, one, hour)
        return way

    def beneath(self, node: int, start: datetime, end: datetime | None) -> Counter[datetime]:
        sums: Counter[datetime] = Counter()
        for project, by_hour in self.used.items():
            for hour, micro in by_hour.items():
                if (
                    start <= hour
                    and (end is None or hour < end)
                    and node in self.way(project, hour)
                ):
                    sums[hour] += micro
        return sums

    def lots(self, node: int) -> list[burn_oracle.Lot]:
        return [
            burn_oracle.Lot(one.id, to_micro(one.amount), number(one.valid_from),
                            None if one.expires_at is None else number(one.expires_at),
                            one.priority)
            for one in self.budgets.get(node, []) if not one.is_void
        ]  # fmt: skip

    def account(self, node: int) -> burn_oracle.Account | None:
        lots = self.lots(node)
        if not lots or min(lot.start for lot in lots) > number(self.now):
            return None
        begin = from_ms(min(lot.start for lot in lots) * HOUR_MS)
        used = {number(hour): micro for hour, micro in self.beneath(node, begin, None).items()}
        return burn_oracle.account(lots, used, number(self.now))


def number(hour: datetime) -> int:
    return to_ms(hour) // HOUR_MS


async def make_world(core: Core) -> World:
    used: dict[int, dict[datetime, int]] = {}
    async with connection(core.pool) as conn:
        rows = await conn.fetch("SELECT project_id, hour, charged FROM charge")
        now = await conn.fetchval("SELECT now()")
    for project_id, hour, charged in rows:
        used.setdefault(project_id, {})[hour] = to_micro(charged)
    for name in ORGANISATIONS:
        await create_organisation(core.pool, name)
    return World(now, used)


async def say_something(core: Core, world: World, dice: random.Random, first: datetime) -> str:
    """Do one thing of those that change sums; tells which."""
    start = first + dice.randrange(-48, DAYS * 24 + 48) * HOUR
    node = dice.randrange(1, len(ORGANISATIONS) + 1)
    match dice.choice(("place", "place", "member", "budget", "budget", "void")):
        case "place":
            parent = dice.choice([*range(1, len(ORGANISATIONS) + 1), None])
            try:
                await place_organisation(
                    core.pool, PlaceRequest(node, parent, start, "reform", "ada")
                )
            except Conflict:
                return "refused"
            world.places.setdefault(node, {})[start] = parent
            return "place"
        case "member":
            project = dice.choice(sorted(world.used))
            place = dice.choice([*range(1, len(ORGANISATIONS) + 1), None])
            name = None if place is None else ORGANISATIONS[place - 1]
            request = MembershipRequest(project, name, start, "moved", "ada")
            await place_project(core.pool, request)
            world.members.setdefault(project, {})[start] = place
            return "member"
        case "budget":
            end = start + dice.randrange(1, 500) * HOUR if dice.random() < 0.6 else None
            given, _ = await give_budget(
                core.pool,
                budget(node, str(dice.randrange(1, 9000)), f"key-{dice.random()}", start, end,
                       dice.randrange(-1, 2)),
            )  # fmt: skip
            world.budgets.setdefault(node, []).append(given)
            return "budget"
        case _:
            return await take_back(core, world, dice)


async def take_back(core: Core, world: World, dice: random.Random) -> str:
    """Try to void a budget: refused iff some of it is burned, or it has ended."""
    every = [one for of_node in world.budgets.values() for one in of_node if not one.is_void]
    if not every:
        return "none"
    one = dice.choice(every)
    account = world.account(one.organisation_id)
    fate = account.fates.get(one.id) if account else None
    over = one.expires_at is not None and one.expires_at <= world.now
    try:
        done, _ = await void_budget(
            core.pool, one.organisation_id, one.id, reason="twice", author="ada"
        )
    except Conflict:
        assert over or (fate and fate.burned)
        return "not void"
    assert not over
    assert fate is None or not fate.burned
    kept = world.budgets[one.organisation_id]
    kept[kept.index(one)] = done
    return "void"


def budget(
    node: int,
    amount: str,
    key: str,
    start: datetime | None = None,
    end: datetime | None = None,
    priority: int = 0,
) -> BudgetRequest:
    terms = Terms(start, end, priority)
    return BudgetRequest(node, credits_of(amount), "because", "ada", key, terms)


@pytest.mark.parametrize("seed", [1, 2])
async def test_balances_of_a_changing_tree_are_those_of_a_naive_program(
    core: Core, seed: int
) -> None:
    dice = random.Random(seed)
    first = await fill(core, dice)
    world = await make_world(core)
    done: Counter[str] = Counter()
    compared = 0
    for step in range(60):
        done[await say_something(core, world, dice, first)] += 1
        if step % 10 == 9:
            compared += await compare(core, world, dice, first)

    assert compared >= 10
    for what in ("place", "refused", "member", "budget", "void", "not void"):
        assert done[what] >= 1, (what, done)


async def compare(core: Core, world: World, dice: random.Random, first: datetime) -> int:
    nodes = range(1, len(ORGANISATIONS) + 1)
    begin = first + dice.randrange(DAYS * 24) * HOUR
    end = begin + dice.randrange(1, 900) * HOUR
    async with snapshot(core.pool) as conn:
        found = await read_budget_balances(conn, nodes)
        sums = {
            node: [(one.part, one.project_id, to_micro(one.credits))
                   for one in await sum_usage(conn, node, Period(begin, end), own=False)]
            for node in nodes
        }  # fmt: skip
        balances = await read_balances(conn, sorted(world.used))
        can_use = await usable(conn, balances)
        paths = await organisations.path_of(conn, sorted(world.used), world.now)
    for node in nodes:
        account = world.account(node)
        shown = found.get(node)
        assert (account is None) == (shown is None), node
        if account and shown:
            assert account.balance == to_micro(shown.balance), node
            fates = {
                state.lot.id: burn_oracle.Fate(
                    state.burned_micro, state.expired_micro, state.left_micro
                )
                for state in shown.burned.states
            }
            assert account.fates == fates
        whole = sum(world.beneath(node, begin, end).values())
        assert whole == sum(micro for _, _, micro in sums[node])
        assert_parts(world, node, begin, end, sums[node])
    for project in world.used:
        way = world.way(project, world.now)
        assert way == paths.get(project, [])
        limits = [world.account(node) for node in way]
        least = [account.balance for account in limits if account is not None]
        own = to_micro(balances[project].current)  # nobody was granted anything
        assert min(least, default=own) == to_micro(can_use[project].amount)
        assert len(least) == len(can_use[project].levels)
    return len(found)


def assert_parts(
    world: World,
    node: int,
    begin: datetime,
    end: datetime,
    found: Iterable[tuple[int | None, int, int]],
) -> None:
    """Hold each line against the hours of its project that came through its part."""
    expected: Counter[tuple[int | None, int]] = Counter()
    for project, by_hour in world.used.items():
        for hour, micro in by_hour.items():
            way = world.way(project, hour)
            if begin <= hour < end and node in way:
                place = way.index(node)
                expected[way[place - 1] if place else None, project] += micro
    assert {key: micro for key, micro in expected.items() if micro} == {
        (part, project): micro for part, project, micro in found
    }


async def test_a_sum_of_a_day_or_month_that_is_wrong_is_found(
    core: Core, owner_database_url: str
) -> None:
    await fill(core, random.Random(5))
    one = (
        "(project_id, length, start) = (SELECT project_id, length, start FROM booked_usage"
        " WHERE length = $1 AND amount <> 0 ORDER BY start DESC LIMIT 1)"
    )
    changes = (
        f"UPDATE booked_usage SET amount = amount + 0.000001 WHERE {one}",
        f"DELETE FROM booked_usage WHERE {one}",
        f"UPDATE booked_usage SET start = start - interval '10 years' WHERE {one}",
    )
    pool = await open_pool(owner_database_url, connections_max=1, statement_timeout_seconds=30)
    try:
        for change, length in product(changes, ("day", "month")):
            async with previewed(pool, preview=True) as conn:
                assert "0" != (await conn.execute(change, length)).split()[1]
                findings = Findings()
                await recompute(conn, findings, WINDOW_MS, None, lambda _progress: None)
            assert {Layer.BALANCES} == set(findings.first)
            assert f"booked usage of a {length}" == findings.first[Layer.BALANCES].what
    finally:
        await pool.close()


async def test_nobody_but_the_trigger_writes_the_sums(core: Core) -> None:
    async with connection(core.pool) as conn:
        for change in ("DELETE FROM booked_usage", "UPDATE booked_usage SET amount = 0"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await conn.execute(change)


async def test_own_projects_are_summed_alone_if_asked(core: Core) -> None:
    first = await fill(core, random.Random(3))
    world = await make_world(core)
    start, period = first - 24 * HOUR, Period(first, first + 900 * HOUR)
    ids = sorted(world.used)
    await place_organisation(core.pool, PlaceRequest(2, 1, start, "founded", "ada"))
    await place_project(core.pool, MembershipRequest(ids[0], "a", start, "new", "ada"))
    await place_project(core.pool, MembershipRequest(ids[1], "b", start, "new", "ada"))

    async with snapshot(core.pool) as conn:
        all_of_it = await sum_usage(conn, 1, period, own=False)
        own = await sum_usage(conn, 1, period, own=True)

    assert [(None, ids[0]), (2, ids[1])] == [(one.part, one.project_id) for one in all_of_it]
    assert [all_of_it[0]] == own


async def test_of_two_places_that_close_a_ring_at_once_one_is_refused(core: Core) -> None:
    """A hangs itself on B while B hangs itself on A, in overlapping hours, again and again."""
    hour = floor_hour(from_ms(await core.now_ms()))
    for name in ORGANISATIONS:
        await create_organisation(core.pool, name)
    for attempt in range(20):
        one, other = 1 + attempt % 3, 4 + attempt % 3
        start = hour + 10 * attempt * HOUR
        results = await asyncio.gather(
            place_organisation(core.pool, PlaceRequest(one, other, start, "x", "ada")),
            place_organisation(core.pool, PlaceRequest(other, one, start + 3 * HOUR, "x", "bob")),
            return_exceptions=True,
        )
        refused = [result for result in results if isinstance(result, Conflict)]
        assert 1 == len(refused), results
        assert "beneath itself" in str(refused[0])
        for node in (one, other):
            await place_organisation(
                core.pool, PlaceRequest(node, None, start + 9 * HOUR, "undone", "ada")
            )


async def test_twenty_who_say_the_same_place_at_once_store_one_revision(core: Core) -> None:
    hour = floor_hour(from_ms(await core.now_ms()))
    for name in ("a", "b"):
        await create_organisation(core.pool, name)

    request = PlaceRequest(1, 2, hour, "because", "ada")
    said = await asyncio.gather(*(place_organisation(core.pool, request) for _ in range(20)))

    assert 1 == sum(is_new for _, is_new in said)
    async with connection(core.pool) as conn:
        assert 1 == await conn.fetchval("SELECT count(*) FROM organisation_place")


async def test_twenty_with_one_key_give_one_budget_and_other_content_is_refused(
    core: Core,
) -> None:
    await create_organisation(core.pool, "a")

    given = await asyncio.gather(
        *(give_budget(core.pool, budget(1, "100", "once")) for _ in range(20))
    )

    assert 1 == sum(is_new for _, is_new in given)
    assert 1 == len({one.id for one, _ in given})
    for other in (
        budget(1, "100.000001", "once"),
        budget(1, "100", "once", priority=1),
        budget(1, "100", "once", end=given[0][0].valid_from + HOUR),
    ):
        with pytest.raises(Conflict, match="was used for something else"):
            await give_budget(core.pool, other)
    await create_organisation(core.pool, "b")
    with pytest.raises(Conflict, match="was used for something else"):
        await give_budget(core.pool, budget(2, "100", "once"))
    async with connection(core.pool) as conn:
        assert 1 == await conn.fetchval("SELECT count(*) FROM budget")


async def test_what_cannot_be_is_refused(core: Core) -> None:
    await create_organisation(core.pool, "a")
    hour = floor_hour(from_ms(await core.now_ms()))
    given, _ = await give_budget(core.pool, budget(1, "5", "k"))

    with pytest.raises(InvalidInput, match="amount: must be more than 0"):
        await give_budget(core.pool, budget(1, "0", "l"))
    with pytest.raises(InvalidInput, match="expires_at: must be to come"):
        await give_budget(core.pool, budget(1, "5", "l", end=hour - HOUR))
    within = PlaceRequest(1, None, hour + timedelta(minutes=1), "x", "ada")
    with pytest.raises(InvalidInput, match="valid_from"):
        await place_organisation(core.pool, within)
    with pytest.raises(Conflict, match="beneath itself"):
        await place_organisation(core.pool, PlaceRequest(1, 1, hour, "x", "ada"))
    with pytest.raises(NotFound, match="no budget 77"):
        await void_budget(core.pool, 1, 77, reason="x", author="ada")
    with pytest.raises(InvalidInput, match="name"):
        await create_organisation(core.pool, "a\nb")
    done = [
        (await void_budget(core.pool, 1, given.id, reason="x", author="ada"))[1] for _ in range(2)
    ]
    assert [True, False] == done


async def test_a_budget_that_starts_later_limits_nothing_before(core: Core) -> None:
    first = await fill(core, random.Random(4))
    world = await make_world(core)
    project = min(world.used)
    hour = floor_hour(world.now)
    await place_project(core.pool, MembershipRequest(project, "a", first, "new", "ada"))
    await give_budget(core.pool, budget(1, "7", "later", hour + 2 * HOUR))

    async def levels() -> Usable:
        async with snapshot(core.pool) as conn:
            return (await usable(conn, await read_balances(conn, [project])))[project]

    before = await levels()
    await give_budget(core.pool, budget(1, "7", "now", hour))
    after = await levels()

    own = -sum(world.used[project].values())
    assert ((), own) == (before.levels, to_micro(before.amount))
    [level] = after.levels
    burned = sum(micro for one, micro in world.used[project].items() if one >= hour)
    assert from_micro(7_000_000 - burned) == level.balance == after.amount
