"""The clock's forecasts: of a real account's own past, kept as a cache, by one copy at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from os_credits.domain.allowance import AllowanceRequest, floor_month, next_month
from os_credits.domain.amount import credits_of
from os_credits.domain.grant import GrantRequest, Terms
from os_credits.domain.meter import MeterDefinition
from os_credits.domain.period import HOUR, floor_hour
from os_credits.domain.project import ProjectKey
from os_credits.flows import forecast
from os_credits.flows.accounts import instruct
from os_credits.flows.meters import FilePrice, MeterFile
from os_credits.flows.projects import create_project
from os_credits.forecast import run_out
from os_credits.store.forecasts import put_forecasts, read_forecasts, try_claim
from os_credits.store.pool import connection, open_pool, snapshot, transaction
from tests.core import WATCH, Core, Written, grant, opened_core
from tests.frozen_clock import freeze

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from os_credits.domain.forecast import StoredForecast

DAY = timedelta(days=1)
HOUR_MS = 3_600_000
FILE = MeterFile(
    (
        MeterDefinition(
            name="vcpu", metric="vcpu", kind="counter", unit="vCPU-hour", project_id="project",
            project_name="name", resource="server", flavor="flavor",
        ),
    ),
    (FilePrice("vcpu", None, credits_of(1)),),
)  # fmt: skip


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with opened_core(database_url, FILE) as opened:
        yield opened


async def run_steadily(core: Core, *, days: int, project: str = "p1", **servers: float) -> None:
    """Let servers of a project use so many credits an hour, up to now, and book it."""
    end = await core.now_ms()
    start = (end // HOUR_MS - days * 24) * HOUR_MS
    samples: list[Written] = []
    for server, per_hour in servers.items():
        labels = {"__name__": "vcpu", "project": project, "name": project, "server": server,
                  "flavor": f"of {server}"}  # fmt: skip
        samples += [
            (labels, start + number * HOUR_MS, number * per_hour) for number in range(days * 24 + 1)
        ]
    await core.push(samples)
    await core.rate()
    await core.book(grace=timedelta(0))


async def given(core: Core, amount: str, key: str = "k", **terms: Any) -> None:
    await grant(
        core.pool, GrantRequest(1, credits_of(amount), "budget", "test", key, Terms(**terms))
    )


async def kept(core: Core) -> dict[int, StoredForecast]:
    async with connection(core.pool) as conn:
        return await read_forecasts(conn, [1, 2, 3])


async def forecast_of(core: Core) -> StoredForecast:
    await forecast.run(core.pool)
    return (await kept(core))[1]


async def lasts_days(core: Core) -> float:
    found = await forecast_of(core)
    assert found.p50 is not None, found
    return (found.p50 - found.computed_at) / DAY


async def test_steady_usage_runs_out_after_balance_by_burn_and_the_band_lies_around(
    core: Core,
) -> None:
    await run_steadily(core, days=21, a=2.0)
    await given(core, str(21 * 48 + 480))

    found = await forecast_of(core)

    assert found.state == "ok"
    assert found.p10 is not None
    assert found.p50 is not None
    assert found.p90 is not None
    assert found.p10 <= found.p50 <= found.p90
    assert abs((found.p50 - found.computed_at) / DAY - 10) < 1
    assert abs(found.burn_per_day - 48) < 2
    assert credits_of(found.facts["balance"]) == 480


async def test_a_history_of_hours_says_how_many_days_it_needs(core: Core) -> None:
    await run_steadily(core, days=1, a=2.0)
    await given(core, "1000")

    found = await forecast_of(core)

    assert (found.state, found.p50) == ("short", None)
    assert 2 <= found.needs_days <= 3


async def test_what_is_in_debt_has_run_out(core: Core) -> None:
    await run_steadily(core, days=5, a=2.0)

    found = await forecast_of(core)

    assert (found.state, found.p50, found.facts["without"]) == ("out", None, [])


async def test_a_grant_to_come_and_a_lot_that_ends_move_the_date(core: Core) -> None:
    await run_steadily(core, days=21, a=2.0)
    await given(core, str(21 * 48 + 480))
    start = floor_hour(datetime.now(UTC)) + 5 * DAY

    await given(core, "240", "later", valid_from=start)
    with_more = await lasts_days(core)
    await given(core, "480", "ending", expires_at=start, priority=1)
    with_ending = await lasts_days(core)

    assert abs(with_more - 15) < 1.5
    # Of the lot that ends in five days nothing burns: the other one comes first.
    assert abs(with_ending - 15) < 1.5


async def test_an_allowance_that_covers_what_is_used_lets_credits_last(core: Core) -> None:
    await run_steadily(core, days=21, a=2.0)
    month = next_month(floor_month(datetime.now(UTC)))
    to_next = (month - datetime.now(UTC)) / HOUR
    await given(core, str(21 * 48 + round(2.2 * to_next) + 48))
    before = await forecast_of(core)
    allowance = AllowanceRequest(
        1, credits_of(2000), month, None, False, "monthly", "test", "allowance"
    )
    await instruct(core.pool, allowance, WATCH)

    after = await forecast_of(core)

    assert before.p50 is not None
    assert (after.state, after.p50) == ("beyond", None)


async def test_without_the_top_resources_credits_last_so_many_days_longer(core: Core) -> None:
    await run_steadily(core, days=21, small=0.5, big=3.0, middle=1.5)
    await given(core, str(21 * 24 * 5 + 600))

    without = (await forecast_of(core)).facts["without"]

    assert [[one["resource"] for one in each["resources"]] for each in without] == [
        ["big"], ["middle"], ["big", "middle"],
    ]  # fmt: skip
    assert without[0]["resources"] == [{"resource": "big", "meter": "vcpu", "flavor": "of big"}]
    # 600 credits last 5 days at 120 a day, 12.5 at 48, 50 at 12.
    assert abs(int(without[0]["days"]) - 7.5) < 1.5
    assert abs(int(without[2]["days"]) - 45) < 6
    assert without[0]["days"].startswith("+")


async def test_without_the_only_resource_credits_last_for_good(core: Core) -> None:
    await run_steadily(core, days=21, a=2.0)
    await given(core, str(21 * 48 + 480))

    [without] = (await forecast_of(core)).facts["without"]

    assert without["days"] is None


async def test_a_dropped_cache_is_filled_with_the_same_answers(core: Core) -> None:
    await run_steadily(core, days=21, a=2.0)
    await given(core, "1500")
    before = await forecast_of(core)
    async with connection(core.pool) as conn:
        await conn.execute("DELETE FROM forecast")

    async with snapshot(core.pool) as conn:
        unkept = await forecast.read_forecast(conn, 1)
    after = await forecast_of(core)

    def shape(one: StoredForecast) -> tuple[Any, ...]:
        dates = [
            None if date is None else round((date - before.computed_at) / HOUR, 1)
            for date in (one.p10, one.p50, one.p90)
        ]
        return one.state, dates, one.facts["balance"]

    assert await kept(core) == {1: after}
    assert shape(unkept) == shape(after) == shape(before)


async def test_an_account_is_worked_out_anew_only_when_it_is_due(core: Core) -> None:
    await run_steadily(core, days=5, a=2.0)
    await given(core, "1000")
    assert await forecast.run(core.pool) == 1

    assert await forecast.run(core.pool) == 0
    await given(core, "1000", "more")
    assert await forecast.run(core.pool) == 1
    await given(core, "1000", "later", valid_from=floor_hour(datetime.now(UTC)) + 5 * DAY)
    assert await forecast.run(core.pool) == 1
    assert await forecast.run(core.pool) == 0


@pytest.mark.parametrize("age,due", [(timedelta(minutes=50), 0), (timedelta(minutes=70), 1)])
async def test_an_account_with_new_bookings_is_due_once_an_hour(
    core: Core, age: timedelta, due: int
) -> None:
    await run_steadily(core, days=5, a=2.0)
    made = await forecast_of(core)
    async with transaction(core.pool) as conn:
        await conn.execute("DELETE FROM forecast")
        await put_forecasts(conn, [replace(made, computed_at=made.computed_at - age)])

    assert await forecast.run(core.pool) == due


@pytest.mark.parametrize("age,due", [(timedelta(hours=5), 0), (timedelta(hours=7), 1)])
async def test_time_alone_makes_an_account_due_after_some_hours(
    core: Core, database_url: str, age: timedelta, due: int
) -> None:
    await run_steadily(core, days=5, a=2.0)
    made = await forecast_of(core)
    freeze(database_url, made.computed_at + age)
    later = await open_pool(database_url, connections_max=2, statement_timeout_seconds=30)
    try:
        assert await forecast.run(later) == due
    finally:
        await later.close()


async def test_copies_share_the_work_and_an_older_answer_never_replaces_a_newer_one(
    core: Core,
) -> None:
    await run_steadily(core, days=5, a=2.0)
    async with snapshot(core.pool) as conn:
        assert await try_claim(conn)
        assert await forecast.run(core.pool) == 0

    counts = await asyncio.gather(*(forecast.run(core.pool) for _ in range(4)))
    made = (await kept(core))[1]
    async with transaction(core.pool) as conn:
        older = replace(made, computed_at=made.computed_at - HOUR, state="idle")
        assert await put_forecasts(conn, [older]) == 0

    assert sum(counts) >= 1
    assert await kept(core) == {1: made}


async def test_an_account_that_cannot_be_worked_out_stops_no_other(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    for project in ("p1", "p2", "p3"):
        await run_steadily(core, days=5, project=project, a=2.0)
    calls: list[datetime] = []

    def breaks(history: Any, credit: Any, now: datetime) -> Any:
        calls.append(now)
        if len(calls) == 2:
            raise ZeroDivisionError
        return run_out.forecast(history, credit, now)

    monkeypatch.setattr(forecast, "forecast", breaks)

    assert await forecast.run(core.pool) == 3
    assert [one.state for one in (await kept(core)).values()] == ["out", "failed", "out"]
    assert await forecast.run(core.pool) == 0


async def test_a_project_without_an_account_gets_no_row_and_an_answer_all_the_same(
    core: Core,
) -> None:
    await create_project(core.pool, ProjectKey("", "new", "", "new"))

    assert await forecast.run(core.pool) == 0
    async with snapshot(core.pool) as conn:
        found = await forecast.read_forecast(conn, 1)

    assert found.state == "out"
    assert found.burn_per_day == 0
