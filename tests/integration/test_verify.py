"""Everything is recomputed, and nothing is found where nothing was changed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from os_credits.domain.difference import Findings
from os_credits.flows import verify as flow
from os_credits.flows import verify_usage
from os_credits.flows.retain import Kept, retain
from os_credits.flows.verify import Progress, recompute, verify
from os_credits.flows.verify_accounts import check_seals
from os_credits.store.pool import connection, snapshot
from tests.checker import checked
from tests.core import WINDOW_MS, new_core
from tests.integration.full_account import (
    GRACE,
    HOUR_MS,
    book_all,
    full_account,
    give,
    seal,
    server,
    vcpu,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.core import Core

# How long a service works and is verified at the same time, and how often at least.
TOGETHER_SECONDS = 2
TOGETHER_MIN = 5


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with full_account(database_url) as core:
        yield core


async def counts_in(core: Core) -> dict[str, int]:
    """Count in the database itself what `verify` says that it looked at."""
    async with connection(core.pool) as conn:
        (row,) = await conn.fetch(
            """
            SELECT (SELECT count(*) FROM sample) AS samples,
                   (SELECT count(*) FROM sample_block) AS blocks,
                   (SELECT count(*) FROM usage) AS usage,
                   (SELECT count(*) FROM charge) AS charges,
                   (SELECT count(*) FROM entry) AS entries,
                   (SELECT count(*) FROM project) AS projects,
                   (SELECT count(*) FROM series) AS series,
                   (SELECT count(*) FROM seal) AS seals,
                   (SELECT count(*) FROM seal_head) AS heads,
                   (SELECT count(*) FROM expiry) AS expiries
            """
        )
    return dict(row)


async def test_a_full_account_is_what_is_recomputed(core: Core) -> None:
    verified = await checked(core.pool)

    counts = await counts_in(core)
    assert counts == dict(verified.findings.checked_counts)
    assert counts.pop("expiries") == 1
    assert min(counts.values()) > 1


async def test_one_project_is_recomputed_alone(core: Core) -> None:
    verified = await verify(core.pool, window_ms=WINDOW_MS, project_id=1)

    assert verified.holds
    assert verified.last_seal is None
    counts = verified.findings.checked_counts
    async with connection(core.pool) as conn:
        entries = await conn.fetchval("SELECT count(*) FROM entry WHERE project_id = 1")
    assert (1, 2, entries) == (counts["projects"], counts["series"], counts["entries"])
    assert 0 < counts["samples"] < (await counts_in(core))["samples"]


async def test_slices_however_small_find_the_same(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each series, and each project, by itself."""
    whole = await checked(core.pool)
    monkeypatch.setattr(verify_usage, "ROWS_MAX", 1)
    monkeypatch.setattr(flow, "ROWS_MAX", 1)
    monkeypatch.setattr(flow, "PROJECTS_MAX", 1)
    seen: list[Progress] = []

    cut = await verify(core.pool, window_ms=WINDOW_MS, progress=seen.append)

    assert cut.holds
    assert whole.findings.checked_counts == cut.findings.checked_counts
    assert [(1, 2), (2, 2)] == [(one.projects, one.projects_total) for one in seen]


async def test_a_correction_that_takes_all_back_leaves_nothing_that_differs(core: Core) -> None:
    """Quantities of 0 stay behind: they equal those that were never stored."""
    hour = await core.now_ms() // HOUR_MS * HOUR_MS - 3 * HOUR_MS
    await core.push([server("zero", hour), server("zero", hour + HOUR_MS // 2)])
    await book_all(core)
    await core.push([server("zero", hour, status="SHUTOFF"), server("zero", hour + 1, status="X")])
    await core.push([server("zero", hour + 2), server("zero", hour + 3, status="X")])
    await book_all(core)

    await checked(core.pool)


async def test_what_waits_to_be_rated_or_booked_is_no_difference(core: Core) -> None:
    now = await core.now_ms()
    await core.push([vcpu("alpha", now - 1000, 91_000)])
    await checked(core.pool)
    await core.rate()
    await core.push([vcpu("new", now, 1)])

    await checked(core.pool)


async def test_it_holds_after_samples_and_usage_are_dropped(
    core: Core, owner_database_url: str
) -> None:
    day = 24 * HOUR_MS
    start = await core.now_ms() // day * day - 30 * day + HOUR_MS
    for n in range(0, 29, 4):
        at = start + n * day
        await core.push(
            [
                *(vcpu("old", at + k * HOUR_MS // 2, 10 * n + k) for k in range(5)),
                *(server("old", at + k * HOUR_MS // 2) for k in range(5)),
            ]
        )
    await book_all(core)
    before = await checked(core.pool)
    kept = Kept(timedelta(days=6), timedelta(days=13), announced_for=timedelta(0))
    while await retain(core.rater, kept) or await retain(core.rater, kept):
        pass

    after = await checked(core.pool)

    for noun in ("samples", "usage"):
        assert before.findings.checked_counts[noun] > after.findings.checked_counts[noun] > 0
    for noun in ("charges", "entries"):
        assert before.findings.checked_counts[noun] == after.findings.checked_counts[noun]
    await core.push([vcpu("old", start + 29 * day, 999), server("old", start + 29 * day)])
    await book_all(core)
    await checked(core.pool)
    core.leaves_a_mess = True
    with psycopg.connect(owner_database_url, autocommit=True) as conn:
        conn.execute("UPDATE daily_charge SET credits = credits + 1 WHERE credits > 0")
        conn.execute("UPDATE sample_floor SET value = value + 1")
    found = (await verify(core.pool, window_ms=WINDOW_MS)).findings.first
    assert {"usage", "charges"} == set(found)


async def test_a_service_at_work_is_verified_without_a_difference(core: Core) -> None:
    """Two copies rate, book, grant and seal as fast as they can while all is recomputed."""
    hour = await core.now_ms() // HOUR_MS * HOUR_MS - 20 * HOUR_MS
    other = new_core(core.pool)
    is_over = asyncio.Event()
    turns = 0

    async def work(copy: Core, project: str, step: int) -> None:
        nonlocal turns
        number = 0
        while not is_over.is_set():
            number += 1
            at = hour + (number * step * 60_000) % (19 * HOUR_MS)
            await copy.push([vcpu(project, at, number), server(project, at)])
            await book_all(copy)
            if number % 5 == 0:
                await give(copy, project, number, f"{project} {number}")
            await seal(copy, grace=GRACE + timedelta(hours=number))
            turns += 1

    tasks = [
        asyncio.create_task(work(core, "alpha", 7)),
        asyncio.create_task(work(other, "gamma", 11)),
    ]
    runs = 0
    try:
        async with asyncio.timeout(60):
            ending = asyncio.get_running_loop().time() + TOGETHER_SECONDS
            while runs < TOGETHER_MIN or asyncio.get_running_loop().time() < ending:
                await checked(core.pool)
                runs += 1
    finally:
        is_over.set()
        await asyncio.gather(*tasks)

    last = await checked(core.pool)
    assert min(turns, runs) >= TOGETHER_MIN
    assert last.findings.checked_counts["seals"] > 2


async def test_verifying_keeps_nobody_waiting(core: Core) -> None:
    """While its snapshot is open, others write, and samples of a new day make a new chunk."""
    async with snapshot(core.pool) as reader:
        findings = Findings()
        await recompute(reader, findings, WINDOW_MS, None, lambda _progress: None)
        now = await core.now_ms()
        async with asyncio.timeout(20):
            await core.push([vcpu("alpha", now - 12 * 24 * HOUR_MS, 1), vcpu("alpha", now, 99_999)])
            await book_all(core)
            await give(core, "alpha", 1, "meanwhile")
            await seal(core, grace=GRACE + timedelta(hours=5))
        await check_seals(reader, findings, {})

    assert {} == findings.first
    await checked(core.pool)
