"""Lines of projects and organisations over HTTP and by command, and what they would have told."""

import asyncio
import json
from decimal import Decimal
from typing import Any

from tests.acceptance.accounts import BOOK_AT_ONCE, grant, open_account, wait_until
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.documented import Documented, documented
from tests.acceptance.program import Program

OF_PROJECT = "/api/v1/projects/alpha/thresholds"
OF_LAB = "/api/v1/organisations/lab/thresholds"
# Lines in days are told by the forecast, which comes later than a test ends.
NO_FORECAST = {"forecast_interval_seconds": 3600}
NO_NOTICES = {"notice_percents": [], "notice_cool_down_hours": 0}


async def put(client: Documented, path: str, rule: Any, status: int = 201) -> Any:
    reply = await client.ask("PUT", path, key="admin", json={"rule": rule, "reason": "asked for"})
    assert reply.status == status, reply.text
    return reply.json


async def in_lab(client: Documented) -> None:
    reply = await client.ask(
        "POST",
        "/api/v1/projects/alpha/organisation",
        key="admin",
        json={"organisation": "lab", "valid_from": "2026-01-01", "reason": "test"},
    )
    assert reply.status == 201, reply.text


async def test_the_lines_that_hold_say_where_they_come_from(
    program: Program, database_url: str
) -> None:
    settings = settings_for(database_url, **BOOK_AT_ONCE, **NO_NOTICES, **NO_FORECAST)
    async with running(settings) as service:
        client = await documented(service)
        await open_account(client)
        await in_lab(client)

        await put(client, OF_LAB, {"days": ["14", 3], "percents": ["25"]})
        first = await put(client, OF_PROJECT, {"percents": [10, "2.5"]})
        again = await put(client, OF_PROJECT, {"percents": ["2.50", 10]}, status=200)
        shown = await client.get(OF_PROJECT)
        of_lab = await client.get(OF_LAB)
        by_command = await asyncio.to_thread(program, "notices", "thresholds", "alpha")
        gone = await put(client, OF_PROJECT, None)

    assert first == again
    assert {
        "percents": ["2.5", "10"],
        "credits": [],
        "days": ["3", "14"],
        "burn_per_day": [],
        "hysteresis_percent": "5",
        "cool_down_hours": 0,
    } == shown["lines"]
    assert ("project", "organisation:lab", "service") == (
        shown["sources"]["percents"],
        shown["sources"]["days"],
        shown["sources"]["credits"],
    )
    assert [None, "lab"] == [one["organisation"] for one in shown["rules"]]
    assert ([], ["25"], "organisation:lab") == (
        shown["told"],
        of_lab["lines"]["percents"],
        of_lab["sources"]["percents"],
    )
    assert "days until run-out" in by_command.stdout
    assert "3, 14" in by_command.stdout
    assert ["25"] == gone["lines"]["percents"]


async def test_what_cannot_be_a_line_and_who_may_not_say_so_are_refused(database_url: str) -> None:
    async with running(settings_for(database_url, **BOOK_AT_ONCE, **NO_NOTICES)) as service:
        client = await documented(service)
        await open_account(client)
        await in_lab(client)
        wrong = {
            "percents": {"percents": ["101"]},
            "rule.percents.0": {"percents": [0.5]},
            "burn_per_day": {"burn_per_day": ["0"]},
            "cool_down_hours": {"cool_down_hours": -1},
            "rule.colour": {"colour": []},
        }
        for path in (OF_PROJECT, OF_LAB):
            for place, rule in wrong.items():
                reply = await client.ask(
                    "PUT", path, key="admin", json={"rule": rule, "reason": "x"}
                )
                assert reply.status == 400, reply.text
                assert reply.json["message"].startswith(f"{place}: "), reply.text
            reply = await client.ask("PUT", path, key="read", json={"rule": None, "reason": "x"})
            assert reply.status == 403
        for missing in (OF_PROJECT, OF_LAB):
            path = missing.replace("alpha", "nobody").replace("lab", "nobody")
            assert (await client.ask("GET", path, key="admin")).status == 404


async def test_a_notice_is_listed_with_all_that_it_says_and_previewed_alike(
    program: Program, database_url: str
) -> None:
    async with running(settings_for(database_url, **BOOK_AT_ONCE, **NO_NOTICES)) as service:
        client = await documented(service)
        await open_account(client)
        account = await client.get("/api/v1/projects/alpha")
        used = Decimal(account["balance"]["used"])
        await grant(client, "alpha", str(2 * used), reason="budget")
        await wait_until(client, "alpha", granted=2 * used)
        await put(client, OF_PROJECT, {"credits": [str(used)]})
        async with asyncio.timeout(20):
            while not (listed := await client.get("/api/v1/projects/alpha/notices"))["notices"]:
                await asyncio.sleep(0.05)
        told = (await client.get(OF_PROJECT))["told"]
        by_command = await asyncio.to_thread(program, "notices", "list", "alpha", "--json")
        await put(client, OF_PROJECT, None)
        # What was used lies before the hour of the grant: a debt, and then a half.
        previewed = await asyncio.to_thread(
            program, "notices", "preview", "--since", "1d", "--credits", "-1", "--percents", "50",
            "--project", "alpha", "--json",
        )  # fmt: skip

    [notice] = listed["notices"]
    assert ("credits", None, f"{used:f}".rstrip("0").rstrip("."), None) == (
        notice["kind"],
        notice["percent"],
        notice["line"],
        notice["from_line"],
    )
    assert Decimal(notice["value"]) == Decimal(notice["balance"]) == used
    assert used == sum(Decimal(one["credits"]) for one in notice["facts"]["burned"])
    assert [("credits", None)] == [(one["kind"], one["rearmed_at"]) for one in told]
    assert json.loads(by_command.stdout)["notices"] == [notice]
    found = json.loads(previewed.stdout)
    assert [("credits", "-1", 0), ("percent", "50", 0)] == [
        (one["kind"], one["line"], one["mails"]) for one in found["notices"]
    ]
