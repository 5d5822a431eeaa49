"""What administrators do over HTTP: projects, owners, grants, prices, keys."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from os_credits.domain.access import Scope
from tests.acceptance.accounts import (
    HOUR_SECONDS,
    current_hour,
    grant,
    push,
    shown,
    vcpu,
    wait_until,
)
from tests.acceptance.conftest import Service
from tests.acceptance.documented import Documented, documented

VCPU = "project_vcpu_usage"
GRANTS = "/api/v1/projects/alpha/grants"
OWNERS = "/api/v1/projects/alpha/owners"


@pytest.fixture
async def admin(service: Service) -> Documented:
    """Give a service that knows one project, as nobody has used anything yet."""
    client = await documented(service)
    reply = await client.ask("POST", "/api/v1/projects", key="admin", json={"name": "alpha"})
    assert reply.status == 201
    return client


async def test_a_project_is_created_once(admin: Documented) -> None:
    wanted = {"name": "new/one", "site": "s", "external_id": "x-1", "domain": "d"}

    first = await admin.ask("POST", "/api/v1/projects", key="admin", json=wanted)
    second = await admin.ask("POST", "/api/v1/projects", key="admin", json=wanted)

    assert (first.status, second.status) == (201, 200)
    assert first.json["id"] == second.json["id"]
    assert (await admin.get("/api/v1/projects/new%2Fone"))["external_id"] == "x-1"


BAD_PROJECTS: list[tuple[object, str]] = [
    ({}, "name"),
    ({"name": ""}, "name"),
    ({"name": "a\0b"}, "name"),
    ({"name": "a" * 1025}, "name"),
    ({"name": "a", "site": 1}, "site"),
    ({"name": "a", "colour": "red"}, "colour"),
    ([], "body"),
]


async def test_a_bad_project_is_refused(admin: Documented, subtests: pytest.Subtests) -> None:
    for wanted, place in BAD_PROJECTS:
        with subtests.test(wanted=wanted, place=place):
            reply = await admin.ask("POST", "/api/v1/projects", key="admin", json=wanted)

            assert reply.status == 400
            assert reply.json["message"].startswith(f"{place}:")


async def test_samples_of_a_created_project_are_its_own(admin: Documented) -> None:
    hour = current_hour() - 2 * HOUR_SECONDS
    project = {"name": "budgeted", "site": "site1", "external_id": "id/budgeted"}
    await admin.ask("POST", "/api/v1/projects", key="admin", json=project)
    await grant(admin, "budgeted", "10")
    lines = [vcpu("budgeted", hour, 0), vcpu("budgeted", hour + HOUR_SECONDS, 4)]
    await push(admin.service, lines)

    account = await wait_until(admin, "budgeted", used=Decimal(4))

    assert account["balance"]["current"] == "6.000000"


async def test_a_grant_is_given_once_for_its_key(admin: Documented) -> None:
    wanted = {"amount": "100.5", "reason": "budget", "idempotency_key": "2026"}

    replies = await asyncio.gather(
        *(admin.ask("POST", GRANTS, key="admin", json=wanted) for _ in range(5))
    )

    assert sorted(reply.status for reply in replies) == [200, 200, 200, 200, 201]
    assert {reply.json["balance"]["current"] for reply in replies} == {"100.500000"}
    assert len({reply.json["entry_id"] for reply in replies}) == 1
    [stored] = (await admin.get(GRANTS))["grants"]
    assert (stored["amount"], stored["reason"], stored["author"]) == (
        "100.500000", "budget", "test",
    )  # fmt: skip


async def test_a_key_that_granted_something_else_is_a_conflict(admin: Documented) -> None:
    await grant(admin, "alpha", "1", idempotency_key="k")
    await admin.ask("POST", "/api/v1/projects", key="admin", json={"name": "beta"})

    more = await admin.ask(
        "POST", GRANTS, key="admin", json={"amount": "2"}, headers={"Idempotency-Key": "k"}
    )
    other = await admin.ask(
        "POST",
        "/api/v1/projects/beta/grants",
        key="admin",
        json={"amount": "1", "idempotency_key": "k"},
    )

    assert (more.status, other.status) == (409, 409)
    assert (await admin.get("/api/v1/projects/alpha"))["balance"]["granted"] == "1.000000"


async def test_grants_without_a_key_add_up(admin: Documented) -> None:
    await grant(admin, "alpha", "1")
    answer = await grant(admin, "alpha", "0.000001")

    assert answer["balance"]["granted"] == "1.000001"
    first = await admin.get(f"{GRANTS}?limit=1")
    rest = await admin.get(f"{GRANTS}?after={first['next']}")
    assert [one["amount"] for one in first["grants"] + rest["grants"]] == ["1.000000", "0.000001"]


NO_AMOUNTS: list[object] = [
    "0", "-1", "0.0000001", "NaN", "Infinity", "1e22", "9" * 30, "1e999999999", "1_0", "٣",
    "", "ten", 1.5, True, None, [], "1" * 5000,
]  # fmt: skip


async def test_an_amount_that_is_none_is_refused(
    admin: Documented, subtests: pytest.Subtests
) -> None:
    for amount in NO_AMOUNTS:
        with subtests.test(amount=amount):
            reply = await admin.ask("POST", GRANTS, key="admin", json={"amount": amount})

            assert reply.status == 400
            assert reply.json["message"].startswith("amount:")
            assert (await admin.get(GRANTS))["grants"] == []


async def test_idempotency_keys_that_differ_are_refused(admin: Documented) -> None:
    wanted = {"amount": "1", "idempotency_key": "a"}

    reply = await admin.ask(
        "POST", GRANTS, key="admin", json=wanted, headers={"Idempotency-Key": "b"}
    )

    assert reply.status == 400
    assert "Idempotency-Key" in reply.json["message"]


async def test_a_grant_to_nobody_is_not_found(admin: Documented) -> None:
    reply = await admin.ask(
        "POST", "/api/v1/projects/nobody/grants", key="admin", json={"amount": "1"}
    )

    assert reply.status == 404


async def test_a_body_that_a_form_could_send_is_refused(admin: Documented) -> None:
    """A page of someone else must not be able to use what a browser has stored."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        reply = await admin.ask(
            "POST", GRANTS, key="admin", data='{"amount": "1"}',
            headers={"Content-Type": content_type},
        )  # fmt: skip
        assert reply.status == 415


async def test_a_price_is_previewed_and_then_set(admin: Documented) -> None:
    hour = current_hour() - 3 * HOUR_SECONDS
    await push(admin.service, [vcpu("alpha2", hour, 0), vcpu("alpha2", hour + HOUR_SECONDS, 4)])
    await wait_until(admin, "alpha2", used=Decimal(4))
    wanted = {"meter": VCPU, "credits_per_unit": "1.25", "valid_from": shown(hour)}

    preview = await admin.ask(
        "POST", "/api/v1/prices", key="admin", json={**wanted, "preview": True}
    )
    unchanged = await admin.get("/api/v1/projects/alpha2")
    done = await admin.ask("POST", "/api/v1/prices", key="admin", json=wanted)
    changed = await admin.get("/api/v1/projects/alpha2")

    assert (preview.status, preview.json["credits"], preview.json["price_id"]) == (
        200, "1.000000", None,
    )  # fmt: skip
    assert (done.status, done.json["credits"], done.json["hour_count"]) == (201, "1.000000", 1)
    assert (unchanged["balance"]["used"], changed["balance"]["used"]) == ("4.000000", "5.000000")


async def test_prices_are_listed_with_the_ones_in_effect(admin: Documented) -> None:
    async def set_price(**wanted: Any) -> None:
        reply = await admin.ask("POST", "/api/v1/prices", key="admin", json=wanted)
        assert reply.status == 201, reply.text

    past = shown(current_hour() - 5 * HOUR_SECONDS)
    await set_price(meter=VCPU, credits_per_unit="2", valid_from=past)
    await set_price(meter=VCPU, credits_per_unit=3, valid_from=past)
    await set_price(meter=VCPU, credits_per_unit="none")
    await set_price(meter=VCPU, flavor="big", credits_per_unit="9.000000000001", valid_from=past)

    prices = (await admin.get(f"/api/v1/prices?meter={VCPU}"))["prices"]

    shape = [(one["flavor"], one["credits_per_unit"], one["in_effect"]) for one in prices]
    assert shape == [
        (None, "1", False),
        (None, "2", False),
        (None, "3", True),
        (None, None, False),
        ("big", "9.000000000001", True),
    ]
    assert len((await admin.get(f"/api/v1/prices?meter={VCPU}&flavor="))["prices"]) == 4
    meters = {one["name"]: one for one in (await admin.get("/api/v1/meters"))["meters"]}
    assert meters[VCPU]["credits_per_unit"] == "3"


BAD_PRICES: list[tuple[dict[str, Any], int, str]] = [
    ({"credits_per_unit": "1"}, 400, "meter"),
    ({"meter": VCPU}, 400, "credits_per_unit"),
    ({"meter": VCPU, "credits_per_unit": 1.5}, 400, "credits_per_unit"),
    ({"meter": VCPU, "credits_per_unit": "-1"}, 400, "credits_per_unit"),
    ({"meter": VCPU, "credits_per_unit": "0.0000000000001"}, 400, "credits_per_unit"),
    (
        {"meter": VCPU, "credits_per_unit": "1", "valid_from": "2026-01-01T00:30"},
        400,
        "valid_from",
    ),
    ({"meter": VCPU, "credits_per_unit": "1", "valid_from": "soon"}, 400, "valid_from"),
    ({"meter": VCPU, "credits_per_unit": "1", "flavor": ""}, 400, "flavor"),
    ({"meter": "nothing", "credits_per_unit": "1"}, 404, "there is no meter"),
]


async def test_a_bad_price_is_refused(admin: Documented, subtests: pytest.Subtests) -> None:
    for wanted, status, place in BAD_PRICES:
        with subtests.test(wanted=wanted, status=status, place=place):
            reply = await admin.ask("POST", "/api/v1/prices", key="admin", json=wanted)

            assert reply.status == status
            assert reply.json["message"].startswith(place)


async def test_a_key_works_until_it_is_revoked(admin: Documented) -> None:
    wanted = {"name": "portal", "scopes": ["read"], "projects": ["alpha"]}
    made = (await admin.ask("POST", "/api/v1/keys", key="admin", json=wanted)).json
    assert (await admin.ask("GET", "/api/v1/projects/alpha", key=made["key"])).status == 200

    revoked = await admin.ask("DELETE", f"/api/v1/keys/{made['id']}", key="admin")

    assert revoked.json["revoked_at"] is not None
    async with asyncio.timeout(10):
        while True:
            if (await admin.ask("GET", "/api/v1/projects", key=made["key"])).status == 401:
                break
            await asyncio.sleep(0.2)
    listed = await admin.ask("GET", "/api/v1/keys", key="admin")
    assert made["key"] not in listed.text
    assert "portal" in {one["name"] for one in listed.json["keys"]}


BAD_KEYS: list[tuple[dict[str, Any], str]] = [
    ({"scopes": ["read"]}, "name"),
    ({"name": "a", "scopes": []}, "scopes"),
    ({"name": "a", "scopes": ["root"]}, "scopes"),
    ({"name": "a", "scopes": "read"}, "scopes"),
    ({"name": "a", "scopes": ["read"], "sites": ["s"]}, "sites"),
    ({"name": "a", "scopes": ["read"], "projects": []}, "projects"),
    ({"name": "a", "scopes": ["read"], "projects": [""]}, "projects"),
    ({"name": "a\nb", "scopes": ["read"]}, "name"),
]


async def test_a_bad_key_is_refused(admin: Documented, subtests: pytest.Subtests) -> None:
    for wanted, place in BAD_KEYS:
        with subtests.test(wanted=wanted, place=place):
            reply = await admin.ask("POST", "/api/v1/keys", key="admin", json=wanted)

            assert reply.status == 400
            assert reply.json["message"].startswith(place)


async def test_a_key_that_is_not_there_cannot_be_revoked(admin: Documented) -> None:
    for key_id in ("999", "none", "-1", "9" * 30):
        assert (await admin.ask("DELETE", f"/api/v1/keys/{key_id}", key="admin")).status == 404


async def test_reading_changes_nothing_that_belongs_to_administrators(admin: Documented) -> None:
    member = await admin.service.new_key(Scope.READ, projects=("alpha",))
    changes: list[tuple[str, str, Any]] = [
        ("POST", "/api/v1/projects", {"name": "x"}),
        ("GET", OWNERS, None),
        ("PUT", OWNERS, {"owners": []}),
        ("DELETE", OWNERS, None),
        ("POST", GRANTS, {"amount": "1"}),
        ("POST", "/api/v1/prices", {"meter": VCPU, "credits_per_unit": "0"}),
        ("GET", "/api/v1/keys", None),
        ("POST", "/api/v1/keys", {"name": "x", "scopes": ["admin"]}),
        ("DELETE", "/api/v1/keys/1", None),
    ]
    for method, path, body in changes:
        for key in (member, "read", "ingest"):
            assert (await admin.ask(method, path, key=key, json=body)).status == 403
        assert (await admin.ask(method, path, key=None, json=body)).status == 401
