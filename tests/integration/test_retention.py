"""Old samples and usage are dropped without changing a credit, and no replay is ever billed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.period import HOUR_MS, floor_day, from_ms, to_ms
from os_credits.domain.settlement import Verdict
from os_credits.domain.usage import UsageKind
from os_credits.errors import InvalidInput, Unavailable
from os_credits.flows.exclusions import ExclusionRequest, exclude
from os_credits.flows.prices import set_price
from os_credits.flows.retain import Kept, retain
from os_credits.flows.revise import revise
from os_credits.flows.settle import SettlementRequest, settle
from os_credits.store.batches import BatchColumns, insert_batch
from os_credits.store.pool import connection, snapshot, transaction
from tests.core import WINDOW_MS, new_core, opened_core
from tests.integration.changing_inputs import (
    FILE,
    base_hour,
    booked,
    by_hour,
    entries,
    minutes,
    project_id,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.core import Core

DAY_HOURS = 24
AT_ONCE = timedelta(seconds=-1)


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    """Give one copy of the service."""
    async with opened_core(database_url, FILE) as one:
        yield one


def kept(samples: timedelta | None = None, usage: timedelta | None = None) -> Kept:
    return Kept(samples, usage, announced_for=timedelta(0))


async def drop(core: Core, *, samples: timedelta, usage: timedelta | None = None) -> int:
    """Let retention do all its steps; gives how many."""
    steps = 0
    await retain(core.rater, kept(samples, usage))
    while await retain(core.rater, kept(samples, usage)):
        steps += 1
    return steps


async def count(core: Core, table: str) -> int:
    async with connection(core.pool) as conn:
        return int(await conn.fetchval(f"SELECT count(*) FROM {table}"))


async def a_month(core: Core) -> int:
    """Push some samples of every second day of a month, on both meters; gives the first hour."""
    base = to_ms(floor_day(from_ms(await base_hour(core, hours_ago=30 * DAY_HOURS))))
    for day in range(0, 30, 2):
        start = base + day * DAY_HOURS * HOUR_MS
        await core.push(
            [
                *minutes(start, (0, day), (20, 2), (30, 0)),
                *minutes(start, (0, 2 * day), (30, 2 * day + 1), meter="total"),
            ]
        )
    await core.rate()
    return base


async def test_dropping_samples_changes_no_credit(core: Core) -> None:
    base = await a_month(core)
    before = await booked(core, grace=AT_ONCE)
    samples = await count(core, "sample")

    steps = await drop(core, samples=timedelta(days=10))

    assert 10 <= steps <= 11  # days that have samples
    assert 4 == await count(core, "sample_floor")
    assert samples - 4 > await count(core, "sample") > 0
    assert before == await booked(core, grace=AT_ONCE)
    assert 0 == await drop(core, samples=timedelta(days=10))
    assert {} != await by_hour(core, base)


async def test_after_the_drop_a_replay_is_refused_and_never_billed(core: Core) -> None:
    base = await a_month(core)
    before = await booked(core, grace=AT_ONCE)
    await drop(core, samples=timedelta(days=10))
    old = [
        *minutes(base, (0, 0), (20, 2), (30, 0), (40, 99)),
        *minutes(base, (9, 5), meter="total"),
    ]

    receipt = await core.push(old)

    assert (0, 5) == (receipt.accepted, sum(one.sample_count for one in receipt.rejected))
    assert "no longer kept" in receipt.rejected[0].reason
    assert before == await booked(core, grace=AT_ONCE)


async def test_an_old_batch_that_was_judged_before_is_not_billed_either(core: Core) -> None:
    base = await a_month(core)
    before = await booked(core, grace=AT_ONCE)
    await drop(core, samples=timedelta(days=10))
    async with transaction(core.pool) as conn:
        label_set_ids = await conn.fetch("SELECT id FROM label_set ORDER BY id")
        await insert_batch(
            conn,
            BatchColumns(
                label_set_ids=np.array([row["id"] for row in label_set_ids], np.int64),
                times_ms=np.full(len(label_set_ids), base + 60_000, np.int64),
                values=np.full(len(label_set_ids), 77.0),
            ),
        )

    assert before == await booked(core, grace=AT_ONCE)
    assert len(label_set_ids) == core.stats.excluded_samples


async def test_the_next_sample_finds_its_neighbours_in_the_floor(core: Core) -> None:
    base = await base_hour(core, hours_ago=5 * DAY_HOURS)
    await core.push(minutes(base, (0, 10), (5, 9), meter="total"))
    await core.rate()
    await drop(core, samples=timedelta(days=2))
    assert (0, 2) == (await count(core, "sample"), await count(core, "sample_floor"))

    # Late, between the floor and what comes after; by another copy, which remembers nothing.
    now_hour = await base_hour(core, hours_ago=30)
    other = new_core(core.pool)
    await other.push(minutes(now_hour, (30, 13), meter="total"))
    await other.rate()
    await core.push(minutes(now_hour, (0, 12), meter="total"))
    await core.rate()

    # 12 - 10 and 13 - 12, at 2 credits; the larger of the two values before is the floor's 10.
    assert 6_000_000 == sum((await by_hour(core, base, meter="total")).values())


async def test_what_waits_is_rated_before_anything_is_dropped(core: Core) -> None:
    base = await base_hour(core, hours_ago=5 * DAY_HOURS)
    await core.push(minutes(base, (0, 6), (20, 0)))

    await drop(core, samples=timedelta(days=2))

    assert {0: 2_000_000} == await by_hour(core, base)
    assert 0 == await count(core, "batch")


async def test_samples_are_refused_for_a_while_before_they_are_dropped(core: Core) -> None:
    base = await base_hour(core, hours_ago=5 * DAY_HOURS)
    await core.push(minutes(base, (0, 6), (20, 0)))
    slow = Kept(timedelta(days=2), None, announced_for=timedelta(hours=1))

    for _ in range(3):
        assert 0 == await retain(core.rater, slow)

    await core.rate()
    assert 2 == await count(core, "sample")
    assert 0 == (await core.push(minutes(base, (10, 3)))).accepted


async def test_dropped_usage_leaves_daily_sums_and_the_same_account(core: Core) -> None:
    base = await a_month(core)
    before = await booked(core, grace=AT_ONCE)
    charged = await by_hour(core, base), await by_hour(core, base, meter="total")

    await drop(core, samples=timedelta(days=5), usage=timedelta(days=12))

    async with connection(core.pool) as conn:
        until, daily, hourly = await conn.fetchrow(  # type: ignore[misc]
            """
            SELECT usage_dropped_until, (SELECT sum(credits) FROM daily_charge),
                   (SELECT sum(charged) FROM charge, retention WHERE hour < usage_dropped_until)
            FROM retention
            """
        )
        first = await conn.fetchval("SELECT min(hour) FROM usage")
    assert until > from_ms(base)
    assert first >= until
    assert daily == hourly > 0
    assert charged == (await by_hour(core, base), await by_hour(core, base, meter="total"))
    assert before == await booked(core, grace=AT_ONCE)


async def test_a_long_reader_is_not_waited_for(core: Core) -> None:
    await a_month(core)
    samples = await count(core, "sample")
    async with snapshot(core.pool) as reader:
        assert samples == await reader.fetchval("SELECT count(*) FROM sample")
        await retain(core.rater, kept(timedelta(days=10)))
        with pytest.raises(Unavailable, match="LockNotAvailable"):
            await retain(core.rater, kept(timedelta(days=10)))

    assert samples == await count(core, "sample")
    assert 1 == await retain(core.rater, kept(timedelta(days=10)))


async def test_usage_without_a_price_is_kept_until_it_has_one(core: Core) -> None:
    await a_month(core)
    async with connection(core.pool) as conn:
        start = await conn.fetchval("SELECT min(hour) FROM usage")
    await set_price(
        core.pool, meter="total", flavor=None, credits_per_unit=None, valid_from=start, author="op"
    )
    rows = await count(core, "usage")

    await drop(core, samples=timedelta(days=5), usage=timedelta(days=12))
    assert rows == await count(core, "usage")

    await set_price(
        core.pool, meter="total", flavor=None, credits_per_unit=credits_of("2"), valid_from=start,
        author="op",
    )  # fmt: skip
    await drop(core, samples=timedelta(days=5), usage=timedelta(days=12))
    assert rows > await count(core, "usage")


async def test_inputs_cannot_reach_back_into_what_was_dropped(core: Core) -> None:
    base = await a_month(core)
    await booked(core, grace=AT_ONCE)
    await drop(core, samples=timedelta(days=5), usage=timedelta(days=12))
    before = await entries(core)
    project, first = await project_id(core), from_ms(base)
    late = first + timedelta(days=29)

    with pytest.raises(InvalidInput, match="no price may start before"):
        await set_price(
            core.pool, meter="total", flavor=None, credits_per_unit=credits_of("9"),
            valid_from=first, author="op",
        )  # fmt: skip
    for start in (first, None):
        with pytest.raises(InvalidInput, match="no longer kept"):
            await exclude(
                core.pool,
                ExclusionRequest(project, "x", "op", starts_at=start, ends_at=late),
                window_ms=WINDOW_MS,
            )
    with pytest.raises(InvalidInput, match="no longer kept"):
        await revise(
            core.pool, meter="level", changes={"max_gap_seconds": 60}, valid_from=first,
            reason="x", author="op", window_ms=WINDOW_MS,
        )  # fmt: skip
    with pytest.raises(InvalidInput, match="no longer kept"):
        await settle(
            core.pool,
            SettlementRequest(project, UsageKind.UNMETERED, first, late, Verdict.BILL, "x", "op"),
        )
    assert before == await booked(core, grace=AT_ONCE)
