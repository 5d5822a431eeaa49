"""Accounts over HTTP: grants on terms, top-ups, voids, adjustments, transfers, allowances."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from os_credits.domain.access import Scope
from tests.acceptance.accounts import (
    BOOK_AT_ONCE,
    HOUR_SECONDS,
    USED,
    current_hour,
    grant,
    open_account,
    push,
    wait_until,
)
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.documented import Documented, Reply, documented
from tests.frozen_clock import freeze
from tests.portal import KEY, open_portal

ALPHA = "/api/v1/projects/alpha"
WRITERS = 20
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
STARTING_SECONDS_MAX = 20


@pytest.fixture
async def admin(service: Service) -> Documented:
    """Give a service that knows two projects, as nobody has used anything yet."""
    client = await documented(service)
    for name in ("alpha", "beta"):
        await tell(client, "/api/v1/projects", {"name": name}, status=201)
    return client


async def tell(
    client: Documented, path: str, body: dict[str, Any], *, status: int, key: str | None = "admin"
) -> Any:
    """Ask for a change that must be answered with this status; gives the answer's JSON."""
    reply = await client.ask("POST", path, key=key, json=body)
    assert reply.status == status, reply.text
    return reply.json


async def grants_of(client: Documented, project: str = "alpha") -> list[dict[str, Any]]:
    """List a project's grants."""
    found: list[dict[str, Any]] = (await client.get(f"/api/v1/projects/{project}/grants"))["grants"]
    return found


async def entries_of(client: Documented, project: str = "alpha") -> list[tuple[str, str]]:
    """List kind and amount of a project's entries."""
    entries = (await client.get(f"/api/v1/projects/{project}/entries"))["entries"]
    return [(one["kind"], one["amount"]) for one in entries]


async def left_of(client: Documented, project: str = "alpha") -> str:
    """Give what a project has left."""
    balance: dict[str, str] = (await client.get(f"/api/v1/projects/{project}"))["balance"]
    return balance["current"]


def month(number: int) -> str:
    """Name the month that lies so many after the current one."""
    now = datetime.now(UTC)
    years, index = divmod(now.year * 12 + now.month - 1 + number, 12)
    return f"{years:04}-{index + 1:02}"


def hours_ahead(count: int) -> str:
    """Write the full hour that lies so many ahead of the current one."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return (now + timedelta(hours=count)).isoformat().replace("+00:00", "Z")


# --- Every instruction, whatever it does


@dataclass(frozen=True)
class Asked:
    """An instruction: its path, its body, a body that means something else, what it makes.

    `made` counts what the lists of both projects together have more, or with another state.
    """

    path: str
    body: dict[str, Any]
    other: dict[str, Any]
    made: int


async def _grant_id(client: Documented) -> int:
    return int((await grant(client, "alpha", "100"))["grant_id"])


async def _new_grant(client: Documented) -> Asked:
    del client
    body = {"amount": "7", "reason": "x", "expires_at": hours_ahead(9), "priority": 3}
    return Asked(f"{ALPHA}/grants", body, {**body, "priority": 4}, made=2)


async def _top_up(client: Documented) -> Asked:
    path = f"{ALPHA}/grants/{await _grant_id(client)}/top-up"
    return Asked(path, {"amount": "7"}, {"amount": "7.000001"}, made=2)


async def _void(client: Documented) -> Asked:
    path = f"{ALPHA}/grants/{await _grant_id(client)}/void"
    return Asked(path, {"reason": "mistake"}, {"reason": "another one"}, made=2)


async def _adjust(client: Documented) -> Asked:
    await _grant_id(client)
    body = {"amount": "-7", "reason": "counted twice"}
    return Asked(f"{ALPHA}/adjustments", body, {**body, "amount": "7"}, made=1)


async def _transfer(client: Documented) -> Asked:
    await _grant_id(client)
    body = {"to": "beta", "amount": "7", "reason": "joint work", "expires_at": hours_ahead(5)}
    return Asked(f"{ALPHA}/transfers", body, {**body, "expires_at": hours_ahead(6)}, made=5)


async def _allowance(client: Documented) -> Asked:
    del client
    body = {"amount": "7", "first_month": month(0), "reason": "basic supply"}
    return Asked(f"{ALPHA}/allowances", body, {**body, "carries_over": True}, made=3)


async def _end(client: Documented) -> Asked:
    wanted = {"amount": "7", "first_month": month(1), "reason": "course"}
    made = await tell(client, f"{ALPHA}/allowances", wanted, status=201)
    body = {"end_month": month(3), "reason": "over"}
    path = f"{ALPHA}/allowances/{made['allowance_id']}/end"
    return Asked(path, body, {**body, "end_month": month(4)}, made=1)


INSTRUCTIONS: dict[str, Callable[[Documented], Awaitable[Asked]]] = {
    "grant": _new_grant,
    "top-up": _top_up,
    "void": _void,
    "adjustment": _adjust,
    "transfer": _transfer,
    "allowance": _allowance,
    "end of an allowance": _end,
}


async def test_one_key_is_one_effect_among_many_writers(
    admin: Documented, subtests: pytest.Subtests
) -> None:
    for name, prepare in INSTRUCTIONS.items():
        with subtests.test(instruction=name):
            await _told_at_once(admin, await prepare(admin), name)


async def _told_at_once(admin: Documented, asked: Asked, key: str) -> None:
    before = await _everything(admin)
    body = {**asked.body, "idempotency_key": key}

    replies = await asyncio.gather(
        *(admin.ask("POST", asked.path, key="admin", json=body) for _ in range(WRITERS))
    )
    other = await tell(admin, asked.path, {**asked.other, "idempotency_key": key}, status=409)

    assert sorted(one.status for one in replies) == [200] * (WRITERS - 1) + [201]
    assert len({_what_it_did(one) for one in replies}) == 1
    assert other["message"] == f"idempotency key {key!r} was used for something else"
    after = await _everything(admin)
    assert _length(after) - _length(before) == asked.made
    again = await tell(admin, asked.path, body, status=200)
    assert again["created"] is False
    assert await _everything(admin) == after


def _what_it_did(reply: Reply) -> tuple[Any, ...]:
    answer = reply.json
    return tuple(answer[f"{what}_id"] for what in ("grant", "transfer", "allowance", "entry"))


async def _everything(client: Documented) -> dict[str, list[Any]]:
    await _all_started(client)
    found = {}
    for project in ("alpha", "beta"):
        for name in ("entries", "grants", "transfers", "allowances"):
            page = await client.get(f"/api/v1/projects/{project}/{name}")
            found[f"{project} {name}"] = page[name]
    return found


async def _all_started(client: Documented) -> None:
    """Wait until the grants of allowances whose month has begun have their entries."""
    now = datetime.now(UTC).isoformat()
    async with asyncio.timeout(STARTING_SECONDS_MAX):
        while any(
            one["state"] == "scheduled" and one["valid_from"] <= now
            for one in await grants_of(client)
        ):
            await asyncio.sleep(0.05)


def _length(everything: dict[str, list[Any]]) -> int:
    ends = [one for one in everything["alpha allowances"] if one["end_month"]]
    voids = [one for one in everything["alpha grants"] if one["state"] == "void"]
    return sum(map(len, everything.values())) + len(ends) + len(voids)


async def test_only_administrators_change_accounts(
    admin: Documented, subtests: pytest.Subtests
) -> None:
    member = await admin.service.new_key(Scope.READ, projects=("alpha",))
    for name, prepare in INSTRUCTIONS.items():
        with subtests.test(instruction=name):
            asked = await prepare(admin)
            before = await _everything(admin)

            for key in (member, "read", "ingest"):
                await tell(admin, asked.path, asked.body, status=403, key=key)
            await tell(admin, asked.path, asked.body, status=401, key=None)
            nowhere = asked.path.replace("alpha", "nobody")
            message = (await tell(admin, nowhere, asked.body, status=404))["message"]

            assert message == "there is no project 'nobody'"
            assert await _everything(admin) == before


WRONG: list[tuple[str, dict[str, Any], int, str]] = [
    ("grants", {"amount": "1", "valid_from": "2026-01-01T00:30"}, 400, "valid_from: 2026-01-01"),
    ("grants", {"amount": "1", "expires_at": "2026-01-01T00:00:01"}, 400, "expires_at: 2026"),
    ("grants", {"amount": "1", "expires_at": "2020-01-01"}, 400, "expires_at: must be to come"),
    ("grants", {"amount": "1", "valid_from": "2030-01-01", "expires_at": "2030-01-01"}, 400,
     "expires_at: must be after valid_from"),
    ("grants", {"amount": "1", "valid_from": "soon"}, 400, "valid_from: must be a date"),
    ("grants", {"amount": "1", "valid_from": "0001-01-01"}, 400, "valid_from: must not be before"),
    ("grants", {"amount": "1", "priority": 1001}, 400, "priority: "),
    ("grants", {"amount": "1", "priority": 1.5}, 400, "priority: "),
    ("grants", {"amount": "1", "priority": True}, 400, "priority: "),
    ("grants/7/top-up", {"amount": "1"}, 404, "there is no grant 7 of this project"),
    ("grants/x/top-up", {"amount": "1"}, 404, "there is no grant 'x'"),
    ("grants/7/void", {"reason": "x"}, 404, "there is no grant 7 of this project"),
    ("grants/7/void", {}, 400, "reason: "),
    ("adjustments", {"amount": "0", "reason": "x"}, 400, "amount: must not be 0"),
    ("adjustments", {"amount": "1"}, 400, "reason: "),
    ("adjustments", {"amount": "1", "reason": ""}, 400, "reason: "),
    ("adjustments", {"amount": "1", "reason": "two\nlines"}, 400, "reason: "),
    ("adjustments", {"amount": 1.5, "reason": "x"}, 400, "amount: must be a text"),
    ("transfers", {"to": "beta", "amount": "1", "reason": "x"}, 409, "only 0.000000 credits are"),
    ("transfers", {"to": "alpha", "amount": "1", "reason": "x"}, 400, "to: is the same project"),
    ("transfers", {"to": "nobody", "amount": "1", "reason": "x"}, 404, "there is no project 'no"),
    ("transfers", {"to": "beta", "amount": "-1", "reason": "x"}, 400, "amount: must be more"),
    ("transfers", {"to": "beta", "amount": "1", "reason": "x", "expires_at": "2020-01-01T00:10"},
     400, "expires_at: 2020-01-01T00:10"),
    ("allowances", {"amount": "1", "first_month": "2026-13", "reason": "x"}, 400, "first_month: "),
    ("allowances", {"amount": "1", "first_month": "2026-01-01", "reason": "x"}, 400,
     "first_month: must be a month like 2026-01"),
    ("allowances", {"amount": "1", "first_month": "1970-01", "reason": "x"}, 400,
     "first_month: more than 120 months ago"),
    ("allowances", {"amount": "1", "first_month": "2030-01", "end_month": "2030-01",
                    "reason": "x"}, 400, "end_month: must be after first_month"),
    ("allowances", {"amount": "0", "first_month": "2030-01", "reason": "x"}, 400, "amount: "),
    ("allowances/7/end", {"end_month": "2030-01", "reason": "x"}, 404,
     "there is no allowance 7 of this project"),
]  # fmt: skip


async def test_what_makes_no_sense_is_refused_with_its_place(
    admin: Documented, subtests: pytest.Subtests
) -> None:
    before = await _everything(admin)
    for path, body, status, message in WRONG:
        with subtests.test(path=path, body=body):
            answer = await tell(admin, f"{ALPHA}/{path}", body, status=status)

            assert answer["message"].startswith(message), answer
    assert await _everything(admin) == before


ENDS_OF_TIME = [
    ("grants", {"amount": "1", "valid_from": "1970-01-01"}),
    ("grants", {"amount": "1", "expires_at": "9999-12-31T23:00Z"}),
    ("grants", {"amount": "1", "valid_from": "9999-12-31T22:00Z"}),
    ("grants", {"amount": "999999999999999999.999999"}),
    ("adjustments", {"amount": "-999999999999999999.999999", "reason": "x"}),
    ("allowances", {"amount": "1", "first_month": "9999-11", "reason": "x"}),
    ("allowances", {"amount": "1", "first_month": "2030-01", "end_month": "9999-12",
                    "reason": "x"}),
]  # fmt: skip


async def test_what_is_as_far_or_as_large_as_can_be_is_kept(admin: Documented) -> None:
    for path, body in ENDS_OF_TIME:
        await tell(admin, f"{ALPHA}/{path}", body, status=201)

    shown = [(one["valid_from"][:4], one["state"]) for one in await grants_of(admin)]
    assert [one for one in shown if one[0] in ("1970", "9999")] == [
        ("1970", "valid"), ("9999", "scheduled"),
    ]  # fmt: skip
    assert await left_of(admin) == "2.000000"


# --- Grants


async def test_grants_say_what_became_of_them_in_the_order_in_which_they_burn(
    database_url: str,
) -> None:
    async with running(settings_for(database_url, **BOOK_AT_ONCE)) as service:
        client = await documented(service)
        await open_account(client)
        hour = datetime.fromtimestamp(current_hour(), UTC)
        old = (hour - timedelta(hours=5)).isoformat()
        late = (hour + timedelta(hours=50)).isoformat()
        for amount, more in (
            ("20", {"valid_from": old, "priority": 5}),
            ("20", {"valid_from": old, "expires_at": late, "priority": 5}),
            ("5", {"valid_from": old}),
            ("1", {"valid_from": late}),
        ):
            await grant(client, "alpha", amount, **more)

        found = await grants_of(client)

        shown = [(one["burned"], one["left"], one["state"]) for one in found]
        assert shown == [
            ("2.033333", "17.966667", "valid"),
            ("20.000000", "0.000000", "valid"),
            ("5.000000", "0.000000", "valid"),
            ("0.000000", "1.000000", "scheduled"),
        ]
        assert [one["entry_id"] is None for one in found] == [False, False, False, True]
        assert Decimal(await left_of(client)) == 45 - USED


async def test_a_top_up_shares_the_terms_of_its_grant(admin: Documented) -> None:
    first = await grant(admin, "alpha", "10", expires_at=hours_ahead(7), priority=-2)

    path = f"{ALPHA}/grants/{first['grant_id']}/top-up"
    answer = await tell(admin, path, {"amount": "5", "reason": "more samples"}, status=201)

    [one, other] = await grants_of(admin)
    assert answer["balance"]["current"] == "15.000000"
    assert (other["tops_up"], other["reason"]) == (one["id"], "more samples")
    for name in ("valid_from", "expires_at", "priority", "kind", "state"):
        assert other[name] == one[name]
    path = path.replace("alpha", "beta")
    assert "no grant" in (await tell(admin, path, {"amount": "5"}, status=404))["message"]


async def test_a_void_takes_all_of_a_grant_back_by_an_entry_of_its_own(admin: Documented) -> None:
    first = await grant(admin, "alpha", "10", expires_at=hours_ahead(7))
    path = f"{ALPHA}/grants/{first['grant_id']}/void"

    answer = await tell(admin, path, {"reason": "wrong project"}, status=201)
    again = await tell(admin, path, {"reason": "once more"}, status=409)

    assert again["message"] == f"grant {first['grant_id']} was taken back already"
    assert answer["balance"]["current"] == "0.000000"
    [one] = await grants_of(admin)
    assert (one["state"], one["burned"], one["left"]) == ("void", "0.000000", "0.000000")
    assert await entries_of(admin) == [("grant", "10.000000"), ("grant", "-10.000000")]
    more = await tell(admin, path.replace("void", "top-up"), {"amount": "1"}, status=409)
    assert "is over" in more["message"]


async def test_a_scheduled_grant_is_taken_back_without_a_trace_in_the_ledger(
    admin: Documented,
) -> None:
    first = await grant(admin, "alpha", "10", valid_from=hours_ahead(2))
    path = f"{ALPHA}/grants/{first['grant_id']}/void"

    answer = await tell(admin, path, {"reason": "wrong project"}, status=201)

    assert (first["entry_id"], answer["entry_id"]) == (None, None)
    assert await entries_of(admin) == []
    assert [one["state"] for one in await grants_of(admin)] == ["void"]


async def test_a_grant_that_burns_is_not_taken_back(admin: Documented) -> None:
    first = await grant(admin, "alpha", "10", valid_from=hours_ahead(-3), priority=-1)
    second = await grant(admin, "alpha", "20", valid_from=hours_ahead(-3))
    hour = current_hour() - 2 * HOUR_SECONDS
    await push(admin.service, [named_vcpu(hour, 0), named_vcpu(hour + HOUR_SECONDS, 4)])
    await wait_until(admin, "alpha", used=Decimal(4))

    path = f"{ALPHA}/grants/{first['grant_id']}/void"
    refused = await tell(admin, path, {"reason": "mistake"}, status=409)
    await tell(
        admin, f"{ALPHA}/grants/{second['grant_id']}/void", {"reason": "mistake"}, status=201
    )

    number = first["grant_id"]
    assert refused["message"] == (
        f"something of grant {number} is burned: adjust the account instead"
    )
    assert [one["left"] for one in await grants_of(admin)] == ["6.000000", "0.000000"]
    assert await left_of(admin) == "6.000000"


def named_vcpu(seconds: int, value: float) -> str:
    """Write a line of a project that its name alone identifies."""
    return f"project_vcpu_usage,project_name=alpha value={value} {seconds}"


# --- Adjustments and transfers


async def test_an_adjustment_goes_either_way_and_says_why(admin: Documented) -> None:
    path = f"{ALPHA}/adjustments"
    up = await tell(admin, path, {"amount": "2.5", "reason": "an hour of outage"}, status=201)
    down = await tell(admin, path, {"amount": "-4", "reason": "lent out twice"}, status=201)

    assert (up["balance"]["current"], down["balance"]["current"]) == ("2.500000", "-1.500000")
    assert down["balance"]["granted"] == "0.000000"
    entries = (await admin.get(f"{ALPHA}/entries"))["entries"]
    assert [(one["id"], one["kind"], one["reason"]) for one in entries] == [
        (up["entry_id"], "adjustment", "an hour of outage"),
        (down["entry_id"], "adjustment", "lent out twice"),
    ]
    [one] = await grants_of(admin)
    assert (one["id"], one["kind"], one["burned"]) == (up["grant_id"], "adjustment", "2.500000")


async def test_a_transfer_is_an_entry_on_either_side(admin: Documented) -> None:
    await grant(admin, "alpha", "10")
    body = {"to": "beta", "amount": "4", "reason": "joint work", "expires_at": hours_ahead(30)}

    answer = await tell(admin, f"{ALPHA}/transfers", body, status=201)

    transfer = answer["transfer"]
    assert (transfer["sender"]["name"], transfer["receiver"]["name"]) == ("alpha", "beta")
    assert transfer["sender_entry_id"] == answer["entry_id"]
    assert await entries_of(admin) == [("grant", "10.000000"), ("transfer", "-4.000000")]
    [received] = (await admin.get("/api/v1/projects/beta/entries"))["entries"]
    assert (received["id"], received["kind"]) == (transfer["receiver_entry_id"], "transfer")
    assert (await left_of(admin), await left_of(admin, "beta")) == ("6.000000", "4.000000")
    [given] = await grants_of(admin)
    [lot] = await grants_of(admin, "beta")
    assert given["burned"] == "4.000000"
    assert (lot["id"], lot["kind"], lot["expires_at"]) == (
        transfer["grant_id"], "transfer", body["expires_at"],
    )  # fmt: skip
    too_much = await tell(admin, f"{ALPHA}/transfers", {**body, "amount": "6.000001"}, status=409)
    assert too_much["message"] == "only 6.000000 credits are left"


async def test_either_project_lists_its_transfers_page_by_page(admin: Documented) -> None:
    await grant(admin, "alpha", "10")
    body = {"to": "beta", "reason": "x"}
    for amount in ("1", "2"):
        await tell(admin, f"{ALPHA}/transfers", {**body, "amount": amount}, status=201)

    first = await admin.get(f"{ALPHA}/transfers?limit=1")
    rest = await admin.get(f"{ALPHA}/transfers?after={first['next']}")
    both = (await admin.get("/api/v1/projects/beta/transfers"))["transfers"]
    member = await admin.service.new_key(Scope.READ, projects=("beta",))
    [seen, _] = (await admin.get("/api/v1/projects/beta/transfers", key=member))["transfers"]

    assert (len(first["transfers"]), rest["next"]) == (1, None)
    assert both == first["transfers"] + rest["transfers"]
    # Who may not read the other project is not told its name.
    assert (seen["sender"], seen["receiver"]["name"]) == (None, "beta")


async def test_a_receiver_that_could_be_several_is_named_by_its_site(admin: Documented) -> None:
    await grant(admin, "alpha", "10")
    for site in ("a", "b"):
        twin = {"name": "twin", "site": site, "external_id": "t"}
        await tell(admin, "/api/v1/projects", twin, status=201)
    body = {"to": "twin", "amount": "1", "reason": "x"}

    refused = await tell(admin, f"{ALPHA}/transfers", body, status=409)
    done = await tell(admin, f"{ALPHA}/transfers", {**body, "to_site": "b"}, status=201)

    assert [one["site"] for one in refused["candidates"]] == ["a", "b"]
    assert done["transfer"]["receiver"]["site"] == "b"


# --- Allowances


async def test_an_allowance_gives_the_months_that_have_begun(admin: Documented) -> None:
    body = {"amount": "100", "first_month": month(-2), "reason": "supply", "priority": 2}

    made = await tell(admin, f"{ALPHA}/allowances", body, status=201)
    await wait_until(admin, "alpha", current=Decimal(100))

    given = await grants_of(admin)
    assert {one["allowance_id"] for one in given} == {made["allowance_id"]}
    assert [one["valid_from"][:7] for one in given] == [month(-2), month(-1), month(0)]
    assert [one["expires_at"][:7] for one in given] == [month(-1), month(0), month(1)]
    assert [one["state"] for one in given] == ["expired", "expired", "valid"]
    assert [(one["expired"], one["priority"]) for one in given] == [
        ("100.000000", 2), ("100.000000", 2), ("0.000000", 2),
    ]  # fmt: skip
    [listed] = (await admin.get(f"{ALPHA}/allowances"))["allowances"]
    assert (listed["first_month"], listed["granted_until"]) == (month(-2), month(1))
    assert (listed["end_month"], listed["is_over"]) == (None, False)


async def test_an_allowance_may_carry_over_and_end_of_itself(admin: Documented) -> None:
    body = {
        "amount": "100", "first_month": month(-2), "end_month": month(0), "reason": "course",
        "carries_over": True,
    }  # fmt: skip

    await tell(admin, f"{ALPHA}/allowances", body, status=201)
    await wait_until(admin, "alpha", current=Decimal(200))

    assert [one["expires_at"] for one in await grants_of(admin)] == [None, None]
    [listed] = (await admin.get(f"{ALPHA}/allowances"))["allowances"]
    assert (listed["end_month"], listed["is_over"]) == (month(0), True)


async def test_an_allowance_ends_once_and_not_in_the_past(admin: Documented) -> None:
    body = {"amount": "100", "first_month": month(0), "reason": "supply"}
    number = (await tell(admin, f"{ALPHA}/allowances", body, status=201))["allowance_id"]
    path = f"{ALPHA}/allowances/{number}/end"

    early = await tell(admin, path, {"end_month": month(0), "reason": "x"}, status=409)
    await tell(admin, path, {"end_month": month(1), "reason": "over"}, status=201)
    late = await tell(admin, path, {"end_month": month(2), "reason": "x"}, status=409)

    assert early["message"].startswith(f"months before {month(1)} are given already")
    assert late["message"] == f"it ends with {month(1)} already"
    [listed] = (await admin.get(f"{ALPHA}/allowances"))["allowances"]
    assert (listed["end_month"], listed["is_over"]) == (month(1), True)


# --- As time passes


async def test_a_grant_starts_with_its_hour_and_its_rest_ends_with_another(
    database_url: str,
) -> None:
    expires = NOON + timedelta(hours=4)

    async with at(database_url, NOON) as client:
        await tell(client, "/api/v1/projects", {"name": "alpha"}, status=201)
        await grant(client, "alpha", "10", reason="first", expires_at=expires.isoformat())
        starts = (NOON + timedelta(hours=2)).isoformat()
        made = await grant(client, "alpha", "5", valid_from=starts)
        assert (made["entry_id"], made["balance"]["current"]) == (None, "10.000000")

    async with at(database_url, NOON + timedelta(hours=2)) as client:
        await wait_until(client, "alpha", current=Decimal(15))
        hour = int(NOON.timestamp())
        await push(client.service, [named_vcpu(hour, 0), named_vcpu(hour + HOUR_SECONDS, 4)])
        await wait_until(client, "alpha", current=Decimal(11))

    async with at(database_url, expires) as client:
        await wait_until(client, "alpha", current=Decimal(5), expiring=Decimal(0), tally=Decimal(0))
        found = await grants_of(client)
        entries = await entries_of(client)

    shown = [(one["burned"], one["expired"], one["left"], one["state"]) for one in found]
    assert shown == [
        ("4.000000", "6.000000", "0.000000", "expired"),
        ("0.000000", "0.000000", "5.000000", "valid"),
    ]
    assert sorted(entries) == [
        ("expiry", "-6.000000"), ("grant", "10.000000"), ("grant", "5.000000"),
        ("usage", "-4.000000"),
    ]  # fmt: skip


async def test_an_allowance_gives_when_the_month_begins(database_url: str) -> None:
    async with at(database_url, datetime(2026, 1, 31, 23, tzinfo=UTC)) as client:
        await tell(client, "/api/v1/projects", {"name": "alpha"}, status=201)
        body = {"amount": "100", "first_month": "2026-02", "reason": "supply"}
        await tell(client, f"{ALPHA}/allowances", body, status=201)
        assert await grants_of(client) == []

    for number, given in ((2, Decimal(100)), (3, Decimal(200))):
        async with at(database_url, datetime(2026, number, 1, tzinfo=UTC)) as client:
            await wait_until(client, "alpha", granted=given)
            assert await left_of(client) == "100.000000"


class at:  # noqa: N801 - reads as a word
    """A service whose database stands still at a moment."""

    def __init__(self, database_url: str, moment: datetime) -> None:
        freeze(database_url, moment)
        self._running = running(settings_for(database_url, **BOOK_AT_ONCE))

    async def __aenter__(self) -> Documented:
        return await documented(await self._running.__aenter__())

    async def __aexit__(self, *error: Any) -> None:  # noqa: PYI036 - handed on
        await self._running.__aexit__(*error)


# --- The portal


async def test_the_service_follows_its_portal_and_says_how_that_fares(database_url: str) -> None:
    async with open_portal() as portal:
        portal.answers["alpha"] = "12.5"
        settings = settings_for(
            database_url,
            portal_url=portal.url,
            portal_key=KEY,
            portal_poll_interval_seconds=0.2,
        )
        async with running(settings) as service:
            client = await documented(service)
            await tell(client, "/api/v1/projects", {"name": "alpha"}, status=201)
            await wait_until(client, "alpha", current=Decimal("12.5"))
            portal.answers["alpha"] = "10"
            await wait_until(client, "alpha", current=Decimal(10))
            portal.status = 500
            job = await _job_that_failed(client, "portal")

        assert job["last_error"] == "Unavailable: the portal answered with status 500"
        assert set(portal.asked) == {"alpha"}


async def _job_that_failed(client: Documented, name: str) -> dict[str, Any]:
    async with asyncio.timeout(STARTING_SECONDS_MAX):
        while True:
            async with client.service.request("GET", "/stats", key="admin") as response:
                jobs = {one["name"]: one for one in (await response.json())["jobs"]}
            job: dict[str, Any] = jobs[name]
            if job["failures"]:
                return job
            await asyncio.sleep(0.05)
