"""People log in over HTTP, do what they may, and what they did stands in the audit log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from os_credits.domain.visit import SESSION_COOKIE
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.documented import Documented, documented
from tests.acceptance.visitors import PASSWORD, Person, cookie_of, invited, log_in, person
from tests.dump import holding
from tests.integration.mail_server import mail_server

ADA = "ada@lab.example"
OTHER = "another lake of violins"


@pytest.fixture
async def client(service: Service) -> Documented:
    return await documented(service)


async def project(client: Documented, name: str, *owners: str) -> None:
    made = await client.ask("POST", "/api/v1/projects", key="admin", json={"name": name})
    assert made.status == 201
    for email in owners:
        put = await client.ask(
            "PUT", f"/api/v1/projects/{name}/owners/{email}", key="admin", json={}
        )
        assert put.status == 201


# --- Logging in and out


async def test_a_person_logs_in_and_is_told_who_it_is(client: Documented) -> None:
    await project(client, "alpha", "Ada@lab.example")
    number, token = await invited(client, ADA, name="Ada Krause", language="de")
    chosen = await client.ask(
        "POST", "/api/v1/passwords", key=None, json={"token": token, "password": PASSWORD}
    )
    assert chosen.status == 200

    reply = await log_in(client, "ADA@lab.example")

    assert reply.status == 200
    assert reply.headers["Cache-Control"] == "no-store"
    assert "WWW-Authenticate" not in reply.headers
    attributes = {part.strip().lower() for part in reply.headers["Set-Cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/", "max-age=604800"} <= attributes
    ada = Person(client, cookie_of(reply), reply.json["csrf"])
    who = await ada.get("/api/v1/session")
    assert who == reply.json
    assert (who["login"]["id"], who["login"]["name"], who["project_count"]) == (
        number, "Ada Krause", 1,
    )  # fmt: skip
    assert [(one["project"]["name"], one["role"]) for one in who["projects"]] == [
        ("alpha", "owner")
    ]


async def test_a_session_is_over_in_every_copy_once_it_was_ended(database_url: str) -> None:
    async with (
        running(settings_for(database_url)) as one,
        running(settings_for(database_url)) as two,
    ):
        here, there = await documented(one), await documented(two)
        ada = await person(here, ADA)
        elsewhere = await ada.at(there)
        assert (await elsewhere.ask("GET", "/api/v1/session")).status == 200

        gone = await ada.ask("DELETE", "/api/v1/session")

        assert (gone.status, gone.json) == (200, {"ended_count": 1})
        assert f'{SESSION_COOKIE}=""' in gone.headers["Set-Cookie"]
        for each in (ada, elsewhere):
            assert (await each.ask("GET", "/api/v1/session")).status == 401
        assert (await elsewhere.ask("DELETE", "/api/v1/session")).status == 401


async def test_one_sees_ones_sessions_and_ends_them(client: Documented) -> None:
    ada = await person(client, ADA)
    others = [Person(client, cookie_of(await log_in(client, ADA)), "") for _ in range(3)]

    listed = (await ada.get("/api/v1/session/others"))["sessions"]
    assert [one["is_this"] for one in listed].count(True) == 1
    assert len(listed) == 4
    latest = next(one["id"] for one in listed if not one["is_this"])
    ended = await ada.ask("DELETE", f"/api/v1/session/others/{latest}")
    assert (ended.status, ended.json) == (200, {"ended_count": 1})
    assert (await ada.ask("DELETE", f"/api/v1/session/others/{latest}")).status == 404
    assert (await ada.ask("DELETE", "/api/v1/session/others")).json == {"ended_count": 2}

    assert (await ada.ask("GET", "/api/v1/session")).status == 200
    assert {(await one.ask("GET", "/api/v1/session")).status for one in others} == {401}


@pytest.mark.parametrize("csrf", ["", "wrong", "0" * 64, "ä"])
async def test_a_change_by_cookie_needs_the_sessions_token(client: Documented, csrf: str) -> None:
    ada = await person(client, ADA)

    reply = await ada.ask(
        "PATCH", "/api/v1/session", json={"name": "Mallory"}, headers={"X-CSRF-Token": csrf}
    )

    assert reply.status == 403
    assert (await ada.get("/api/v1/session"))["login"]["name"] == ""


async def test_a_page_of_another_site_can_neither_change_nor_log_in(client: Documented) -> None:
    ada = await person(client, ADA)
    foreign = {"Origin": "https://evil.example"}

    changed = await ada.ask("PATCH", "/api/v1/session", json={"name": "X"}, headers=foreign)
    body = {"email": ADA, "password": PASSWORD}
    entered = await client.ask("POST", "/api/v1/session", key=None, json=body, headers=foreign)

    assert (changed.status, entered.status) == (403, 403)


async def test_no_key_is_a_person(client: Documented) -> None:
    for scope in ("read", "admin", "ingest"):
        assert (await client.ask("GET", "/api/v1/session", key=scope)).status in (401, 403)


async def test_a_hundred_tries_at_once_do_not_get_through(client: Documented) -> None:
    await person(client, ADA)

    replies = await asyncio.gather(
        *(log_in(client, ADA, f"guess number {number}") for number in range(100))
    )

    statuses = [one.status for one in replies]
    assert statuses.count(401) == 5
    assert statuses.count(429) == 95
    assert all(int(one.headers["Retry-After"]) > 0 for one in replies if one.status == 429)
    late = await log_in(client, ADA)
    assert (late.status, late.json["error"]) == (429, "too many requests")
    assert 0 < int(late.headers["Retry-After"]) <= 60


async def test_refusals_tell_nothing(client: Documented) -> None:
    await person(client, ADA)
    number, _ = await invited(client, "gone@lab.example")
    await client.ask("PATCH", f"/api/v1/logins/{number}", key="admin", json={"is_disabled": True})

    replies = [
        await log_in(client, email, password)
        for email, password in (
            (ADA, "wrong"), ("gone@lab.example", PASSWORD), ("nobody@lab.example", PASSWORD),
            ("'; DROP TABLE login; --", PASSWORD),
        )
    ]  # fmt: skip

    assert {one.status for one in replies} == {401}
    assert len({one.text for one in replies}) == 1


# --- Passwords and links


async def test_another_password_needs_the_present_one(client: Documented) -> None:
    ada = await person(client, ADA)
    path = "/api/v1/session/password"

    wrong = await ada.ask("PUT", path, json={"old_password": "wrong", "password": OTHER})
    weak = await ada.ask("PUT", path, json={"old_password": PASSWORD, "password": ADA})
    good = await ada.ask("PUT", path, json={"old_password": PASSWORD, "password": OTHER})

    assert (wrong.status, weak.status, good.status) == (400, 400, 200)
    assert "old_password" in wrong.json["message"]
    assert (await log_in(client, ADA)).status == 401
    assert (await log_in(client, ADA, OTHER)).status == 200
    assert (await ada.ask("GET", "/api/v1/session")).status == 200


async def test_a_link_sets_a_password_once(client: Documented) -> None:
    _, token = await invited(client, ADA)
    body = {"token": token, "password": PASSWORD}

    first = await client.ask("POST", "/api/v1/passwords", key=None, json=body)
    again = await client.ask("POST", "/api/v1/passwords", key=None, json=body)

    assert (first.status, again.status) == (200, 404)
    assert first.json["email"] == ADA


async def test_an_old_link_leads_nowhere(client: Documented, owner_database_url: str) -> None:
    _, token = await invited(client, ADA)
    with psycopg.connect(owner_database_url) as conn:
        conn.execute("UPDATE invitation SET expires_at = now() - interval '1 second'")

    body = {"token": token, "password": PASSWORD}
    reply = await client.ask("POST", "/api/v1/passwords", key=None, json=body)

    assert reply.status == 404


async def test_without_a_mail_server_links_are_shown_to_administrators_only(
    client: Documented,
) -> None:
    await project(client, "alpha", ADA, "bob@lab.example")
    ada = await person(client, ADA)

    shown = await client.ask(
        "POST", "/api/v1/logins", key="admin", json={"email": "eve@lab.example"}
    )
    mailed = await client.ask(
        "POST", "/api/v1/logins", key="admin", json={"email": "x@lab.example", "by_mail": True}
    )
    reset = await client.ask("POST", "/api/v1/password-resets", key=None, json={"email": ADA})
    path = "/api/v1/projects/alpha/owners/bob@lab.example/invitation"
    owners = await ada.ask("POST", path)

    assert shown.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(
        re.escape(client.service.url) + r"/password/[\w-]{43}", shown.json["invitation"]["link"]
    )
    assert (mailed.status, reset.status, owners.status) == (409, 409, 409)
    assert "OS_CREDITS_PUBLIC_URL" in reset.json["message"]


async def test_a_forgotten_password_is_replaced_by_mail(database_url: str) -> None:
    async with mail_server() as mails:
        settings = settings_for(
            database_url,
            mail_host="127.0.0.1",
            mail_port=mails.port,
            mail_from="credits@cloud.example",
            public_url="https://cloud.example/credits",
            trusted_proxies=["127.0.0.1/32"],
        )
        async with running(settings) as service:
            client = await documented(service)
            await person(client, ADA)
            answers = [
                await client.ask("POST", "/api/v1/password-resets", key=None, json={"email": email})
                for email in (ADA, "nobody@lab.example")
            ]
            async with asyncio.timeout(10):
                while not mails.received:
                    await asyncio.sleep(0.05)
            [(_, mail)] = mails.received
            text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
            [token] = re.findall(r"https://cloud\.example/credits/password/([\w-]{43})", text)
            body = {"token": token, "password": OTHER}
            chosen = await client.ask("POST", "/api/v1/passwords", key=None, json=body)
            entered = await log_in(client, ADA, OTHER)
            asked = await client.ask("POST", "/api/v1/logins", key="admin", json={"email": ADA})

    assert {one.status for one in answers} == {202}
    assert len({one.text for one in answers}) == 1
    assert (chosen.status, entered.status) == (200, 200)
    assert "secure" in entered.headers["Set-Cookie"].lower()
    assert (asked.json["invitation"]["state"], asked.json["invitation"]["link"]) == (
        "pending", None,
    )  # fmt: skip


# --- What people may do


@pytest.fixture
async def cast(client: Documented) -> dict[str, Person]:
    """Give the owner and a member of alpha, a stranger, and a manager above beta."""
    await project(client, "alpha", "owner@lab.example")
    await project(client, "beta", "other@lab.example")
    await client.ask(
        "PUT",
        "/api/v1/projects/alpha/owners/member@lab.example",
        key="admin",
        json={"role": "member"},
    )
    for parent, name in ((None, "Sciences"), ("Sciences", "Biology")):
        await client.ask("POST", "/api/v1/organisations", key="admin", json={"name": name})
        if parent:
            put = await client.ask(
                "POST",
                f"/api/v1/organisations/{name}/parent",
                key="admin",
                json={"parent": parent, "valid_from": "2026-01-01", "reason": "test"},
            )
            assert put.status in (200, 201), put.text
    put = await client.ask(
        "POST",
        "/api/v1/projects/beta/organisation",
        key="admin",
        json={"organisation": "Biology", "valid_from": "2026-01-01", "reason": "test"},
    )
    assert put.status in (200, 201), put.text
    put = await client.ask(
        "PUT",
        "/api/v1/organisations/Sciences/managers/manager@lab.example",
        key="admin",
        json={"name": "Mia"},
    )
    assert put.status == 201
    return {
        name: await person(client, f"{name}@lab.example")
        for name in ("owner", "member", "stranger", "manager")
    } | {"root": await person(client, "root@lab.example", is_administrator=True)}


OWNERS = "/api/v1/projects/{}/owners"


async def test_people_see_the_projects_of_their_roles_and_nothing_else(
    cast: dict[str, Person],
) -> None:
    seen = {}
    for name, one in cast.items():
        found = await one.get("/api/v1/projects")
        seen[name] = {each["name"] for each in found["projects"]}

    assert seen == {
        "owner": {"alpha"},
        "member": {"alpha"},
        "stranger": set(),
        "manager": {"beta"},
        "root": {"alpha", "beta"},
    }


async def test_a_foreign_project_and_an_unknown_one_look_the_same(
    cast: dict[str, Person],
) -> None:
    paths = (
        "/api/v1/projects/{}/owners", "/api/v1/projects/{}/audit", "/api/v1/projects/{}/balance",
        "/api/v1/projects/{}/thresholds",
    )  # fmt: skip
    for path in paths:
        foreign = await cast["owner"].ask("GET", path.format("beta"))
        unknown = await cast["owner"].ask("GET", path.format("gone"))
        assert (foreign.status, unknown.status) == (404, 404)
        assert foreign.text.replace("beta", "gone") == unknown.text


async def test_owners_care_for_their_projects_people_and_members_do_not(
    cast: dict[str, Person],
) -> None:
    for name, statuses in {
        "owner": (200, 200, 200), "member": (403, 403, 403), "stranger": (404, 404, 404),
        "manager": (404, 404, 404), "root": (200, 200, 200),
    }.items():  # fmt: skip
        one = cast[name]
        rule = {"rule": {"percents": ["10"]}, "reason": "test"}
        replies = (
            await one.ask("GET", OWNERS.format("alpha")),
            await one.ask("PUT", OWNERS.format("alpha") + "/owner@lab.example", json={}),
            await one.ask("PUT", "/api/v1/projects/alpha/thresholds", json=rule),
        )
        got = tuple(200 if reply.status == 201 else reply.status for reply in replies)
        assert got == statuses, name


async def test_who_is_made_an_owner_may_at_once_and_gains_nothing_elsewhere(
    cast: dict[str, Person],
) -> None:
    path = OWNERS.format("alpha") + "/stranger@lab.example"
    added = await cast["owner"].ask("PUT", path, json={"role": "owner"})

    assert added.status == 201
    assert (await cast["stranger"].ask("GET", OWNERS.format("alpha"))).status == 200
    assert (await cast["stranger"].ask("GET", OWNERS.format("beta"))).status == 404
    for path in ("/api/v1/logins", "/api/v1/audit", "/api/v1/keys"):
        assert (await cast["stranger"].ask("GET", path)).status == 403
    assert (await cast["stranger"].ask("DELETE", OWNERS.format("alpha"))).status == 200
    assert (await cast["stranger"].ask("GET", OWNERS.format("alpha"))).status == 404


async def test_a_manager_makes_managers_beneath_and_not_beside(
    cast: dict[str, Person],
) -> None:
    manager = cast["manager"]
    paths = {
        name: f"/api/v1/organisations/{name}/managers" for name in ("Sciences", "Biology", "No")
    }

    own = await manager.ask("PUT", paths["Sciences"] + "/x@lab.example", json={})
    below = await manager.ask("PUT", paths["Biology"] + "/stranger@lab.example", json={})
    unknown = await manager.ask("PUT", paths["No"] + "/x@lab.example", json={})
    stranger = cast["stranger"]

    assert (own.status, below.status, unknown.status) == (403, 201, 404)
    assert [one["email"] for one in below.json["managers"]] == ["stranger@lab.example"]
    assert (await manager.ask("GET", paths["Sciences"])).status == 200
    assert {one["name"] for one in (await stranger.get("/api/v1/projects"))["projects"]} == {"beta"}
    mine = await stranger.ask("PUT", paths["Biology"] + "/y@lab.example", json={})
    above = await stranger.ask("GET", paths["Sciences"])
    assert (mine.status, above.status) == (403, 403)
    gone = await manager.ask("DELETE", paths["Biology"] + "/stranger@lab.example")
    assert gone.json == {"managers": []}
    assert (await stranger.ask("GET", paths["Biology"])).status == 404


# --- Administration


async def test_logins_are_listed_searched_and_changed(client: Documented) -> None:
    root = await person(client, "root@lab.example", is_administrator=True, name="Root")
    numbers = [(await invited(client, f"p{one}@lab.example"))[0] for one in range(3)]

    first = await root.get("/api/v1/logins?limit=2")
    rest = await root.get(f"/api/v1/logins?after={first['next']}")
    found = await root.get("/api/v1/logins?search=P2@")
    assert [one["id"] for one in first["logins"] + rest["logins"]][1:] == numbers
    assert [one["email"] for one in found["logins"]] == ["p2@lab.example"]
    assert found["logins"][0]["invitation_state"] == "shown"

    path = f"/api/v1/logins/{numbers[0]}"
    for body, status in (
        ({"name": "P", "is_administrator": True}, 200), ({"is_disabled": True}, 200),
        ({"language": "fr"}, 400), ({"name": "p@q.example"}, 400), ({"email": "x@y.example"}, 400),
    ):  # fmt: skip
        assert (await root.ask("PATCH", path, json=body)).status == status
    shown = await root.get(path)
    assert (shown["name"], shown["is_administrator"]) == ("P", True)
    assert shown["disabled_at"] is not None
    assert (await root.ask("POST", f"{path}/invitation", json={})).status == 409
    assert (await root.ask("GET", "/api/v1/logins/999")).status == 404


async def test_who_is_disabled_is_out_at_once(client: Documented) -> None:
    ada = await person(client, ADA)
    number = (await ada.get("/api/v1/session"))["login"]["id"]

    await client.ask("PATCH", f"/api/v1/logins/{number}", key="admin", json={"is_disabled": True})

    assert (await ada.ask("GET", "/api/v1/session")).status == 401
    assert (await ada.ask("GET", "/api/v1/projects")).status == 401
    assert (await log_in(client, ADA)).status == 401


async def test_an_administrator_logs_somebody_out_everywhere(client: Documented) -> None:
    ada = await person(client, ADA)
    number = (await ada.get("/api/v1/session"))["login"]["id"]
    path = f"/api/v1/logins/{number}/sessions"

    listed = await client.get(path, key="admin")
    ended = await client.ask("DELETE", path, key="admin")

    assert len(listed["sessions"]) == 1
    assert ended.json == {"ended_count": 1}
    assert (await ada.ask("GET", "/api/v1/session")).status == 401


# --- The audit log


async def test_every_kind_of_decision_names_who_made_it(
    client: Documented, cast: dict[str, Person]
) -> None:
    root = cast["root"]
    number = (await root.get("/api/v1/session"))["login"]["id"]
    await root.ask("PATCH", "/api/v1/session", json={"name": "Root"})
    before = (await root.get("/api/v1/audit?limit=1"))["lines"][0]["id"]
    asked: list[tuple[str, str, Any]] = [
        ("POST", "/api/v1/prices", {"meter": "project_vcpu_usage", "credits_per_unit": "2"}),
        ("POST", "/api/v1/projects/alpha/grants", {"amount": "10", "reason": "test"}),
        ("POST", "/api/v1/projects/alpha/adjustments", {"amount": "1", "reason": "test"}),
        ("PUT", "/api/v1/projects/alpha/thresholds", {"rule": {"percents": ["9"]}, "reason": "t"}),
        (
            "POST",
            "/api/v1/projects/alpha/organisation",
            {"organisation": "New", "valid_from": "2026-01-01", "reason": "t"},
        ),
        ("PUT", "/api/v1/projects/alpha/owners/new@lab.example", {"role": "member"}),
        ("DELETE", "/api/v1/projects/alpha/owners/new@lab.example", None),
        ("POST", "/api/v1/keys", {"name": "k", "scopes": ["read"]}),
        ("POST", "/api/v1/logins", {"email": "invited@lab.example"}),
        ("PUT", "/api/v1/organisations/New/managers/new@lab.example", {}),
    ]
    statuses = [
        (path, (await root.ask(method, path, **({} if body is None else {"json": body}))).status)
        for method, path, body in asked
    ]

    lines = (await root.get("/api/v1/audit?limit=500"))["lines"]
    new = [one for one in lines if one["id"] > before]
    assert {(one["actor"], one["via"], one["login_id"]) for one in new} == {
        (f"Root (login {number})", "api", number)
    }, statuses
    told = {(one["subject"], one["action"]) for one in new}
    assert {
        ("price", "insert"), ("project_grant", "insert"), ("membership", "insert"),
        ("threshold_rule", "insert"),
        ("organisation", "insert"), ("project_owner", "insert"), ("project_owner", "delete"),
        ("api_key", "insert"), ("login", "insert"), ("manager", "insert"),
    } <= told, statuses  # fmt: skip
    by_project = await cast["owner"].get("/api/v1/projects/alpha/audit")
    assert {one["project"]["name"] for one in by_project["lines"]} == {"alpha"}
    assert "test" in str(by_project["lines"])
    assert (await cast["member"].ask("GET", "/api/v1/projects/alpha/audit")).status == 403


async def test_the_log_is_filtered_and_paged(client: Documented, cast: dict[str, Person]) -> None:
    root = cast["root"]
    everything = (await root.get("/api/v1/audit?limit=500"))["lines"]
    paged: list[int] = []
    page: dict[str, Any] = {"next": 2**62}
    while page["next"]:
        page = await root.get(f"/api/v1/audit?limit=3&before={page['next']}")
        paged += [one["id"] for one in page["lines"]]
    assert paged == [one["id"] for one in everything]
    fits: Callable[[dict[str, Any]], bool]
    for query, fits in (
        ("subject=login", lambda one: one["subject"] == "login"),
        ("actor=TEST", lambda one: "test" in one["actor"]),
        ("project=beta", lambda one: (one["project"] or {}).get("name") == "beta"),
        ("login=1", lambda one: one["login_id"] == 1),
    ):
        found = (await root.get(f"/api/v1/audit?limit=500&{query}"))["lines"]
        assert [one["id"] for one in found] == [one["id"] for one in everything if fits(one)]
        assert found
    assert (await root.get("/api/v1/audit?since=2999-01-01"))["lines"] == []
    text = str(everything)
    assert "argon2" not in text
    assert not re.search(r"digest['\"]: ['\"]\\\\x", text)


async def test_an_erased_person_is_out_and_stands_nowhere(
    client: Documented, owner_database_url: str
) -> None:
    await project(client, "alpha", ADA)
    ada = await person(client, ADA, name="Ada Krause")
    await client.ask("PUT", "/api/v1/projects/alpha/owners/bob@lab.example", key="admin", json={})
    await ada.ask("PATCH", "/api/v1/session", json={"language": "de"})
    await client.ask("POST", "/api/v1/organisations", key="admin", json={"name": "Lab"})
    await client.ask(
        "PUT", f"/api/v1/organisations/Lab/managers/{ADA}", key="admin", json={"name": "Ada"}
    )
    await ada.ask("DELETE", "/api/v1/projects/alpha/owners/bob@lab.example")

    exported = await client.get(f"/api/v1/people/{ADA}", key="admin")
    erased = await client.ask("DELETE", f"/api/v1/people/{ADA.upper()}", key="admin")

    assert exported["login"]["login"]["email"] == ADA
    assert len(exported["login"]["sessions"]) == 1
    assert [one["organisation"] for one in exported["organisations"]] == ["Lab"]
    assert {one["subject"] for one in exported["login"]["audit"]} == {"login", "project_owner"}
    assert (erased.json["login_count"], erased.json["organisation_count"]) == (1, 1)
    assert (await ada.ask("GET", "/api/v1/session")).status == 401
    assert holding(owner_database_url, "ada@lab") == {}
    assert holding(owner_database_url, "Ada Krause") == {}
    logins = (await client.get("/api/v1/logins", key="admin"))["logins"]
    assert [one["email"] for one in logins] == ["erased-1@invalid"]
    enabled = await client.ask(
        "PATCH", "/api/v1/logins/1", key="admin", json={"is_disabled": False}
    )
    assert enabled.status == 409
    assert (await client.ask("GET", f"/api/v1/people/{ADA}", key="admin")).status == 404
    again = await person(client, ADA)
    assert (await again.get("/api/v1/projects"))["projects"] == []
