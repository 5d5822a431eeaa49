"""Rows of usage are read as they were written, in every form in which they are written."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from os_credits.domain.period import HOUR_MS
from os_credits.domain.usage import CostColumns, UsageColumns, whole
from os_credits.store import usage as store
from os_credits.store.pool import connection, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.store.pool import Connection

START_MS = 1_790_000_000_000 // HOUR_MS * HOUR_MS
DENSE = store.HOUR_ROWS_MIN
# Series, flavor, hour and kind: quantity, and millionths or None without a price.
Key = tuple[int, int, int, int]
Held = dict[Key, tuple[int, int | None]]
SMALL = (0, 1, -1, 999_999, 1_000_000, 123_456_789_012, 2**62 - 1, 1 - 2**62)
QUANTITIES = (*SMALL, 2**62, 2**63, 10**59, -(10**59))
MICRO = (*SMALL, 2**62, 2**63, 10**29 + 1, -(10**29))


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Connection]:
    pool = await open_pool(database_url, connections_max=1, statement_timeout_seconds=30)
    async with connection(pool) as conn:
        yield conn
    await pool.close()


def columns(held: Held) -> tuple[UsageColumns, CostColumns]:
    keys = np.array(list(held), np.int64).reshape(-1, 4).T
    quantities, micro = [row[0] for row in held.values()], [row[1] for row in held.values()]
    priced = np.array([one is not None for one in micro], np.bool_)
    costs = CostColumns(whole([one or 0 for one in micro]), priced)
    return UsageColumns(keys[0], keys[1], keys[2], keys[3], whole(quantities)), costs


async def read(conn: Connection, keys: list[Key]) -> list[tuple[int, int | None] | None]:
    found, quantities, costs = await store.read_usage(conn, columns(dict.fromkeys(keys, (5, 5)))[0])
    assert not costs.is_priced[~found].any()
    assert not any(quantities[~found])
    assert not any(costs.micro[~costs.is_priced])
    rows = zip(
        found.tolist(),
        quantities.tolist(),
        costs.micro.tolist(),
        costs.is_priced.tolist(),
        strict=True,
    )
    return [
        (one, micro if priced else None) if there else None for there, one, micro, priced in rows
    ]


async def assert_holds(conn: Connection, held: Held) -> None:
    keys = list(held)
    assert list(held.values()) == await read(conn, keys)
    assert len(held) == await conn.fetchval("SELECT count(*) FROM usage")


def keys_of(series: int, hours: int, *, far: int = 1) -> list[Key]:
    """Give keys of so many series and hours, these `far` hours apart; of several forms each."""
    return [
        (one, flavor, START_MS + hour * far * HOUR_MS, kind)
        for hour in range(hours)
        for one in range(1, series + 1)
        for flavor, kind in ((1, 0), (2, 0), (1, 1), (1, 2))
    ]


def drawn(chance: random.Random, keys: list[Key], *, large: bool) -> Held:
    quantities, micro = (QUANTITIES, MICRO) if large else (SMALL, SMALL)
    return {key: (chance.choice(quantities), chance.choice((None, *micro))) for key in keys}


@pytest.mark.parametrize("large", [False, True], ids=["bigint", "beyond"])
@pytest.mark.parametrize("series, hours, far", [(40, 2, 1), (2, 12, 1), (3, 5, 24 * 30)])
async def test_what_is_written_is_read_and_what_is_written_over_it_too(
    conn: Connection, series: int, hours: int, far: int, large: bool
) -> None:
    chance, keys = random.Random(series), keys_of(series, hours, far=far)
    held = drawn(chance, keys, large=large)
    await store.copy_usage(conn, *columns(held))
    await assert_holds(conn, held)

    for _ in range(3):
        changed = drawn(chance, chance.sample(keys, len(keys) * 2 // 3), large=large)
        await store.update_usage(conn, *columns(changed))
        held |= changed
        await assert_holds(conn, held)


@pytest.mark.parametrize("count", [DENSE - 1, DENSE, DENSE + 1])
async def test_dense_hours_and_sparse_ones_are_written_side_by_side(
    conn: Connection, count: int
) -> None:
    dense: list[Key] = [(one, 1, START_MS, 0) for one in range(count)]
    # The same series and flavor in hours around it, and other kinds and flavors in it.
    others: list[Key] = [(one, 1, START_MS + HOUR_MS * by, 0) for one in (0, 1) for by in (-1, 1)]
    others += [(0, 2, START_MS, 0), (1, 1, START_MS, 1)]
    untouched: Held = {(count + 5, 1, START_MS, 0): (77, 777), (0, 3, START_MS, 0): (78, None)}
    held: Held = dict.fromkeys([*dense, *others], (1, 1)) | untouched
    await store.copy_usage(conn, *columns(held))

    mixed = random.Random(1).sample([*dense, *others], count + len(others))
    changed: Held = {
        key: (number + 10, None if number % 3 == 0 else 7 * number)
        for number, key in enumerate(mixed)
    }
    await store.update_usage(conn, *columns(changed))

    await assert_holds(conn, held | changed)


@pytest.mark.parametrize("count", [1, DENSE])
async def test_a_price_comes_and_goes(conn: Connection, count: int) -> None:
    keys: list[Key] = [(one, 1, START_MS, 1) for one in range(count)]
    await store.copy_usage(conn, *columns(dict.fromkeys(keys, (3, None))))
    for micro in (1, 0, None, 2_500_000):
        held: Held = dict.fromkeys(keys, (3, micro))
        await store.update_usage(conn, *columns(held))
        await assert_holds(conn, held)
        open_rows = await conn.fetchval("SELECT count(*) FROM usage WHERE open_kind = 1")
        assert (count if micro is None else 0) == open_rows


async def test_one_large_number_does_not_change_the_others(conn: Connection) -> None:
    keys: list[Key] = [(one, 1, START_MS, 0) for one in range(2 * DENSE)]
    await store.copy_usage(conn, *columns(dict.fromkeys(keys, (1, 1))))
    for large in ((10**40, 5), (5, 10**29)):
        held: Held = {key: (number, number) for number, key in enumerate(keys)}
        held[keys[7]] = large
        await store.update_usage(conn, *columns(held))
        await assert_holds(conn, held)


async def test_what_is_not_stored_is_not_found_nor_written(conn: Connection) -> None:
    held: Held = {(1, 1, START_MS, 0): (5, 50)}
    await store.copy_usage(conn, *columns(held))
    missing: list[Key] = [
        (2, 1, START_MS, 0), (1, 2, START_MS, 0), (1, 1, START_MS + HOUR_MS, 0),
        (1, 1, START_MS, 1), (1, 1, START_MS - 999 * HOUR_MS, 0),
    ]  # fmt: skip

    assert [None, None, (5, 50), None] == await read(conn, [*missing[:2], *held, missing[2]])
    for keys in (missing, [(one, 5, START_MS, 0) for one in range(DENSE)]):
        await store.update_usage(conn, *columns(dict.fromkeys(keys, (9, 9))))
        await assert_holds(conn, held)


async def test_no_rows_need_no_statement(conn: Connection) -> None:
    none: Held = {}
    await store.copy_usage(conn, *columns(none))
    await store.update_usage(conn, *columns(none))
    assert [] == await read(conn, [])
    await assert_holds(conn, none)
