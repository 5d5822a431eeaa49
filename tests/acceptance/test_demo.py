"""The simulated cloud against the real service, through its real doors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from os_credits.demo.projects import PROJECTS
from os_credits.demo.run import run
from tests.acceptance.conftest import Service


@asynccontextmanager
async def cloud(service: Service, *, live_interval_seconds: float) -> AsyncIterator[None]:
    """Run the simulated cloud until its history is pushed, and beside the test after that."""
    said: list[str] = []
    running = asyncio.create_task(
        run(
            service.url,
            service.keys["admin"],
            history_days=2,
            live_interval_seconds=live_interval_seconds,
            say=said.append,
        )
    )
    try:
        async with asyncio.timeout(60):
            while not any(sentence.startswith("live") for sentence in said):
                if running.done():
                    running.result()
                await asyncio.sleep(0.05)
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def rated_balances(service: Service) -> dict[str, dict[str, Decimal]]:
    """Wait until all samples are rated, then give the balances by project name."""
    async with asyncio.timeout(60):
        while True:
            async with service.request("GET", "/stats", key="admin") as response:
                stats = await response.json()
            if stats["queue_sample_count"] == 0 and stats["rated_samples"] == sum(
                stats["accepted_samples"].values()
            ):
                break
            await asyncio.sleep(0.1)
    async with service.request("GET", "/api/v1/projects", key="read") as response:
        accounts = (await response.json())["projects"]
    return {
        account["name"]: {
            name: Decimal(account["balance"][name]) for name in ("granted", "used", "current")
        }
        for account in accounts
    }


async def test_every_project_is_left_with_what_it_is_meant_to_have(service: Service) -> None:
    async with cloud(service, live_interval_seconds=60):
        balances = await rated_balances(service)

    assert {project.name for project in PROJECTS} == set(balances)
    for project in PROJECTS:
        balance = balances[project.name]
        left_percent = 100 * balance["current"] / balance["granted"]
        if project.left_minutes:
            assert 0 < left_percent < 3
        else:
            assert abs(left_percent - project.left_percent) < 1


async def test_a_second_run_bills_nothing_again(service: Service) -> None:
    async with cloud(service, live_interval_seconds=60):
        first = await rated_balances(service)
    async with cloud(service, live_interval_seconds=60):
        second = await rated_balances(service)

    async with service.request("GET", "/stats", key="admin") as response:
        stats = await response.json()
    assert stats["duplicate_samples"] > 1000
    assert stats["refused_samples"] == stats["unknown_metrics"] == {}
    for name, balance in first.items():
        assert second[name]["granted"] == balance["granted"]
        # A restart within the same minutes finds at most one more sample of each series.
        assert 0 <= second[name]["used"] - balance["used"] < 20


async def test_credits_fall_while_one_looks(service: Service) -> None:
    async with cloud(service, live_interval_seconds=0.5):
        before = await rated_balances(service)
        await asyncio.sleep(2)
        after = await rated_balances(service)

    for project in PROJECTS:
        assert after[project.name]["current"] < before[project.name]["current"]
