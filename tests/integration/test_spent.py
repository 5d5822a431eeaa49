"""Where credits went: every level adds up to the one above, to the last digit, at any age."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.amount import added, from_micro, to_micro
from os_credits.domain.period import floor_day
from os_credits.errors import NotFound
from os_credits.flows.day_sums import sum_due_days
from os_credits.flows.prices import set_price
from os_credits.flows.resources import (
    Asked,
    ResourceSort,
    ResourceState,
    read_resource,
    read_resources,
)
from os_credits.flows.retain import Kept, retain
from os_credits.flows.spent import read_spent
from os_credits.store.balances import read_balances
from os_credits.store.pool import connection, snapshot
from os_credits.store.projects import list_projects_by_id
from os_credits.web.history import Asked as Time
from os_credits.web.history import read_facts
from os_credits.web.span import floor_step
from tests.core import Core, opened_core
from tests.integration.billed_world import DAYS, FILE, World, make_world, read_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from os_credits.flows.spent import StepName

DAY = timedelta(days=1)


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


async def drop(world: World, *, days: int) -> None:
    """Drop hours that are older than some days; usage without a price gets one before."""
    await set_price(world.core.pool, meter="later", flavor=None, credits_per_unit=Decimal("0.5"),
                    valid_from=world.first, author="ada")  # fmt: skip
    await read_world(world)
    kept = Kept(timedelta(days=days), timedelta(days=days), announced_for=timedelta(0))
    await retain(world.core.rater, kept)
    while await retain(world.core.rater, kept):
        pass
    await sum_due_days(world.core.pool)
    async with connection(world.core.pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM daily_charge") > 0


def charged(world: World, project: int, start: datetime, end: datetime) -> int:
    return sum(
        micro for of, hour, _, _, micro, _ in world.charges if of == project and start <= hour < end
    )


async def check_period(
    world: World, project: int, start: datetime, end: datetime, by: StepName
) -> None:
    """Compare a period with a plain sum of all its hours, and its tables with each other."""
    async with snapshot(world.core.pool) as conn:
        told = await read_spent(conn, project, start=start, end=end, by=by)
    steps: dict[datetime, int] = defaultdict(int)
    items: dict[tuple[str, str], int] = defaultdict(int)
    for of, hour, meter, flavor, micro, _ in world.charges:
        if of == project and start <= hour < end:
            steps[hour if by == "hour" else floor_step(hour, by)] += micro
            items[meter, flavor] += micro

    assert to_micro(told.credits) == charged(world, project, start, end)
    assert {one.start: to_micro(one.credits) for one in told.steps if one.credits} == {
        moment: micro for moment, micro in steps.items() if micro
    }
    assert {(one.meter.name, one.flavor): to_micro(one.credits) for one in told.items} == {
        key: micro for key, micro in items.items() if micro
    }
    assert added(*(one.credits for one in told.resources), told.opened) == told.credits


async def check_levels(world: World, dice: random.Random) -> None:
    today = floor_day(world.now)
    for project in sorted({one[0] for one in world.charges}):
        await check_period(world, project, world.first - DAY, today + DAY, "month")
        for _ in range(6):
            first = world.first + dice.randrange(DAYS) * DAY
            await check_period(world, project, first, first + DAY, "hour")
            last = first + dice.randrange(1, DAYS) * DAY
            await check_period(world, project, first, last, "day")


async def check_resources(world: World) -> None:
    """Check that resources cost together what the project used, however they are listed."""
    for project in sorted({one[0] for one in world.charges}):
        async with snapshot(world.core.pool) as conn:
            balance = (await read_balances(conn, [project]))[project]
            told = await read_resources(conn, project, Asked(limit=500))
            by_name = await read_resources(
                conn, project, Asked(sort=ResourceSort.NAME, descending=False, limit=500)
            )
        assert added(*(one.credits for one in told.rows)) == balance.used == told.total.credits
        assert added(*(one.recent for one in told.rows)) == told.total.recent
        assert to_micro(told.total.recent) == charged(
            world, project, floor_day(world.now) - 29 * DAY, world.now + DAY
        )
        assert {one.series_id: one.credits for one in by_name.rows} == {
            one.series_id: one.credits for one in told.rows
        }
        assert [one.name for one in by_name.rows] == sorted(one.name for one in by_name.rows)
        recents = [one.recent for one in told.rows]
        assert recents == sorted(recents, reverse=True)


@pytest.mark.parametrize("seed", range(2))
async def test_every_level_adds_up_with_and_without_hours(core: Core, seed: int) -> None:
    dice = random.Random(seed)
    world = await make_world(core, dice)

    await check_levels(world, dice)
    await check_resources(world)

    await drop(world, days=12)
    await check_levels(world, dice)
    await check_resources(world)


async def test_a_resource_tells_its_steps_flavors_and_labels(core: Core) -> None:
    world = await make_world(core, random.Random(7))
    await drop(world, days=12)
    project = world.charges[0][0]
    start, end = world.first - DAY, floor_day(world.now) + DAY

    async with snapshot(core.pool) as conn:
        listed = await read_resources(conn, project, Asked(limit=500))
        [server] = [one for one in listed.rows if (one.name, one.meter.name) == ("s1", "server")]
        told = await read_resource(conn, project, server.series_id, start=start, end=end, by="day")
        with pytest.raises(NotFound):
            await read_resource(conn, project + 1, server.series_id, start=start, end=end, by="day")

    assert added(*(one.credits for one in told.steps)) == server.credits
    assert added(*(one.credits for one in told.times)) == server.credits
    assert [told.flavors[one.flavor_id] for one in told.times] == ["large", "small"]
    assert {one.labels["flavor"] for one in told.labels} == {"small", "large"}
    assert server.flavor == "large"
    assert server.first_seen < world.first + 5 * DAY
    assert server.last_seen >= told.times[0].last


async def test_pages_of_resources_hold_each_of_them_once(core: Core) -> None:
    world = await make_world(core, random.Random(3))
    project = world.charges[0][0]
    for sort in ResourceSort:
        seen: list[int] = []
        async with snapshot(core.pool) as conn:
            everything = await read_resources(conn, project, Asked(sort=sort, limit=500))
            after: int | None = 0
            while after is not None:
                part = await read_resources(conn, project, Asked(sort=sort, after=after, limit=3))
                seen += [one.series_id for one in part.rows]
                after = part.next
        assert seen == [one.series_id for one in everything.rows]
        assert len(seen) == everything.shown_count == sum(everything.counts.values())


async def test_the_last_sample_tells_what_became_of_a_resource(core: Core) -> None:
    now = await core.now_ms()
    labels = {"__name__": "vcpu", "project": "one"}
    await core.push(
        [
            *(({**labels, "server": "runs"}, now - ago, 100.0 - ago / 1e6) for ago in (60_000, 0)),
            *(
                ({**labels, "server": "ran"}, now - ago, 100.0 - ago / 1e6)
                for ago in (7_300_000, 7_200_000)
            ),
        ]
    )
    await core.rate()

    async with snapshot(core.pool) as conn:
        project = await conn.fetchval("SELECT id FROM project WHERE external_id = 'one'")
        told = await read_resources(conn, project, Asked())
        running = await read_resources(conn, project, Asked(is_running=True))

    assert {one.name: one.state for one in told.rows} == {
        "runs": ResourceState.RUNNING,
        "ran": ResourceState.GONE,
    }
    assert [one.name for one in running.rows] == ["runs"]
    assert running.counts == told.counts


async def test_a_time_that_has_passed_ends_with_what_was_left_then(core: Core) -> None:
    world = await make_world(core, random.Random(5))
    project_id = world.charges[0][0]
    until = world.first + 20 * DAY
    asked = Time(None, world.first.date().isoformat(), (until - DAY).date().isoformat())

    async with snapshot(core.pool) as conn:
        [project] = await list_projects_by_id(conn, [project_id])
        facts = await read_facts(conn, project, asked)

    assert facts.left == from_micro(-charged(world, project_id, world.first - DAY, until))
    assert to_micro(added(*(one.credits for one in facts.charges))) == charged(
        world, project_id, world.first, until
    )
