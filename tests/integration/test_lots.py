"""Lots start, burn and end; what expired of them follows usage that comes late."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from os_credits.domain.allowance import (
    AllowanceEnd,
    AllowanceRequest,
    floor_month,
    next_month,
)
from os_credits.domain.amount import credits_of
from os_credits.domain.grant import GrantRequest, Terms
from os_credits.domain.instruction import Adjustment, TopUp, Transfer, Void
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import from_ms
from os_credits.domain.project import ProjectKey
from os_credits.errors import Conflict, InvalidInput, NotFound
from os_credits.flows.accounts import Done, instruct
from os_credits.flows.burn import read_burned
from os_credits.flows.explain import explain_entry
from os_credits.flows.explain_samples import View
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.projects import create_project
from os_credits.store.balances import read_balances
from os_credits.store.batches import read_now
from os_credits.store.pool import connection, snapshot
from tests.core import WATCH, WINDOW_MS, Core, Written, opened_core
from tests.frozen_clock import freeze

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.domain.balance import Balance
    from os_credits.domain.instruction import Instruction

HOUR_MS = 3_600_000
FILE = MeterFile(
    (
        MeterDefinition(
            name="vcpu",
            metric="vcpu",
            kind="counter",
            unit="vCPU-hour",
            project_id="project",
            resource="resource",
        ),
    ),
    (FilePrice("vcpu", None, Decimal(1)),),
)
_keys = (f"key-{number}" for number in itertools.count())


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


async def project(core: Core, name: str = "p") -> int:
    found, _ = await create_project(core.pool, ProjectKey("", name, "", name))
    return found.id


async def hour(core: Core, ago: int) -> datetime:
    """Give the full hour so many hours ago."""
    return from_ms((await core.now_ms() // HOUR_MS - ago) * HOUR_MS)


async def use(core: Core, amounts: dict[int, int], *, name: str = "p") -> None:
    """Let a project use whole credits so many hours ago; each time by a server of its own."""
    samples: list[Written] = []
    for ago, amount in amounts.items():
        start = int((await hour(core, ago)).timestamp() * 1000)
        labels = {"__name__": "vcpu", "project": name, "resource": next(_keys)}
        samples += [(labels, start, 0), (labels, start + 60_000, amount)]
    await core.push(samples)
    await core.rate()


async def give(
    core: Core,
    project_id: int,
    amount: str,
    *,
    start: int | None = None,
    end: int | None = None,
    priority: int = 0,
) -> Done:
    """Grant credits, valid from and until so many hours ago."""
    terms = Terms(
        None if start is None else await hour(core, start),
        None if end is None else await hour(core, end),
        priority,
    )
    key = next(_keys)
    return await tell(
        core, GrantRequest(project_id, credits_of(amount), "budget", "ada", key, terms)
    )


async def tell(core: Core, instruction: Instruction) -> Done:
    return await instruct(core.pool, instruction, WATCH)


async def balance_of(core: Core, project_id: int) -> Balance:
    async with connection(core.pool) as conn:
        return (await read_balances(conn, [project_id]))[project_id]


async def burned(core: Core, project_id: int) -> list[tuple[int, int, int]]:
    """Give whole credits burned, expired and left of each lot, by its id."""
    async with connection(core.pool) as conn:
        found = await read_burned(conn, [project_id], await read_now(conn))
    states = sorted(found[project_id].states, key=lambda one: one.lot.id)
    return [
        (one.burned_micro // 10**6, one.expired_micro // 10**6, one.left_micro // 10**6)
        for one in states
    ]


async def entries(core: Core, project_id: int) -> list[tuple[str, Decimal | int]]:
    async with connection(core.pool) as conn:
        rows = await conn.fetch(
            "SELECT kind, amount FROM entry WHERE project_id = $1 ORDER BY sequence", project_id
        )
    return [(row["kind"], row["amount"]) for row in rows]


async def book_all(core: Core) -> None:
    """Book whatever differs, as if it had waited long enough."""
    async with connection(core.pool) as conn:
        for table in ("charge", "expiry"):
            await conn.execute(
                f"UPDATE {table} SET differs_since = differs_since - interval '2 days'"
            )
    await core.book()


async def test_what_is_left_of_a_grant_expires_and_late_usage_puts_it_right(core: Core) -> None:
    p = await project(core)
    await give(core, p, "10", start=10, end=3)
    await use(core, {5: 4})

    assert [(4, 6, 0)] == await burned(core, p)
    assert Decimal(0) == (await balance_of(core, p)).current

    await book_all(core)
    assert [("grant", 10), ("usage", -4), ("expiry", -6)] == await entries(core, p)

    await use(core, {6: 1})
    late = await balance_of(core, p)

    assert (Decimal(0), Decimal(-1), Decimal(5)) == (late.current, late.expiring, late.used)
    await book_all(core)
    assert [("usage", -1), ("correction", 1)] == (await entries(core, p))[3:]
    assert Decimal(0) == (await balance_of(core, p)).current


async def test_usage_burns_by_priority_then_expiry_then_start_then_number(core: Core) -> None:
    p = await project(core)
    for start, end, priority in [(9, None, 1), (8, -9, 0), (9, -9, 0), (9, -8, 0), (9, -9, 0)]:
        await give(core, p, "10", start=start, end=end, priority=priority)
    await use(core, {2: 35})

    # The second of priority 0 started earlier than the first; -8 ends before -9.
    assert [(0, 0, 10), (5, 0, 5), (10, 0, 0), (10, 0, 0), (10, 0, 0)] == await burned(core, p)


async def test_debt_is_paid_first_by_the_next_grant(core: Core) -> None:
    p = await project(core)
    await use(core, {9: 7})
    await give(core, p, "10", start=5, end=2)

    assert [(7, 3, 0)] == await burned(core, p)
    assert Decimal(0) == (await balance_of(core, p)).current


async def test_an_earlier_grant_that_comes_later_moves_what_expired(core: Core) -> None:
    p = await project(core)
    await give(core, p, "10", start=10, end=3)
    await use(core, {5: 4})
    await book_all(core)
    await give(core, p, "2", start=9, priority=-1)

    assert [(2, 8, 0), (2, 0, 0)] == await burned(core, p)
    assert Decimal(0) == (await balance_of(core, p)).current
    assert Decimal(2) == (await balance_of(core, p)).expiring
    assert Decimal(2) == (await balance_of(core, p)).granted_now


async def test_a_grant_that_is_to_come_counts_from_its_hour(core: Core, database_url: str) -> None:
    p = await project(core)
    coming = await give(core, p, "10", start=-2, end=-4)

    assert coming.effect.entry_id is None
    assert Decimal(0) == coming.balance.current == coming.balance.granted_now
    assert 0 == await core.pass_time()

    core.leaves_a_mess = True  # its clock will be behind
    freeze(database_url, await hour(core, -3))
    async with opened_core(database_url, FILE) as later:
        assert 1 == await later.pass_time()
        assert Decimal(10) == (await balance_of(later, p)).current
    freeze(database_url, await hour(core, -4))
    async with opened_core(database_url, FILE) as later:
        assert 1 == await later.pass_time()
        balance = await balance_of(later, p)
        assert Decimal(0) == balance.current == balance.granted_now


async def test_a_grant_of_which_nothing_is_burned_is_taken_back(core: Core) -> None:
    p = await project(core)
    used, unused = await give(core, p, "10", start=9), await give(core, p, "5", start=8)
    coming = await give(core, p, "3", start=-2, end=-3)
    await use(core, {2: 1})
    grants = [one.effect.grant_id or 0 for one in (used, unused, coming)]

    with pytest.raises(Conflict, match="burned"):
        await tell(core, Void(p, grants[0], "wrong", "ada", next(_keys)))
    for grant_id in grants[1:]:
        await tell(core, Void(p, grant_id, "wrong", "ada", next(_keys)))
        with pytest.raises(Conflict, match="already"):
            await tell(core, Void(p, grant_id, "wrong", "ada", next(_keys)))
    with pytest.raises(NotFound):
        await tell(core, Void(p, 999, "wrong", "ada", next(_keys)))

    balance = await balance_of(core, p)
    assert (Decimal(9), Decimal(10)) == (balance.current, balance.granted_now)
    assert [("grant", 10), ("grant", 5), ("grant", -5)] == await entries(core, p)
    assert 0 == await core.pass_time()


async def test_a_transfer_burns_here_and_is_a_lot_with_its_own_expiry_there(core: Core) -> None:
    p, q = await project(core), await project(core, "q")
    await give(core, p, "10", start=9, end=-5)
    await give(core, p, "10", start=9)
    moved = Transfer(p, q, credits_of(12), await hour(core, -9), "to q", "ada", next(_keys))
    done = await tell(core, moved)
    again = await tell(core, moved)

    assert (True, False, done.effect) == (done.created, again.created, again.effect)
    assert Decimal(8) == done.balance.current
    assert [(10, 0, 0), (2, 0, 8)] == await burned(core, p)
    assert [(0, 0, 12)] == await burned(core, q)
    there = await balance_of(core, q)
    assert (Decimal(12), Decimal(12)) == (there.current, there.granted_now)
    with pytest.raises(Conflict, match="only 8"):
        await tell(core, Transfer(p, q, credits_of(9), None, "more", "ada", next(_keys)))
    with pytest.raises(InvalidInput, match="same"):
        Transfer(p, p, credits_of(9), None, "more", "ada", next(_keys))


async def test_adjustments_burn_or_are_credits_without_an_end(core: Core) -> None:
    p = await project(core)
    await give(core, p, "10", start=9)
    for amount in ("-4", "1.5"):
        await tell(core, Adjustment(p, credits_of(amount), "outage", "ada", next(_keys)))

    balance = await balance_of(core, p)
    assert (Decimal("7.5"), Decimal(10), Decimal(0)) == (
        balance.current, balance.granted_now, balance.used,
    )  # fmt: skip
    assert [("grant", 10), ("adjustment", -4), ("adjustment", Decimal("1.5"))] == await entries(
        core, p
    )


async def test_a_top_up_has_the_terms_of_its_grant(core: Core) -> None:
    p = await project(core)
    grant = await give(core, p, "10", start=9, end=-9, priority=3)
    more = TopUp(p, grant.effect.grant_id or 0, credits_of(5), "more", "ada", next(_keys))
    done = await tell(core, more)

    async with connection(core.pool) as conn:
        row = await conn.fetchrow("SELECT * FROM project_grant WHERE id = $1", done.effect.grant_id)
    assert row is not None
    assert (await hour(core, -9), 3, grant.effect.grant_id) == (
        row["expires_at"], row["priority"], row["tops_up"],
    )  # fmt: skip
    assert Decimal(15) == done.balance.granted_now


async def test_an_allowance_gives_every_month_and_takes_back_what_is_left(core: Core) -> None:
    p = await project(core)
    this_month = floor_month(datetime.now(UTC))
    last_month = floor_month(this_month - timedelta(days=1))
    before = floor_month(last_month - timedelta(days=1))
    asked = AllowanceRequest(p, credits_of(100), before, None, False, "monthly", "ada", "a1")
    done = await tell(core, asked)

    assert 3 == await core.pass_time()
    assert [(0, 100, 0), (0, 100, 0), (0, 0, 100)] == await burned(core, p)
    balance = await balance_of(core, p)
    assert (Decimal(100), Decimal(100)) == (balance.current, balance.granted_now)
    assert done.effect == (await tell(core, asked)).effect

    allowance_id = done.effect.allowance_id or 0
    with pytest.raises(Conflict, match="given already"):
        await tell(core, AllowanceEnd(p, allowance_id, this_month, "over", "ada", next(_keys)))
    end = AllowanceEnd(p, allowance_id, next_month(this_month), "over", "ada", next(_keys))
    await tell(core, end)
    with pytest.raises(Conflict, match="already"):
        await tell(core, AllowanceEnd(p, allowance_id, end.end_month, "over", "ada", next(_keys)))
    assert 0 == await core.pass_time()


async def test_an_allowance_that_carries_over_never_expires(core: Core) -> None:
    p = await project(core)
    last_month = floor_month(floor_month(datetime.now(UTC)) - timedelta(days=1))
    asked = AllowanceRequest(p, credits_of(100), last_month, None, True, "monthly", "ada", "a1")
    await tell(core, asked)
    await core.pass_time()

    assert Decimal(200) == (await balance_of(core, p)).current


def _others(p: int, q: int, grant_id: int) -> list[Instruction]:
    more: dict[str, Any] = {"reason": "r", "author": "ada", "idempotency_key": "one key"}
    late = Terms(expires_at=datetime(2100, 1, 1, tzinfo=UTC))
    month = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        GrantRequest(p, credits_of(2), **more),
        GrantRequest(q, credits_of(1), **more),
        GrantRequest(p, credits_of(1), terms=late, **more),
        GrantRequest(p, credits_of(1), **{**more, "reason": "another"}),
        TopUp(p, grant_id, credits_of(1), **more),
        Adjustment(p, credits_of(1), **more),
        Transfer(p, q, credits_of(1), None, **more),
        Void(p, grant_id, **more),
        AllowanceRequest(p, credits_of(1), month, None, carries_over=False, **more),
    ]


async def test_a_key_stands_for_one_content(core: Core) -> None:
    p, q = await project(core), await project(core, "q")
    first = await tell(core, GrantRequest(p, credits_of(1), "r", "ada", "one key"))
    for other in _others(p, q, first.effect.grant_id or 0):
        with pytest.raises(Conflict, match="one key"):
            await tell(core, other)

    again = await tell(core, GrantRequest(p, credits_of(1), "r", "bob", "one key"))
    assert first.effect == again.effect
    assert [("grant", 1)] == await entries(core, p)


async def test_what_became_of_a_lot_is_told_span_by_span(core: Core) -> None:
    p = await project(core)
    await use(core, {9: 1})
    given = await give(core, p, "10", start=8, end=3)
    await give(core, p, "5", start=6, end=4, priority=-1)
    await use(core, {7: 2, 5: 7})
    await book_all(core)
    async with snapshot(core.pool) as conn:
        expiry = await conn.fetchval(
            "SELECT id FROM entry WHERE kind = 'expiry' AND grant_id = $1", given.effect.grant_id
        )
        told = await explain_entry(conn, expiry, View(10, 10), window_ms=WINDOW_MS)

    assert told.lot is not None
    assert told.lot.state is not None
    # The debt of one, then two, then what the earlier one of the two did not cover.
    assert [(2, 3, 7), (7, 2, 5), (0, 0, 5)] == [
        tuple(micro // 10**6 for micro in (span.used_micro, span.paid_micro, span.left_micro))
        for span in told.lot.spans
    ]
    assert (5, 5) == (
        told.lot.state.burned_micro // 10**6,
        told.lot.state.expired_micro // 10**6,
    )
