"""The simulated cloud as a whole, against a service that keeps what it is sent."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from os_credits.demo.afterwards import LATE
from os_credits.demo.budget import budget_of
from os_credits.demo.cloud import samples_between
from os_credits.demo.projects import PROJECTS
from os_credits.demo.rhythm import DAY_MS
from os_credits.demo.run import run
from os_credits.errors import InvalidInput
from tests.unit.demo.sink import Sink, running_sink

HOUR_MS = 3_600_000
STEP_MS = 300_000


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with running_sink() as one:
        yield one


@asynccontextmanager
async def cloud(
    sink: Sink, *, history_days: int = 1, password: str = ""
) -> AsyncIterator[list[str]]:
    """Run the simulated cloud beside the test; gives what it says."""
    said: list[str] = []
    running = asyncio.create_task(
        run(
            sink.url,
            "osc_key",
            history_days=history_days,
            live_interval_seconds=0.1,
            password=password,
            say=said.append,
        )
    )
    try:
        yield said
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


def is_live(said: list[str]) -> Callable[[], bool]:
    return lambda: any(sentence.startswith("live") for sentence in said)


async def test_a_new_service_gets_accounts_first_and_then_the_whole_history(sink: Sink) -> None:
    now_ms = int(time.time() * 1000)
    async with cloud(sink):
        await until(lambda: any(path.endswith("settlements") for path in sink.said))

    expected = samples_between(now_ms - DAY_MS + STEP_MS, now_ms - STEP_MS, STEP_MS)
    for series in expected.values():
        for labels, samples in series:
            assert dict(samples).items() <= sink.samples[labels].items()
    assert {project.id for project in PROJECTS} == set(sink.grants) == set(sink.owners)
    assert sink.owners[PROJECTS[0].id] == ["owner@demo.example"]
    writes = [index for index, (_, path) in enumerate(sink.requests) if path.endswith("write")]
    grants = [index for index, (_, path) in enumerate(sink.requests) if path.endswith("grants")]
    assert max(grants) < min(writes)


async def test_budgets_are_repeatable_and_of_whole_credits(sink: Sink) -> None:
    now_ms = int(time.time() * 1000)
    async with cloud(sink) as said:
        await until(is_live(said))

    for project in PROJECTS:
        grant = sink.grants[project.id]
        expected = budget_of(project, now_ms - DAY_MS, now_ms, STEP_MS)
        share = 100 - project.expiring_percent - project.monthly_percent
        assert abs(expected * share // 100 - int(grant["amount"])) <= 11
        assert f"simulated-cloud-budget-{project.id}" == grant["idempotency_key"]


async def test_late_samples_and_decisions_follow_the_history(sink: Sink) -> None:
    async with cloud(sink):
        await until(lambda: any(path.endswith("settlements") for path in sink.said))

    late = [labels for labels in sink.samples if ("name", LATE.server) in labels]
    times = sorted(time_ms for labels in late for time_ms in sink.samples[labels])
    assert set(range(times[0], times[-1] - STEP_MS, STEP_MS)) <= set(times)
    assert sink.said["/api/v1/prices"]["flavor"] == "c1.dedicated"
    [excluded] = [body for path, body in sink.said.items() if path.endswith("exclusions")]
    [waived] = [body for path, body in sink.said.items() if path.endswith("settlements")]
    assert (excluded["starts_at"], excluded["ends_at"]) == (
        waived["first_hour"],
        waived["end_hour"],
    )


async def test_somebody_of_each_role_is_let_in_by_the_password(sink: Sink) -> None:
    async with cloud(sink, password="abcd-efgh-jkmn") as said:
        await until(is_live(said))

    assert {"token": "TOKEN", "password": "abcd-efgh-jkmn"} == sink.said["/api/v1/passwords"]
    assert 4 == len([sentence for sentence in said if "can log in" in sentence])
    manager = "/api/v1/organisations/Life Sciences/managers/manager@demo.example"
    assert {"name": "Vera Lindqvist"} == sink.said[manager]


async def test_without_a_password_nobody_is_let_in(sink: Sink) -> None:
    async with cloud(sink) as said:
        await until(is_live(said))

    assert not [path for path in sink.said if "login" in path or "session" in path]


async def test_live_samples_keep_coming_by_both_doors(sink: Sink) -> None:
    async with cloud(sink):
        await until(lambda: any(path.endswith("settlements") for path in sink.said))
        sink.requests.clear()
        before = max(sink.times())
        await until(lambda: max(sink.times()) > before + 500)

    assert {("POST", "/write"), ("POST", "/api/v1/write")} == set(sink.requests)
    live = {time_ms for time_ms in sink.times() if time_ms > before}
    assert all(time_ms % 100 == 0 for time_ms in live)


async def test_a_restart_goes_on_a_little_before_the_last_hour_that_is_known(sink: Sink) -> None:
    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for project in PROJECTS:
        sink.grants[project.id] = {"amount": "100"}
        sink.timestamps[project.id] = last.strftime("%Y-%m-%d %H:%M:%S")
    async with cloud(sink, history_days=14) as said:
        await until(is_live(said))

    last_ms = int(last.timestamp() * 1000)
    assert last_ms - 7 * HOUR_MS == min(sink.times())
    assert not [path for _, path in sink.requests if path.endswith("grants")]


async def test_the_project_that_lags_behind_decides_where_to_go_on(sink: Sink) -> None:
    now_ms = int(time.time() * 1000) // HOUR_MS * HOUR_MS
    hours = [now_ms, now_ms - 20 * HOUR_MS, now_ms - HOUR_MS, now_ms]
    for project, hour_ms in zip(PROJECTS, hours, strict=False):
        sink.grants[project.id] = {"amount": "100"}
        moment = datetime.fromtimestamp(hour_ms / 1000, UTC)
        sink.timestamps[project.id] = moment.strftime("%Y-%m-%d %H:%M:%S")
    async with cloud(sink, history_days=14) as said:
        await until(is_live(said))

    assert now_ms - 27 * HOUR_MS == min(sink.times())


async def test_live_pushing_outlives_an_outage_and_fills_the_gap(sink: Sink) -> None:
    async with cloud(sink) as said:
        await until(is_live(said))
        await until(lambda: max(sink.times()) % STEP_MS > 0)
        before = max(sink.times())
        sink.answers = [(503, {"Retry-After": "1"})] * 2
        await until(lambda: max(sink.times()) > before + 2000)

    counter = next(
        series
        for labels, series in sink.samples.items()
        if ("__name__", "project_vcpu_usage") in labels
    )
    live = sorted(time_ms for time_ms in counter if time_ms >= before)
    assert set(range(live[0], live[-1], 100)) <= set(live)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly(sink: Sink, number: signal.Signals) -> None:
    said: list[str] = []
    running = asyncio.create_task(
        run(sink.url, "osc_key", history_days=1, live_interval_seconds=5, say=said.append)
    )
    await until(is_live(said))
    os.kill(os.getpid(), number)

    async with asyncio.timeout(5):
        await running

    assert said[-1].startswith("the simulated cloud stops")


async def test_a_key_that_is_refused_is_told_and_ends_it(sink: Sink) -> None:
    sink.answers = [(401, {})]

    with pytest.raises(InvalidInput, match="401"):
        await run(sink.url, "osc_wrong", say=lambda _: None)
