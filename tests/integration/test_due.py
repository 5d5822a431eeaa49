"""Booking and time that passes take the lock of all rating only where there is something to do."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.allowance import AllowanceRequest
from os_credits.domain.amount import credits_of
from os_credits.domain.grant import GrantRequest, Terms
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import HOUR, from_ms, to_ms
from os_credits.domain.project import ProjectKey
from os_credits.flows.accounts import instruct
from os_credits.flows.book import book_if_due
from os_credits.flows.lots import pass_time_if_due
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.projects import create_project
from os_credits.store import rating_state
from os_credits.store.pool import connection, transaction
from tests.core import WATCH, Core, opened_core
from tests.frozen_clock import freeze

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from os_credits.domain.instruction import Instruction

GRACE = timedelta(minutes=15)
# Within an hour whose predecessor is closed, and far from the end of a month.
NOW = datetime(2026, 11, 10, 12, 30, tzinfo=UTC)
FILE = MeterFile(
    (MeterDefinition(name="vcpu", metric="vcpu", kind="counter", unit="h", project_id="p"),),
    (FilePrice("vcpu", None, Decimal(1)),),
)


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    """Give a copy at whose database's clock it is `NOW`, with all hours closed that can be."""
    freeze(database_url, NOW)
    async with opened_core(database_url, FILE) as opened:
        # Its clock is not that of the ones who check.
        opened.leaves_a_mess = True
        await opened.book()
        yield opened


@asynccontextmanager
async def later(core: Core, database_url: str, by: timedelta) -> AsyncIterator[Core]:
    """Give a copy for which time has passed."""
    freeze(database_url, NOW + by)
    async with opened_core(database_url, FILE) as opened:
        opened.leaves_a_mess = True
        yield opened


async def books(core: Core) -> int:
    return await book_if_due(core.pool, core.rater, core.stats, grace=GRACE)


async def passes(core: Core) -> int:
    return await pass_time_if_due(core.pool, core.rater, WATCH)


async def in_spite_of_a_lock(core: Core, done: Callable[[Core], Awaitable[int]]) -> int:
    """Do it while another copy has the lock and does not give it back."""
    async with transaction(core.pool) as other:
        await rating_state.lock(other)
        async with asyncio.timeout(5):
            return await done(core)


async def waits_for_the_lock(core: Core, done: Callable[[Core], Awaitable[int]]) -> int:
    """See that it waits for another copy, and give what it does after that."""
    async with transaction(core.pool) as other:
        await rating_state.lock(other)
        task = asyncio.ensure_future(done(core))
        async with asyncio.timeout(10):
            while not await other.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted"
                " AND transactionid = pg_current_xact_id()::xid"
            ):
                assert not task.done()
                await asyncio.sleep(0.01)
    return await task


async def project(core: Core) -> int:
    found, _ = await create_project(core.pool, ProjectKey("", "p1", "", "p1"))
    return found.id


async def tell(core: Core, instruction: Instruction) -> None:
    await instruct(core.pool, instruction, WATCH)


async def give(core: Core, *, start: datetime | None = None, end: datetime | None = None) -> int:
    project_id = await project(core)
    terms = Terms(start, end)
    await tell(core, GrantRequest(project_id, credits_of("10"), "r", "ada", "key", terms))
    return project_id


async def use(core: Core, hour: datetime) -> None:
    labels = {"__name__": "vcpu", "p": "p1"}
    await core.push([(labels, to_ms(hour), 1.0), (labels, to_ms(hour) + 60_000, 4.0)])
    await core.rate()


async def age(core: Core, table: str) -> None:
    """Let what differs have been quiet for long enough."""
    async with connection(core.pool) as conn:
        await conn.execute(
            f"UPDATE {table} SET changed_at = hour - interval '1 day', differs_since = hour"
        )


async def kinds(core: Core) -> list[str]:
    async with connection(core.pool) as conn:
        rows = await conn.fetch("SELECT kind FROM entry ORDER BY sequence")
    return [row["kind"] for row in rows]


async def closed_until(core: Core) -> datetime:
    async with connection(core.pool) as conn:
        return await rating_state.read_closed_until(conn)


async def test_where_nothing_is_due_nobody_waits_for_the_lock(core: Core) -> None:
    await give(core, end=from_ms(to_ms(NOW) // 3_600_000 * 3_600_000) + HOUR)
    # Usage of the open hour waits, and a push that nobody has rated.
    await use(core, NOW.replace(minute=0))
    await core.push([({"__name__": "vcpu", "p": "p1"}, to_ms(NOW), 5.0)])

    assert 0 == await in_spite_of_a_lock(core, books)
    assert 0 == await in_spite_of_a_lock(core, passes)
    assert ["grant"] == await kinds(core)


async def test_an_hour_that_ends_is_closed(core: Core, database_url: str) -> None:
    assert NOW.replace(minute=0) == await closed_until(core)
    async with later(core, database_url, timedelta(minutes=44)) as soon:
        assert 0 == await in_spite_of_a_lock(soon, books)
    async with later(core, database_url, timedelta(minutes=45)) as then:
        assert 0 == await waits_for_the_lock(then, books)
        assert NOW.replace(minute=0) + HOUR == await closed_until(then)
        assert 0 == await in_spite_of_a_lock(then, books)


async def test_a_charge_that_is_due_is_booked(core: Core) -> None:
    await use(core, NOW.replace(minute=0) - 2 * HOUR)
    assert 0 == await in_spite_of_a_lock(core, books)  # late: it waits for quiet
    await age(core, "charge")

    assert 1 == await waits_for_the_lock(core, books)
    assert ["usage"] == await kinds(core)
    assert 0 == await in_spite_of_a_lock(core, books)


async def test_a_lot_starts_and_ends_and_what_is_left_of_it_is_booked(
    core: Core, database_url: str
) -> None:
    next_hour = NOW.replace(minute=0) + HOUR
    await give(core, start=next_hour, end=next_hour + HOUR)
    assert 0 == await in_spite_of_a_lock(core, passes)

    async with later(core, database_url, timedelta(minutes=30)) as begun:
        assert 1 == await waits_for_the_lock(begun, passes)
        assert ["grant"] == await kinds(begun)
        assert 0 == await in_spite_of_a_lock(begun, passes)
    async with later(core, database_url, timedelta(minutes=90)) as ended:
        assert 1 == await waits_for_the_lock(ended, passes)
        assert 0 == await in_spite_of_a_lock(ended, passes)
    async with later(core, database_url, timedelta(hours=3)) as closed:
        await books(closed)
        await age(closed, "expiry")
        await books(closed)
        assert ["grant", "expiry"] == await kinds(closed)
        assert 0 == await in_spite_of_a_lock(closed, books)


async def test_a_month_of_an_allowance_begins(core: Core, database_url: str) -> None:
    month = datetime(2026, 12, 1, tzinfo=UTC)
    p = await project(core)
    await tell(core, AllowanceRequest(p, credits_of(9), month, None, True, "r", "ada", "key"))
    assert 0 == await in_spite_of_a_lock(core, passes)

    async with later(core, database_url, month - NOW) as then:
        assert 1 < await waits_for_the_lock(then, passes)
        assert ["grant"] == await kinds(then)
        assert 0 == await in_spite_of_a_lock(then, passes)
