"""Bills against a plain sum of charges: whatever level, range and grouping, to the last digit."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from os_credits.domain.amount import added, to_micro
from os_credits.domain.bill import By, Order, Subject
from os_credits.domain.organisation import Organisation
from os_credits.domain.period import HOUR, Period, floor_day
from os_credits.errors import InvalidInput, NotFound
from os_credits.flows.bill import Asked, BillRequest, find_subject, read_bill
from os_credits.flows.day_sums import sum_due_days
from os_credits.flows.prices import set_price
from os_credits.flows.retain import Kept, retain
from os_credits.rating.charge import units_of
from os_credits.store import bills, projects
from os_credits.store.pool import snapshot
from tests.core import ADMIN, Core, opened_core
from tests.integration.billed_world import DAYS, FILE, ORGANISATIONS, World, make_world, read_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from os_credits.domain.bill import Bill, BillGroup, BillLine
    from os_credits.domain.project import Project

METERS = {one.name: one for one in FILE.meters}
TRIES = 16


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


async def drop(world: World, *, days: int) -> None:
    """Drop samples and hourly usage that are older than some days; the rest stays.

    Usage without a price is never dropped, so it gets one.
    """
    await set_price(world.core.pool, meter="later", flavor=None, credits_per_unit=Decimal("0.5"),
                    valid_from=world.first, author="ada")  # fmt: skip
    await read_world(world)
    kept = Kept(timedelta(days=days), timedelta(days=days), announced_for=timedelta(0))
    await retain(world.core.rater, kept)
    while await retain(world.core.rater, kept):
        pass
    await sum_due_days(world.core.pool)
    async with snapshot(world.core.pool) as conn:
        world.dropped = await conn.fetchval("SELECT usage_dropped_until FROM retention")
        assert await conn.fetchval("SELECT count(*) FROM daily_charge") > 0


def group_of(group: BillGroup, by: By) -> Any:
    match by:
        case By.PART:
            return group.organisation.id if group.organisation else 0
        case By.PROJECT:
            return group.project.id if group.project else None
        case By.METER:
            return group.meter
        case By.RESOURCE:
            return group.resource
    return group.start


def credits_by_line(bill: Bill) -> dict[tuple[Any, str, str], tuple[int, int | None]]:
    return {
        (group_of(group, bill.by), line.meter, line.flavor or ""): (
            to_micro(line.credits),
            None if line.open is None else to_micro(line.open),
        )
        for group in bill.groups
        for line in group.lines
    }


def quantities_by_line(bill: Bill) -> dict[tuple[Any, str, str], tuple[str | None, str]]:
    return {
        (group_of(group, bill.by), line.meter, line.flavor or ""): (
            None if line.quantity is None else f"{line.quantity:f}",
            f"{line.unpriced:f}",
        )
        for group in bill.groups
        for line in group.lines
    }


def in_units(
    measured: dict[tuple[Any, str, str], tuple[int, int]],
) -> dict[tuple[Any, str, str], tuple[str, str]]:
    return {
        (group, meter, flavor): (
            units_of(priced, METERS[meter]),
            units_of(unpriced, METERS[meter]),
        )
        for (group, meter, flavor), (priced, unpriced) in measured.items()
    }


def assert_adds_up(bill: Bill) -> None:
    assert bill.credits == added(*(group.credits for group in bill.groups))
    assert bill.credits == added(*(line.credits for line in bill.lines))
    by_meter: dict[tuple[str, str | None], list[Decimal]] = {}
    for group in bill.groups:
        for line in group.lines:
            by_meter.setdefault((line.meter, line.flavor), []).append(line.credits)
    assert {key: added(*parts) for key, parts in by_meter.items()} == {
        (line.meter, line.flavor): line.credits for line in bill.lines
    }
    if bill.open is not None and bill.by is not By.RESOURCE:
        assert bill.open == added(*(group.open or Decimal(0) for group in bill.groups))


def without_nothing(sums: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    return {key: value for key, value in sums if any(value)}


def some_period(world: World, dice: random.Random) -> Period:
    """Choose hours, days or whole months, in and around the time in which things happened."""
    first, hours = world.first - timedelta(days=2), (DAYS + 4) * 24
    start, end = sorted(dice.sample(range(hours), 2))
    moments = [first + start * HOUR, first + end * HOUR]
    match dice.randrange(3):
        case 0:
            moments = [floor_day(one) for one in moments]
        case 1:
            moments = [floor_day(one).replace(day=1) for one in moments]
    if moments[0] == moments[1]:
        moments[1] += timedelta(days=31)
    return Period(moments[0], moments[1])


async def projects_of(world: World) -> list[Project]:
    async with snapshot(world.core.pool) as conn:
        return await projects.list_projects(conn, limit=100)


async def bill_of(world: World, subject: Subject, period: Period, by: By, **more: Any) -> Bill:
    async with snapshot(world.core.pool) as conn:
        return await read_bill(conn, BillRequest(subject, period, by, **more))


@pytest.mark.parametrize("looked_up_max", [0, 2, 1000])
async def test_bills_of_organisations_are_plain_sums_of_charges(
    core: Core, monkeypatch: pytest.MonkeyPatch, looked_up_max: int
) -> None:
    """Hours of many projects are read together, those of few one by one: try both, and a mix."""
    monkeypatch.setattr(bills, "PROJECTS_BY_LOOKUP_MAX", looked_up_max)
    dice = random.Random(looked_up_max)
    world = await make_world(core, dice)
    found = await projects_of(world)
    nodes = {number: Organisation(number, name) for number, name in enumerate(ORGANISATIONS, 1)}
    for attempt in range(TRIES):
        if attempt == TRIES // 2:
            await drop(world, days=12)
        node, period = dice.choice(list(nodes.values())), some_period(world, dice)
        by = dice.choice([By.PART, By.PROJECT, By.METER, By.DAY, By.MONTH])
        seen = dice.choice([None, {one.id for one in dice.sample(found, 2)}])

        bill = await bill_of(world, Subject(organisation=node), period, by, visible=seen)

        what: dict[str, Any] = {"node": node.id, "project": None, "seen": seen}
        used = world.used(by, period.start, period.end, **what)
        measured = world.measured(by, period.start, period.end, **what)
        assert_adds_up(bill)
        assert without_nothing(used.items()) == without_nothing(credits_by_line(bill).items())
        compare_quantities(world, period, quantities_by_line(bill), in_units(measured))
        # Usage without a price, or that costs nothing, has its lines as well.
        some = {key for key, steps in measured.items() if any(steps)}
        assert some <= credits_by_line(bill).keys()


def compare_quantities(
    world: World,
    period: Period,
    told: dict[tuple[Any, str, str], tuple[str | None, str]],
    expected: dict[tuple[Any, str, str], tuple[str, str]],
) -> None:
    """Hold quantities against what was measured; None is allowed once hours were dropped."""
    for key, (quantity, unpriced) in told.items():
        assert unpriced == expected.get(key, ("0", "0"))[1]
        if quantity is None:
            assert world.dropped is not None or key not in expected
            assert world.dropped is None or period.start < world.dropped
        else:
            assert quantity == expected[key][0]


@pytest.mark.parametrize("seed", [3])
async def test_bills_of_projects_and_resources_are_plain_sums_of_charges(
    core: Core, seed: int
) -> None:
    dice = random.Random(seed)
    world = await make_world(core, dice)
    found = await projects_of(world)
    for attempt in range(TRIES):
        if attempt == TRIES // 2:
            await drop(world, days=12)
        project, period = dice.choice(found), some_period(world, dice)
        subject = Subject(project=project)
        what: dict[str, Any] = {"node": None, "project": project.id, "seen": None}
        span = (period.start, period.end)

        by = dice.choice([By.METER, By.DAY, By.MONTH])
        bill = await bill_of(world, subject, period, by, with_account=True)
        assert_adds_up(bill)
        used = world.used(by, *span, **what)
        assert without_nothing(used.items()) == without_nothing(credits_by_line(bill).items())
        measured = in_units(world.measured(by, *span, **what))
        compare_quantities(world, period, quantities_by_line(bill), measured)
        assert bill.account is not None
        assert bill.account.used == bill.credits
        assert bill.account.closing == added(
            bill.account.opening, bill.account.given,
            -bill.account.taken, -bill.account.used,
        )  # fmt: skip

        by_resource = await bill_of(world, subject, period, By.RESOURCE)
        assert_adds_up(by_resource)
        assert (bill.credits, bill.open) == (by_resource.credits, by_resource.open)
        await check_resources(world, subject, period, by_resource)


async def check_resources(world: World, subject: Subject, period: Period, all_of: Bill) -> None:
    """Hold each resource's own bill against the project's by resources."""
    assert subject.project is not None
    is_cut = world.dropped is not None and any(
        one < world.dropped and floor_day(one) != one for one in (period.start, period.end)
    )
    assert is_cut or None not in {group.resource for group in all_of.groups}
    for group in all_of.groups:
        if group.resource is None:
            continue
        one = Subject(project=subject.project, resource=group.resource)
        if is_cut:
            with pytest.raises(InvalidInput, match="only whole days"):
                await bill_of(world, one, period, By.METER)
            continue
        own = [await bill_of(world, one, period, by) for by in (By.METER, By.DAY, By.MONTH)]
        for bill in own:
            assert_adds_up(bill)
            assert bill.credits == group.credits
            assert tuple(bill.lines) == group.lines
            measured = world.measured(
                bill.by, period.start, period.end, node=None, project=subject.project.id,
                seen=None, resource=group.resource,
            )  # fmt: skip
            assert quantities_by_line(bill) == {
                key: steps for key, steps in in_units(measured).items() if any(map(float, steps))
            }


async def test_bills_of_parts_add_up_to_the_whole_and_days_to_months(core: Core) -> None:
    world = await make_world(core, random.Random(5))
    period = Period(world.first, world.first + timedelta(days=DAYS + 1))
    whole = Subject(organisation=Organisation(1, "a"))
    by_part = await bill_of(world, whole, period, By.PART)
    parts = [group for group in by_part.groups if group.organisation is not None]
    assert len(parts) > 1

    days = [Period(day, day + timedelta(days=1)) for day in days_of(period)]
    of_days = [(await bill_of(world, whole, day, By.METER)).credits for day in days]
    by_day = await bill_of(world, whole, period, By.DAY, with_course=True)
    assert by_day.course is not None
    assert by_day.course.credits == tuple((one.start, one.credits) for one in by_day.groups)
    by_month = await bill_of(world, whole, period, By.MONTH)
    assert by_part.credits == added(*of_days) == by_day.credits == by_month.credits
    assert [one for one in of_days if one] == [one.credits for one in by_day.groups]
    # Where nothing moves, a part's own bill is the part of the whole's.
    hours = [Period(hour, hour + HOUR) for hour in (world.first + n * HOUR for n in range(48))]
    for hour in hours:
        of_hour = await bill_of(world, whole, hour, By.PART)
        for group in of_hour.groups:
            if group.organisation is not None:
                alone = await bill_of(
                    world, Subject(organisation=group.organisation), hour, By.METER
                )
                assert alone.credits == group.credits


def days_of(period: Period) -> list[datetime]:
    return [period.start + timedelta(days=n) for n in range((period.end - period.start).days)]


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("by", [By.PROJECT, By.DAY, By.PART])
async def test_pages_of_a_bill_are_the_bill(core: Core, order: Order, by: By) -> None:
    world = await make_world(core, random.Random(6))
    period = Period(world.first, world.first + timedelta(days=DAYS + 1))
    subject = Subject(organisation=Organisation(1, "a"))
    whole = await bill_of(world, subject, period, by, order=order)
    if order is Order.CREDITS:
        amounts = [group.credits for group in whole.groups]
        assert amounts == sorted(amounts, reverse=True)

    paged: list[BillGroup] = []
    after = None
    while True:
        page = await bill_of(world, subject, period, by, order=order, after=after, limit=3)
        assert (whole.lines, whole.credits) == (page.lines, page.credits)
        paged += page.groups
        after = page.next
        if after is None:
            break
        assert len(page.groups) == 3

    assert list(whole.groups) == paged
    assert len(paged) > 3 or by is By.PART


async def test_pages_of_resources_are_the_bill(core: Core) -> None:
    world = await make_world(core, random.Random(7))
    period = Period(world.first, world.first + timedelta(days=DAYS + 1))
    subject = Subject(project=(await projects_of(world))[0])
    whole = await bill_of(world, subject, period, By.RESOURCE, order=Order.CREDITS)
    first = await bill_of(world, subject, period, By.RESOURCE, order=Order.CREDITS, limit=1)
    assert first.next is not None
    second = await bill_of(
        world, subject, period, By.RESOURCE, order=Order.CREDITS, limit=1, after=first.next
    )

    assert whole.groups == (*first.groups, *second.groups)
    assert second.next is None


async def test_too_many_hours_are_billed_without_quantities_but_name_what_has_no_price(
    core: Core,
) -> None:
    world = await make_world(core, random.Random(8))
    period = Period(world.first, world.first + timedelta(days=DAYS + 1))
    subject = Subject(organisation=Organisation(1, "a"))
    whole = await bill_of(world, subject, period, By.METER)
    quick = await bill_of(world, subject, period, By.METER, hours_max=10)

    assert (True, False) == (whole.has_quantities, quick.has_quantities)
    assert {line.meter: line.unpriced for line in whole.lines if line.unpriced} == {
        line.meter: line.unpriced for line in quick.lines if line.unpriced
    }
    assert {"later"} == {line.meter for line in quick.lines if line.unpriced}
    assert all(line.quantity is None for line in quick.lines)
    assert {line.meter for line in quick.lines} == {"later", "server", "vcpu"}
    priced = [line.credits for line in whole.lines if line.credits]
    assert priced == [line.credits for line in quick.lines if line.credits]


async def test_a_unit_price_is_told_where_one_held_throughout(core: Core) -> None:
    world = await make_world(core, random.Random(9))
    subject = Subject(project=(await projects_of(world))[0])
    end = world.first + timedelta(days=DAYS + 1)

    def prices(lines: Iterable[BillLine]) -> dict[tuple[str, str | None], tuple[Any, int]]:
        return {
            (one.meter, one.flavor): (one.price.credits_per_unit, one.price.count) for one in lines
        }

    whole = await bill_of(world, subject, Period(world.first, end), By.METER)
    early = Period(world.first, world.first + timedelta(days=10))
    before = await bill_of(world, subject, early, By.METER)

    assert (None, 2) == prices(whole.lines)["vcpu", None]
    assert (Decimal("0.7"), 1) == prices(before.lines)["vcpu", None]
    assert (Decimal("1.1"), 1) == prices(whole.lines)["server", "large"]
    assert (Decimal(0), 1) == prices(whole.lines)["free", None]
    assert (None, 0) == prices(whole.lines)["later", None]


async def test_a_resource_that_was_never_named_is_unknown(core: Core) -> None:
    world = await make_world(core, random.Random(10))
    project = (await projects_of(world))[0]
    async with snapshot(core.pool) as conn:
        for name in ("s1", "s3", "", "s1\0"):
            asked = Asked(project=f"#{project.id}", resource=name)
            if name == "s1":
                subject = await find_subject(conn, ADMIN, asked, may_see=lambda _: True)
                assert Subject(project=project, resource="s1") == subject
                continue
            with pytest.raises(NotFound, match="no resource"):
                await find_subject(conn, ADMIN, asked, may_see=lambda _: True)
