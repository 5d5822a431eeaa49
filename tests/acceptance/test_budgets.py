"""A tree of organisations with budgets, over HTTP and by command: who is limited by what."""

import asyncio
from decimal import Decimal
from typing import Any

from os_credits.domain.access import Scope
from tests.acceptance.accounts import (
    BOOK_AT_ONCE,
    HOUR_SECONDS,
    USED,
    grant,
    open_account,
    shown,
)
from tests.acceptance.conftest import running, settings_for
from tests.acceptance.documented import Documented, documented
from tests.acceptance.program import Program

NODE = "/api/v1/organisations"
BALANCE = "/api/v1/projects/alpha/balance"


async def tell(client: Documented, path: str, status: int = 201, **body: Any) -> Any:
    reply = await client.ask("POST", path, key="admin", json=body)
    assert reply.status == status, reply.text
    return reply.json


async def plant(client: Documented, hour: int) -> str:
    """Put alpha into a team of a university, since four hours ago; gives that hour."""
    start = shown(hour - 4 * HOUR_SECONDS)
    for name in ("University", "Team"):
        made = await tell(client, NODE, name=name)
        assert made == await tell(client, NODE, status=200, name=name)
    said: dict[str, Any] = {"parent": "University", "valid_from": start, "reason": "founded"}
    place = await tell(client, f"{NODE}/Team/parent", **said)
    assert place == await tell(client, f"{NODE}/Team/parent", status=200, **said)
    where: dict[str, Any] = {"organisation": "Team", "valid_from": start, "reason": "applied"}
    await tell(client, "/api/v1/projects/alpha/organisation", **where)
    return start


async def test_the_least_budget_above_limits_a_project_and_the_answer_names_it(
    program: Program, database_url: str
) -> None:
    async with running(settings_for(database_url, **BOOK_AT_ONCE)) as service:
        client = await documented(service)
        start = await plant(client, await open_account(client))

        assert await limits(client) == (-USED, None, {})
        await tell(client, f"{NODE}/University/budgets", amount="100", reason="2026",
                   valid_from=start)  # fmt: skip
        assert await limits(client) == (100 - USED, "University", {"University": 100 - USED})
        await grant(client, "alpha", "50", reason="start")
        assert await limits(client) == (50 - USED, "alpha",
                                        {"alpha": 50 - USED, "University": 100 - USED})  # fmt: skip
        given = await asyncio.to_thread(
            program.json, "organisation", "budget", "give", "Team", "30", "--reason", "own",
            "--from", start, "--idempotency-key", "once",
        )  # fmt: skip
        assert (await limits(client))[:2] == (30 - USED, "Team")

        await _assert_balances(client, start, given)
        await _assert_limited_key(client)
        await _assert_commands(program)


async def limits(client: Documented) -> tuple[Decimal, str | None, dict[str, Decimal]]:
    found = await client.get(BALANCE)
    assert Decimal(found["used"]) == USED
    by = found["limited_by"]
    return (
        Decimal(found["usable"]),
        by and by["name"],
        {one["name"]: Decimal(one["balance"]) for one in found["levels"]},
    )


async def _assert_balances(client: Documented, start: str, given: Any) -> None:
    again = {"amount": "30", "reason": "own", "valid_from": start, "idempotency_key": "once"}
    repeated = await tell(client, f"{NODE}/Team/budgets", status=200, **again)
    assert (repeated["id"], repeated["created"]) == (given["id"], False)
    await tell(client, f"{NODE}/Team/budgets", status=409, **{**again, "amount": "31"})
    [listed] = (await client.get(f"{NODE}/Team/budgets"))["budgets"]
    assert (listed["burned"], listed["left"]) == (f"{USED}", f"{30 - USED}")
    university = await client.get(f"{NODE}/University/balance")
    assert (university["balance"], university["used"]) == (f"{100 - USED}", f"{USED}")
    burned = f"{NODE}/Team/budgets/{given['id']}/void"
    await tell(client, burned, status=409, reason="twice")
    later = await tell(client, f"{NODE}/Team/budgets", amount="9", reason="2030",
                       valid_from="2030-01-01")  # fmt: skip
    assert (later["state"], later["left"]) == ("scheduled", "9.000000")
    void = await tell(client, f"{NODE}/Team/budgets/{later['id']}/void", reason="too early")
    assert (void["state"], void["left"]) == ("void", "0.000000")
    await tell(client, f"{NODE}/Team/budgets/{later['id']}/void", status=200, reason="again")
    await tell(
        client, f"{NODE}/University/budgets/{given['id']}/void", status=404, reason="not its"
    )
    ring = {"parent": "Team", "valid_from": shown(0), "reason": "ring"}
    refused = await client.ask("POST", f"{NODE}/University/parent", key="admin", json=ring)
    assert (refused.status, "beneath itself" in refused.json["message"]) == (409, True)


async def _assert_limited_key(client: Documented) -> None:
    """See what can be used and who limits, and no organisation's balance."""
    mine = await client.service.new_key(Scope.READ, projects=frozenset({"alpha"}))
    found = await client.get(BALANCE, key=mine)
    assert (found["usable"], found["limited_by"]["name"]) == (f"{30 - USED}", "Team")
    assert [one["kind"] for one in found["levels"]] == ["project"]
    for path in ("balance", "budgets"):
        reply = await client.ask("GET", f"{NODE}/Team/{path}", key=mine)
        assert reply.status == 403
    usage = await client.get(f"{NODE}/University/usage", key=mine)
    assert usage["credits"] == f"{USED}"
    [part] = usage["parts"]
    assert (part["organisation"]["name"], part["credits"]) == ("Team", f"{USED}")
    listed = (await client.get(NODE, key=mine))["organisations"]
    assert [(one["name"], one["parent"] and one["parent"]["name"]) for one in listed] == [
        ("University", None), ("Team", "University"),
    ]  # fmt: skip
    own = await client.get(f"{NODE}/University/usage", params={"own": "true"})
    assert (own["credits"], own["parts"]) == ("0.000000", [])
    other = await client.service.new_key(Scope.READ, projects=frozenset({"beta"}))
    assert (await client.get(NODE, key=other))["organisations"] == []
    assert (await client.ask("GET", f"{NODE}/Team/parent", key=other)).status == 404


async def _assert_commands(program: Program) -> None:
    balance = await asyncio.to_thread(program, "organisation", "balance", "Team")
    assert balance.stdout.split()[-2:] == ["left", f"{30 - USED:.2f}"]
    table = await asyncio.to_thread(program, "organisation", "list")
    assert table.stdout.splitlines()[2].split() == ["#2", "Team", "University"]
    budgets = await asyncio.to_thread(program, "organisation", "budget", "list", "Team")
    assert "scheduled" not in budgets.stdout
    assert "void" in budgets.stdout
    ring = await asyncio.to_thread(
        program.refuse, "organisation", "place", "University", "--in", "Team", "--reason", "x"
    )
    assert "beneath itself" in ring
    moved = await asyncio.to_thread(
        program, "organisation", "place", "Team", "--nowhere", "--reason", "reform"
    )
    assert moved.stdout.startswith("Team lies in no other organisation from ")
    places = await asyncio.to_thread(program, "organisation", "places", "Team")
    assert "reform" in places.stdout
    alone = await asyncio.to_thread(program.json, "project", "show", "alpha")
    assert alone["balance"]["limited_by"]["name"] == "Team"
