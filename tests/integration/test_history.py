"""A history adds up to the balance wherever it is cut, booked or not, corrected or not."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from os_credits.domain.amount import credits_of
from os_credits.domain.grant import GrantRequest
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import EPOCH, HOUR, from_ms
from os_credits.flows.history import beginning, read_history, read_used
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.prices import set_price
from os_credits.store.pool import connection, snapshot
from tests.core import Core, Written, grant, opened_core

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.domain.history import History, Line

HOUR_MS = 3_600_000
AT_ONCE = timedelta(0)
FILE = MeterFile(
    (
        MeterDefinition(
            name="vcpu", metric="vcpu_total", kind="counter", unit="vCPU-hour",
            project_id="project", flavor="flavor", resource="server",
        ),
    ),
    (FilePrice("vcpu", None, Decimal("0.7")),),
)  # fmt: skip


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


def sample(time_ms: int, value: float, server: str, flavor: str = "small") -> Written:
    labels = {"__name__": "vcpu_total", "project": "p", "server": server, "flavor": flavor}
    return labels, time_ms, value


async def project_of(core: Core) -> int:
    async with connection(core.pool) as conn:
        return int(await conn.fetchval("SELECT id FROM project"))


async def whole(core: Core, *, lines_max: int = 10_000) -> History:
    async with snapshot(core.pool) as conn:
        return await read_history(
            conn,
            await project_of(core),
            after=beginning(EPOCH),
            until=None,
            lines_max=lines_max,
        )


def summed(lines: list[Line]) -> Decimal:
    return sum((line.amount for line in lines), Decimal(0))


async def account(core: Core) -> int:
    """Make hours that are booked, corrected, booked and changed since, and open; gives the first.

    A price that changes after the booking leaves the difference as an open charge.
    """
    first = (await core.now_ms() // HOUR_MS - 8) * HOUR_MS
    dice = random.Random(5)
    for server in ("a", "b"):
        values = [round(dice.uniform(0, 3), 3) for _ in range(6)]
        totals = [sum(values[:number]) for number in range(7)]
        flavor = "small" if server == "a" else "big"
        await core.push(
            [
                sample(first + number * HOUR_MS, value, server, flavor)
                for number, value in enumerate(totals)
            ]
        )
    await core.rate()
    await core.book(grace=AT_ONCE)
    for flavor, price, hour in (("small", "0.9", 2), ("big", "0.35", 3)):
        await set_price(
            core.pool, meter="vcpu", flavor=flavor, credits_per_unit=Decimal(price),
            valid_from=from_ms(first + hour * HOUR_MS), author="test",
        )  # fmt: skip
        if flavor == "small":
            await core.book(grace=AT_ONCE)
    request = GrantRequest(await project_of(core), credits_of("50"), "", "test", "key")
    await grant(core.pool, request, percents=())
    return first


async def test_lines_add_up_to_the_balance(core: Core) -> None:
    await account(core)

    history = await whole(core)

    lines = [line for line, _ in history.lines]
    kinds = {line.kind.value if line.kind else "open" for line in lines}
    assert kinds == {"usage", "correction", "grant", "open"}
    assert history.opening.balance == history.opening.used == 0
    last = history.lines[-1][1]
    assert (last.balance, last.used) == (history.balance.current, history.balance.used)
    assert history.balance.current == summed(lines)
    assert history.balance.tally == -summed([line for line in lines if line.kind is None]) != 0
    assert [line.place.hour for line in lines] == sorted(line.place.hour for line in lines)


async def test_an_open_difference_points_at_the_entry_that_it_will_correct(core: Core) -> None:
    await account(core)

    lines = [line for line, _ in (await whole(core)).lines]

    booked = {line.entry_id: line for line in lines if line.kind == "usage"}
    differences = [line for line in lines if line.kind is None]
    assert differences
    for line in differences:
        assert line.entry_id is not None
        first = booked[line.entry_id]
        assert (first.place.hour, first.flavor_id) == (line.place.hour, line.flavor_id)


async def test_any_page_starts_where_the_one_before_ends(core: Core) -> None:
    await account(core)
    everything = (await whole(core)).lines

    for lines_max in (1, 2, 3, len(everything) - 1, len(everything)):
        page = await whole(core, lines_max=lines_max)
        seen = list(page.lines)
        while page.next_place is not None:
            async with snapshot(core.pool) as conn:
                page = await read_history(
                    conn,
                    await project_of(core),
                    after=page.next_place,
                    until=None,
                    lines_max=lines_max,
                )
            assert page.opening == seen[-1][1]
            seen += page.lines
        assert tuple(seen) == everything


async def test_columns_of_usage_tell_the_same_totals(core: Core) -> None:
    first = from_ms(await account(core))
    project_id = await project_of(core)
    everything = (await whole(core)).lines

    for start, until in ((EPOCH, None), (first + 2 * HOUR, first + 5 * HOUR), (first, first)):
        async with snapshot(core.pool) as conn:
            columns = await read_used(conn, project_id, start=start, until=until, lines_max=10_000)
        expected = [
            (f"{line.place.hour:%Y-%m-%d %H:%M:%S}", float(totals.used), "vcpu_total")
            for line, totals in everything
            if line.is_usage
            and line.place.hour >= start
            and (until is None or line.place.hour < until)
        ]
        told = list(zip(columns.hours, columns.used, columns.metrics, strict=True))
        assert told == expected


async def test_columns_give_one_line_more_than_is_wanted(core: Core) -> None:
    await account(core)

    async with snapshot(core.pool) as conn:
        columns = await read_used(
            conn, await project_of(core), start=EPOCH, until=None, lines_max=3
        )

    assert len(columns.hours) == len(columns.used) == len(columns.metrics) == 4
