"""What is acknowledged while its hour closes is booked exactly once, then or later."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.acceptance import stored
from tests.core import Core, new_core, opened_core
from tests.integration.three_meters import (
    AT_ONCE,
    FILE,
    booked,
    expected,
    hours_ago,
    of_every_meter,
    sample,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

# Commits wait for whoever holds the advisory lock 1, bookings for 2 before they close hours,
# and for 3 before they commit.
TURNSTILES = """
CREATE FUNCTION wait_for_lock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::bigint);
    RETURN NEW;
END $$;
CREATE CONSTRAINT TRIGGER commit_of_push AFTER INSERT ON batch DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait_for_lock(1);
CREATE TRIGGER closing BEFORE UPDATE OF closed_until ON rating_state
    FOR EACH ROW EXECUTE FUNCTION wait_for_lock(2);
CREATE CONSTRAINT TRIGGER commit_of_booking AFTER UPDATE OF closed_until ON rating_state
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_for_lock(3);
"""
PUSH, CLOSING, BOOKING = 1, 2, 3


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


@asynccontextmanager
async def held(url: str, *turnstiles: int) -> AsyncIterator[psycopg.AsyncConnection]:
    """Hold some turnstiles; whoever comes to them waits until they are released."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for number in turnstiles:
            await connection.execute("SELECT pg_advisory_lock(%s)", [number])
        yield connection


async def release(connection: psycopg.AsyncConnection, turnstile: int) -> None:
    await connection.execute("SELECT pg_advisory_unlock(%s)", [turnstile])


async def arrived(url: str, turnstile: int) -> None:
    """Wait until somebody waits at a turnstile."""
    async with asyncio.timeout(5):
        while not await stored.query(
            url,
            "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            turnstile,
        ):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "held_at, released",
    [
        ([PUSH], [PUSH]),
        ([CLOSING], [CLOSING]),
        ([BOOKING], [BOOKING]),
        ([PUSH, CLOSING], [PUSH, CLOSING]),
        ([PUSH, CLOSING], [CLOSING, PUSH]),
        ([PUSH, BOOKING], [PUSH, BOOKING]),
        ([PUSH, BOOKING], [BOOKING, PUSH]),
    ],
)
async def test_a_push_that_races_the_closing_of_its_hour_is_booked_exactly_once(
    core: Core,
    database_url: str,
    owner_database_url: str,
    held_at: Sequence[int],
    released: Sequence[int],
) -> None:
    """Whichever commits first: the push is in the hour's entry, or in a correction of it."""
    with psycopg.connect(owner_database_url) as owner:
        owner.execute(TURNSTILES)
    other = new_core(core.pool)
    hour = await hours_ago(core, 2)
    known = [*of_every_meter("p", hour, 10), *of_every_meter("p", hour + 200_000, 90)]
    racing = [
        *of_every_meter("p", hour + 100_000, 70, "g"),
        sample("p", "gauge", hour + 250_000, 2),
    ]
    await core.push(known)
    await core.rate()
    async with held(database_url, *held_at) as holder:
        if PUSH in held_at:
            push = asyncio.create_task(core.push(racing))
            await arrived(database_url, PUSH)
            booking = asyncio.create_task(other.book(grace=AT_ONCE))
            await (arrived(database_url, held_at[1]) if held_at[1:] else booking)
        else:
            booking = asyncio.create_task(other.book(grace=AT_ONCE))
            await arrived(database_url, held_at[0])
            push = asyncio.create_task(core.push(racing))
            await push
        for turnstile in released:
            await release(holder, turnstile)
            await (push if turnstile == PUSH else booking)
        await booking
    assert {("closed",)} == set(await stored.query(
        database_url, "SELECT 'closed' FROM rating_state WHERE closed_until > to_timestamp(%s)",
        hour // 1000,
    ))  # fmt: skip
    for _ in range(2):
        await core.book(grace=AT_ONCE)

    credits = expected([*known, *racing], "p")
    assert credits == await core.charged("p") == await booked(database_url, "p")
    kinds = await stored.query(
        database_url, "SELECT kind, count(*) FROM entry GROUP BY kind ORDER BY kind"
    )
    assert [("correction", 3), ("usage", 6)] == kinds
