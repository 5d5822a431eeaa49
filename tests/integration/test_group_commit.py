"""Pushes that come at the same time share a transaction, and only that."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest

from os_credits.errors import Unavailable
from os_credits.flows import group_commit
from os_credits.flows.group_commit import GroupCommit
from os_credits.store.batches import BatchColumns, unpacked
from os_credits.store.pool import connection, open_pool
from tests.core import WINDOW_MS, opened_core
from tests.integration.three_meters import FILE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from os_credits.store.meters import Clock
    from os_credits.store.pool import Pool

    Maker = Callable[[Clock], BatchColumns | None]

STATEMENT_SECONDS = 0.5
WAITING = (
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'batch'::regclass"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, connections_max=4, statement_timeout_seconds=30)
    yield pool
    await pool.close()


@pytest.fixture
def commits(pool: Pool) -> GroupCommit:
    return GroupCommit(pool)


def samples(label_set_id: int, count: int = 1) -> Maker:
    ids = np.full(count, label_set_id, np.int64)
    times_ms = np.arange(count, dtype=np.int64)
    return lambda _: BatchColumns(ids, times_ms, np.zeros(count, np.float64))


def failing(_: Clock) -> BatchColumns | None:
    raise ValueError("this one only")


def nothing(_: Clock) -> BatchColumns | None:
    return None


async def started(*pushes: asyncio.Task[None]) -> None:
    """Let tasks that have just been made come to their first pause."""
    await asyncio.sleep(0)
    assert not any(one.done() for one in pushes)


async def together(
    commits: GroupCommit, makers: Sequence[Maker], monkeypatch: pytest.MonkeyPatch
) -> list[asyncio.Task[None]]:
    """Hand in pushes of which none begins a transaction before the last one is there."""
    with monkeypatch.context() as patch:
        patch.setattr(group_commit, "AT_ONCE_MAX", 0)
        pushes = [asyncio.create_task(commits.store(1, maker)) for maker in makers]
        await started(*pushes)
    commits._begin()
    return pushes


async def stored(pool: Pool) -> list[list[int]]:
    """Give the label sets of each row of `batch`."""
    async with connection(pool) as conn:
        rows = await conn.fetch("SELECT sample_count, columns, xmin FROM batch ORDER BY id")
    assert len(rows) == len({row["xmin"] for row in rows})
    return [unpacked(row[1], row[0]).label_set_ids.tolist() for row in rows]


@asynccontextmanager
async def locked(owner_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Let nobody write into `batch` meanwhile."""
    async with await psycopg.AsyncConnection.connect(owner_url) as conn:
        await conn.execute("LOCK TABLE batch IN SHARE MODE")
        yield conn


async def until_waiting(conn: psycopg.AsyncConnection[Any], count: int = 1) -> None:
    """Wait until so many transactions wait for the lock."""
    async with asyncio.timeout(10):
        while (await (await conn.execute(WAITING)).fetchone()) != (count,):
            await asyncio.sleep(0.01)


async def outcomes(pushes: Sequence[asyncio.Task[None]]) -> list[type | None]:
    results = await asyncio.gather(*pushes, return_exceptions=True)
    return [None if one is None else type(one) for one in results]


async def test_a_push_alone_is_stored_at_once(commits: GroupCommit, pool: Pool) -> None:
    for number in range(3):
        await commits.store(1, samples(number))
        assert [[one] for one in range(number + 1)] == await stored(pool)


async def test_those_that_come_meanwhile_share_the_next_transaction(
    commits: GroupCommit, pool: Pool
) -> None:
    await asyncio.gather(*(commits.store(1, samples(number)) for number in range(20)))

    # Two begin at once; for the others there is no room until one of these has ended.
    assert [[0], [1], list(range(2, 20))] == sorted(await stored(pool))


async def test_so_many_samples_share_a_transaction_and_no_more(
    commits: GroupCommit, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "SHARED_SAMPLES_MAX", 10)
    monkeypatch.setattr(group_commit, "AT_ONCE_MAX", 1)
    counts = [1, 6, 4, 1, 20, 3, 7, 1]

    await asyncio.gather(
        *(commits.store(count, samples(number, count)) for number, count in enumerate(counts))
    )

    expected: list[dict[int, int]] = [{0: 1}, {1: 6, 2: 4}, {3: 1}, {4: 20}, {5: 3, 6: 7}, {7: 1}]
    assert expected == [Counter(one) for one in await stored(pool)]


async def test_each_push_gets_its_own_receipt(database_url: str, owner_database_url: str) -> None:
    async with opened_core(database_url, FILE) as core:
        now_ms = await core.now_ms()
        pushes = [
            [({"__name__": "gauge", "project": f"p{number}"}, now_ms - one, 1.0) for one in times]
            for number in range(6)
            for times in [[*range(number + 1), *(2 * WINDOW_MS + late for late in range(number))]]
        ]
        for push in pushes:
            await core.push(push[:1])
        async with locked(owner_database_url) as lock:
            tasks = [asyncio.create_task(core.push(push)) for push in pushes]
            await until_waiting(lock, 2)
            async with asyncio.timeout(10):
                while len(core.ingest._commits._queue) < len(pushes) - 2:
                    await asyncio.sleep(0.01)
        receipts = await asyncio.gather(*tasks)

        assert [(n + 1, n) for n in range(6)] == [(one.accepted, one.refused) for one in receipts]
        assert len(pushes) + 3 == len(await stored(core.pool))
        assert sum(range(1, 7)) + 6 == await core.rate()


async def test_what_is_wrong_with_one_is_its_own_matter(
    commits: GroupCommit, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers = [failing, samples(1), nothing, failing, samples(2)]
    pushes = await together(commits, makers, monkeypatch)

    assert [ValueError, None, None, ValueError, None] == await outcomes(pushes)
    assert [[1, 2]] == await stored(pool)


async def test_those_that_follow_are_told_what_became_of_themselves(
    commits: GroupCommit, pool: Pool, owner_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "SHARED_SAMPLES_MAX", 1)
    monkeypatch.setattr(group_commit, "AT_ONCE_MAX", 1)
    pids: list[int] = []

    def cut(clock: Clock) -> BatchColumns | None:
        # Who came first is not kept waiting by those that follow over the same connection.
        assert pushes[0].done()
        with psycopg.connect(owner_database_url, autocommit=True) as conn:
            rows = conn.execute(
                "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND state = 'idle in transaction'"
            ).fetchall()
        pids.extend(pid for pid, _ in rows)
        return samples(1)(clock)

    makers = [samples(0), cut, samples(2)]
    pushes = [asyncio.create_task(commits.store(1, maker)) for maker in makers]

    assert [None, Unavailable, None] == await outcomes(pushes)
    assert 1 == len(pids)
    assert [[0], [2]] == await stored(pool)


async def test_where_nothing_is_to_be_stored_nothing_is(
    commits: GroupCommit, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushes = await together(commits, [failing, nothing], monkeypatch)

    assert [ValueError, None] == await outcomes(pushes)
    assert [] == await stored(pool)


async def test_a_database_that_takes_too_long_is_told_to_all_whom_it_concerns(
    database_url: str, owner_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = await open_pool(
        database_url, connections_max=4, statement_timeout_seconds=STATEMENT_SECONDS
    )
    commits = GroupCommit(pool)
    async with locked(owner_database_url):
        pushes = await together(commits, [samples(1), failing, samples(2)], monkeypatch)
        assert [Unavailable, ValueError, Unavailable] == await outcomes(pushes)

    assert [] == await stored(pool)
    await commits.store(1, samples(3))
    assert [[3]] == await stored(pool)
    await pool.close()


async def test_a_lost_connection_is_told_to_all_and_nothing_is_stored(
    commits: GroupCommit,
    pool: Pool,
    owner_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with locked(owner_database_url) as lock:
        pushes = await together(commits, [samples(number) for number in range(3)], monkeypatch)
        await until_waiting(lock)
        async with connection(pool) as conn:
            await conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks"
                " WHERE NOT granted AND relation = 'batch'::regclass"
            )
        assert [Unavailable] * 3 == await outcomes(pushes)

    assert [] == await stored(pool)
    await commits.store(1, samples(3))
    assert [[3]] == await stored(pool)


async def test_who_waits_too_long_for_a_transaction_is_told_so_and_the_others_go_on(
    commits: GroupCommit, pool: Pool, owner_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with locked(owner_database_url) as lock:
        under_way = [asyncio.create_task(commits.store(1, samples(number))) for number in range(2)]
        await until_waiting(lock, 2)
        with monkeypatch.context() as patch:
            patch.setattr(group_commit, "WAIT_SECONDS_MAX", 0.05)
            impatient = asyncio.create_task(commits.store(1, samples(2)))
            await started(impatient)
        patient = asyncio.create_task(commits.store(1, samples(3)))

        assert [Unavailable] == await outcomes([impatient])
        await started(*under_way, patient)

    assert [None] * 3 == await outcomes([*under_way, patient])
    assert [[0], [1], [3]] == sorted(await stored(pool))


async def test_what_is_under_way_is_waited_for_longer(
    commits: GroupCommit, pool: Pool, owner_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "WAIT_SECONDS_MAX", 0.01)
    async with locked(owner_database_url) as lock:
        push = asyncio.create_task(commits.store(1, samples(1)))
        await until_waiting(lock)
        assert ({push}, set()) == (await asyncio.wait([push], timeout=0.1))[::-1]

    assert [None] == await outcomes([push])
    assert [[1]] == await stored(pool)


@pytest.mark.parametrize("count", [1, 3])
async def test_if_nobody_waits_any_more_it_is_rolled_back(
    commits: GroupCommit,
    pool: Pool,
    owner_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    async with locked(owner_database_url) as lock:
        pushes = await together(commits, [samples(n) for n in range(count)], monkeypatch)
        await until_waiting(lock)
        for push in pushes:
            push.cancel()
        assert [asyncio.CancelledError] * count == await outcomes(pushes)
        await until_waiting(lock, 0)

    assert [] == await stored(pool)
    await commits.store(1, samples(7))
    assert [[7]] == await stored(pool)


async def test_one_that_is_cancelled_does_the_others_no_harm(
    commits: GroupCommit, pool: Pool, owner_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with locked(owner_database_url) as lock:
        pushes = await together(commits, [samples(number) for number in range(3)], monkeypatch)
        await until_waiting(lock)
        pushes[0].cancel()
        assert [asyncio.CancelledError] == await outcomes(pushes[:1])
        await started(*pushes[1:])
        await until_waiting(lock)

    assert [None, None] == await outcomes(pushes[1:])
    [together_stored] = await stored(pool)
    assert {1, 2} <= set(together_stored)


async def test_one_that_is_cancelled_in_the_queue_is_not_stored(
    commits: GroupCommit, pool: Pool, owner_database_url: str
) -> None:
    async with locked(owner_database_url) as lock:
        pushes = [asyncio.create_task(commits.store(1, samples(number))) for number in range(4)]
        await until_waiting(lock, 2)
        pushes[2].cancel()
        assert [asyncio.CancelledError] == await outcomes(pushes[2:3])

    assert [None] * 3 == await outcomes([*pushes[:2], pushes[3]])
    assert [[0], [1], [3]] == sorted(await stored(pool))
