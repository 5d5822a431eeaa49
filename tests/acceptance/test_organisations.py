"""Places of projects over HTTP and by command, as administrators and readers see them."""

import asyncio
from decimal import Decimal
from typing import Any

from os_credits.domain.access import Scope
from tests.acceptance.accounts import (
    BOOK_AT_ONCE,
    HOUR_SECONDS,
    current_hour,
    open_account,
    push,
    shown,
    vcpu,
)
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.documented import Documented, documented
from tests.acceptance.program import Program

PATH = "/api/v1/projects/alpha/organisation"
SERVERS, VCPU = "openstack_nova_server_status", "project_vcpu_usage"


async def place(client: Documented, name: str | None, start: int, status: int = 201) -> Any:
    body = {"organisation": name, "valid_from": shown(start), "reason": "it moved"}
    reply = await client.ask("POST", PATH, key="admin", json=body)
    assert reply.status == status, reply.text
    return reply.json


async def used(client: Documented, name: str, **params: str) -> dict[tuple[str, str], Decimal]:
    usage = await client.get(f"/api/v1/organisations/{name}/usage", params=params)
    lines = {(one["project"]["name"], one["meter"]): one["credits"] for one in usage["usage"]}
    assert Decimal(usage["credits"]) == sum(Decimal(one["credits"]) for one in usage["parts"])
    assert Decimal(usage["credits"]) == sum(map(Decimal, lines.values()))
    return {key: Decimal(amount) for key, amount in lines.items()}


async def test_usage_moves_with_the_place_and_keys_see_their_part(
    program: Program, database_url: str
) -> None:
    async with running(settings_for(database_url, **BOOK_AT_ONCE)) as service:
        client = await documented(service)
        hour = await open_account(client)
        other = [vcpu("beta", current_hour() - n * HOUR_SECONDS, 9.0 - n) for n in (2, 1)]
        await push(service, other)
        entries = await client.get("/api/v1/projects/alpha/entries")

        first = await place(client, "Biology & Co/A", hour - 4 * HOUR_SECONDS)
        again = await place(client, "Biology & Co/A", hour - 4 * HOUR_SECONDS, status=200)
        await place(client, "Medicine", hour - 3 * HOUR_SECONDS)
        told = await asyncio.to_thread(
            program, "project", "place", "beta", "--in", "Medicine",
            "--from", shown(hour - 9 * HOUR_SECONDS), "--reason", "new",
        )  # fmt: skip

        assert first == again
        assert first["organisation"] == "Biology & Co/A"
        assert told.stdout.startswith("beta belongs to Medicine from ")
        assert await used(client, "Biology%20&%20Co%2FA") == {
            ("alpha", SERVERS): Decimal("6.4"), ("alpha", VCPU): Decimal(10),
        }  # fmt: skip
        assert await used(client, "Medicine") == {
            ("alpha", SERVERS): Decimal("0.133333"),
            ("alpha", VCPU): Decimal("10.5"),
            ("beta", VCPU): Decimal(1),
        }
        assert await used(client, "%231", end=shown(hour - 4 * HOUR_SECONDS)) == {}
        assert entries == await client.get("/api/v1/projects/alpha/entries")

        await _assert_reads(client)
        half = {"start": shown(hour - 1800)}
        refused = await client.ask("GET", "/api/v1/organisations/Medicine/usage", params=half)
        assert (refused.status, "start: " in refused.json["message"]) == (400, True)
        table = await asyncio.to_thread(program, "project", "places", "alpha")
        assert "Medicine" in table.stdout
        nowhere = await asyncio.to_thread(
            program.json, "project", "place", "alpha", "--nowhere", "--reason", "ended"
        )
        assert (nowhere["organisation"], nowhere["reason"]) == (None, "ended")


async def _assert_reads(client: Documented) -> None:
    places = await client.get(PATH)
    assert [one["organisation"] for one in places["memberships"]] == ["Biology & Co/A", "Medicine"]
    everything = await client.get("/api/v1/organisations")
    assert everything == {
        "organisations": [
            {"id": 1, "name": "Biology & Co/A", "parent": None},
            {"id": 2, "name": "Medicine", "parent": None},
        ],
        "next": None,
    }
    mine = await client.service.new_key(Scope.READ, projects=frozenset({"beta"}))
    listed = await client.get("/api/v1/organisations", key=mine)
    assert [one["name"] for one in listed["organisations"]] == ["Medicine"]
    foreign = await client.ask("GET", "/api/v1/organisations/%231/usage", key=mine)
    assert foreign.status == 404
    part = await client.get("/api/v1/organisations/Medicine/usage", key=mine)
    assert [one["project"]["name"] for one in part["usage"]] == ["beta"]
    assert part["credits"] == "1.000000"
    body = {"organisation": None, "valid_from": "2026-01-01", "reason": "x"}
    reader = await client.ask("POST", PATH, key="read", json=body)
    assert reader.status == 403
