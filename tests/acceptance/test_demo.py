"""The simulated cloud against the real service, through its real doors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import os_credits
from os_credits.demo.logins import LOGINS
from os_credits.demo.projects import CORRECTED, MEMBER, OWNER, PROJECTS, TREE
from os_credits.demo.run import run
from os_credits.domain.visit import SESSION_COOKIE
from tests.acceptance.conftest import Service, running, settings_for

PACKAGE = Path(os_credits.__file__).parent


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """Give a service that knows the simulated cloud's meters and books soon, as by `make run`."""
    meters = tmp_path / "meters.toml"
    parts = [PACKAGE / "meters.toml", PACKAGE / "demo" / "meters.toml"]
    meters.write_text("\n".join(part.read_text() for part in parts))
    settings = settings_for(database_url, meter_file=meters, grace_period_seconds=1)
    async with running(settings) as one:
        yield one


@asynccontextmanager
async def cloud(
    service: Service, *, live_interval_seconds: float, password: str = ""
) -> AsyncIterator[None]:
    """Run the simulated cloud until its history is pushed, and beside the test after that."""
    said: list[str] = []
    running = asyncio.create_task(
        run(
            service.url,
            service.keys["admin"],
            history_days=2,
            live_interval_seconds=live_interval_seconds,
            password=password,
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
            # One is corrected afterwards, another is given more at the turn of a month.
            more = project is CORRECTED or project.monthly_percent
            assert abs(left_percent - project.left_percent) < (10 if more else 1.5), project.name


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
        if name != CORRECTED.name:
            assert 0 <= second[name]["used"] - balance["used"] < 20


async def read(service: Service, path: str) -> Any:
    async with service.request("GET", path, key="admin") as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_what_was_wrong_is_corrected_and_what_nobody_measured_waits(
    service: Service,
) -> None:
    project = f"/api/v1/projects/{CORRECTED.id}"
    async with cloud(service, live_interval_seconds=60):
        kinds: set[str] = set()
        async with asyncio.timeout(60):
            while (
                "correction" not in kinds
                or not (await read(service, f"{project}/settlements"))["settlements"]
            ):
                entries = await read(service, f"{project}/entries?limit=500")
                kinds = {entry["kind"] for entry in entries["entries"]}
                await asyncio.sleep(0.2)
        prices = (await read(service, "/api/v1/prices?flavor=c1.dedicated"))["prices"]
        unpriced = (await read(service, "/api/v1/unpriced"))["unpriced"]
        organisations = (await read(service, "/api/v1/organisations"))["organisations"]
        budgets = await read(service, "/api/v1/organisations/Life Sciences/budgets")

    assert ["64", "56"] == [price["credits_per_unit"] for price in prices]
    assert {"r7iz.xlarge"} >= {one["flavor"] for one in unpriced}
    parents = {one["name"]: one["parent"] and one["parent"]["name"] for one in organisations}
    expected = {team: program for program, teams in TREE.items() for team in teams}
    assert expected | dict.fromkeys(TREE) == parents
    assert 1 == len(budgets["budgets"])


async def test_somebody_of_each_role_sees_what_is_theirs(service: Service) -> None:
    password = "abcd-efgh-jkmn"
    seen = {}
    for _ in range(2):
        async with cloud(service, live_interval_seconds=60, password=password):
            for login in LOGINS:
                body = {"email": login.person.email, "password": password}
                async with service.session.post(
                    f"{service.url}/api/v1/session", json=body
                ) as response:
                    assert response.status == 200, await response.text()
                    cookie = response.cookies[SESSION_COOKIE].value
                headers = {"Cookie": f"{SESSION_COOKIE}={cookie}"}
                async with service.request("GET", "/api/v1/projects", headers=headers) as response:
                    found = (await response.json())["projects"]
                seen[login.person.email] = {project["name"] for project in found}

    beneath = {"Life Sciences", *TREE["Life Sciences"]}
    expected = {
        "admin@demo.example": {one.name for one in PROJECTS},
        "manager@demo.example": {one.name for one in PROJECTS if one.organisation in beneath},
        "owner@demo.example": {one.name for one in PROJECTS if OWNER in one.owners},
        "member@demo.example": {one.name for one in PROJECTS if MEMBER in one.members},
    }
    assert expected == seen


async def test_credits_fall_while_one_looks(service: Service) -> None:
    async with cloud(service, live_interval_seconds=0.5):
        before = await rated_balances(service)
        await asyncio.sleep(2)
        after = await rated_balances(service)

    def gain(name: str) -> Decimal:
        return after[name]["current"] - before[name]["current"]

    # To one, credits are given back meanwhile, and of a server that has stopped nothing is used.
    steady = [one for one in PROJECTS if one is not CORRECTED]
    assert [one.name for one in steady if gain(one.name) > 0] == []
    assert len([one for one in steady if gain(one.name) < 0]) >= len(PROJECTS) - 2
