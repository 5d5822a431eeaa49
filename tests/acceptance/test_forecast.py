"""When credits run out, asked of the API and of the command line."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.documented import Documented, documented
from tests.acceptance.program import program_on
from tests.acceptance.test_page import HOUR_MS, hours_ago, page, plain, push, send, server

DAYS = 20


async def steady(service: Service) -> None:
    """Let a small server of alpha run for twenty days, with credits for five more."""
    project = {"name": "alpha", "site": "here", "external_id": "id-alpha"}
    await send(service, "POST", "/api/v1/projects", project)
    half_hours = [
        (hours_ago(DAYS * 24) + number * HOUR_MS // 2, 1.0) for number in range(DAYS * 48 + 1)
    ]
    await push(service, server("m1.small"), half_hours)
    amount = f"{1.6 * 24 * (DAYS + 5):.2f}"
    grant = {"amount": amount, "reason": "x", "idempotency_key": "k"}
    await send(service, "POST", "/api/v1/projects/alpha/grants", grant)


async def kept(client: Documented) -> Any:
    """Wait until the clock has worked it out: before that, each answer is a new one.

    Its first turn may find a project that has no usage yet, so that one is passed over.
    """
    async with asyncio.timeout(60):
        while True:
            one = await client.get("/api/v1/projects/alpha/forecast")
            again = await client.get("/api/v1/projects/alpha/forecast")
            if one == again and one["state"] == "ok":
                return one
            await asyncio.sleep(0.1)


async def test_the_api_the_page_and_the_command_tell_the_same(database_url: str) -> None:
    async with running(settings_for(database_url, grace_period_seconds=0)) as service:
        await steady(service)
        client = await documented(service)

        told = await kept(client)
        in_history = (await client.get("/credits_history/alpha"))["forecast"]
        text = plain(await page(service, "/credits_history/alpha"))
        start = plain(await page(service, "/"))

    p10, p50, p90 = (datetime.fromisoformat(told[name]) for name in ("p10", "p50", "p90"))
    days = (p50 - datetime.now(UTC)).total_seconds() / 86_400
    with program_on(database_url) as program:
        command = (await asyncio.to_thread(program, "forecast", "alpha")).stdout
        as_json = await asyncio.to_thread(program.json, "forecast", "alpha")

    assert told["state"] == "ok"
    assert p10 <= p50 <= p90
    assert abs(days - 5) < 1
    assert told["balance"] == "192.000000"
    assert abs(float(told["burn_per_day"]) - 38.4) < 2
    assert [one["days"] for one in told["without"]] == [None]
    assert told["without"][0]["resources"] == [
        {"resource": "server-1", "meter": "openstack_nova_server_status", "flavor": "m1.small"}
    ]
    assert told["project"]["name"] == "alpha"
    assert in_history == {name: value for name, value in told.items() if name != "project"}
    assert as_json == told
    date = f"{p50.day} {p50:%b} {p50.year}"
    assert date in text
    assert date in start
    assert "Without server-1 : more than two years" in text
    assert f"about {p50.day} {p50:%B} {p50.year}" in command
    assert "server-1" in command
