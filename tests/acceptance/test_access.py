"""Who may do what: keys in every form, scopes, limits, revocation, open networks."""

import asyncio
import base64
import json
import time
from typing import Any

import psycopg
import pytest

from os_credits.api.routes import ALL_ROUTES, Gate
from os_credits.app import create_app
from os_credits.domain.access import Scope
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.senders import V1, vcpu_line, vcpu_v1


async def ask(service: Service, method: str, path: str, **more: Any) -> tuple[int, Any, Any]:
    async with service.request(method, path, allow_redirects=False, **more) as response:
        text = await response.text()
        is_json = response.content_type == "application/json"
        return response.status, response.headers, json.loads(text) if is_json and text else text


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_a_key_is_taken_in_every_form_that_senders_use(service: Service) -> None:
    key = service.keys["ingest"]
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer  {key}"},
        {"X-API-Key": key},
        {"Authorization": basic("telegraf", key)},
        {"Authorization": basic("", key)},
        {"Authorization": f"Token {key}"},
        {"Authorization": f"Token telegraf:{key}"},
    ):
        status, _, _ = await ask(service, "POST", "/write", data=b"", headers=headers)
        assert status == 204, headers


async def test_without_a_known_key_the_answer_is_401_with_both_challenges(
    service: Service,
) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer osc_wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Digest x"},
        {"X-API-Key": "ключ"},
        {"Authorization": "Bearer " + "x" * 5000},
    ):
        status, replied, answer = await ask(service, "POST", "/write", data=b"", headers=headers)

        assert (status, answer["code"]) == (401, "unauthorized"), headers
        assert replied.getall("WWW-Authenticate") == [
            'Basic realm="os_credits"',
            'Bearer realm="os_credits"',
        ]


async def test_a_key_in_the_url_is_not_taken(service: Service) -> None:
    key = service.keys["ingest"]
    for query in (f"u=x&p={key}", f"api_key={key}", f"token={key}"):
        assert (await ask(service, "POST", f"/write?{query}", data=b""))[0] == 401


async def test_every_route_lets_exactly_the_right_keys_pass(service: Service) -> None:
    allowed: dict[Gate, set[str | None]] = {
        Gate.OPEN: {None, "ingest", "read", "admin"},
        Gate.INGEST: {"ingest", "admin"},
        Gate.READ: {"read", "admin"},
        Gate.COMPAT: {"read", "admin"},
        Gate.ADMIN: {"admin"},
        Gate.MANAGE: {"admin"},
        Gate.PERSON: set(),
        Gate.VISITOR: {None, "ingest", "read", "admin"},
    }
    cells = 0
    for route in create_app(service.settings)[ALL_ROUTES]:
        path = route.path
        for name in route.path_parameters:
            path = path.replace(f"{{{name}}}", "0")
        for key in (None, "ingest", "read", "admin"):
            status, _, _ = await ask(service, route.method, path, key=key)
            refusal = 401 if key is None or route.gate is Gate.PERSON else 403
            if refusal == 401 and route.is_page:
                refusal = 303  # to where people log in
            if key in allowed[route.gate]:
                assert status not in (401, 403), (route.method, path, key)
                assert status != 303 or "login" in path or path == "/admin", (path, key)
            else:
                assert status == refusal, (route.method, path, key)
            cells += 1

    assert cells > 100


async def test_a_revoked_key_is_refused_within_seconds(service: Service) -> None:
    key = await service.new_key(Scope.INGEST)
    assert (await ask(service, "POST", "/write", data=b"", key=key))[0] == 204

    with psycopg.connect(service.settings.database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE api_key SET revoked_at = now() WHERE id = (SELECT max(id) FROM api_key)"
        )
    revoked_at = time.monotonic()
    async with asyncio.timeout(10):
        while (await ask(service, "POST", "/write", data=b"", key=key))[0] == 204:
            await asyncio.sleep(0.1)

    assert time.monotonic() - revoked_at < 5


async def test_a_key_revoked_by_the_api_is_refused_at_once(service: Service) -> None:
    wish = {"name": "short", "scopes": ["read"]}
    status, _, made = await ask(service, "POST", "/api/v1/keys", key="admin", json=wish)
    assert status == 201
    assert (await ask(service, "GET", "/api/v1/projects", key=made["key"]))[0] == 200

    status, _, _ = await ask(service, "DELETE", f"/api/v1/keys/{made['id']}", key="admin")
    assert status == 200
    assert (await ask(service, "GET", "/api/v1/projects", key=made["key"]))[0] == 401


async def test_only_a_hash_of_a_key_is_stored(service: Service) -> None:
    with psycopg.connect(service.settings.database_url) as connection:
        rows = str(connection.execute("SELECT * FROM api_key").fetchall())

    assert len(service.keys) == 3
    assert not [key for key in service.keys.values() if key.removeprefix("osc_") in rows]


async def test_an_ingest_key_of_one_site_and_meter_feeds_no_other(service: Service) -> None:
    site = await service.new_key(Scope.INGEST, sites=("1",))
    meter = await service.new_key(Scope.INGEST, meters=("project_mb_usage",))
    lines = f"{vcpu_line(1, site='1')}\n{vcpu_line(1, site='2')}".encode()

    status, _, answer = await ask(service, "POST", "/write", key=site, data=lines)
    assert status == 400
    assert "line 2: this key may not feed meter project_vcpu_usage of site '2'" in answer["error"]

    body = vcpu_v1(1)
    status, _, answer = await ask(
        service, "POST", "/api/v1/write", key=meter, data=body, headers=V1
    )
    assert status == 400
    assert "this key may not feed meter project_vcpu_usage" in answer["error"]

    _, _, seen = await ask(service, "GET", "/stats", key="admin")
    assert seen["accepted_samples"] == {"project_vcpu_usage": 1}
    assert seen["refused_samples"] == {"key_scope": 2}


async def test_a_foreign_project_and_an_unknown_one_look_the_same(service: Service) -> None:
    lines = "\n".join(vcpu_line(1, project=name) for name in ("alpha", "beta"))
    assert (await ask(service, "POST", "/write", key="ingest", data=lines.encode()))[0] == 204
    await service.rated()
    known = await service.new_key(Scope.READ, projects=("alpha",))
    by_id = await service.new_key(Scope.READ, projects=("id-alpha",))

    for key in (known, by_id):
        assert (await ask(service, "GET", "/credits_history/alpha", key=key))[0] == 200
        answers = []
        for name in ("beta", "never-seen"):
            status, headers, answer = await ask(service, "GET", f"/credits_history/{name}", key=key)
            answers.append((status, json.dumps(answer).replace(name, "X"), len(headers)))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404


async def test_a_key_limited_to_a_known_project_does_not_follow_its_name(
    service: Service,
) -> None:
    """Someone else takes the name over: the key must not show that project."""
    await ask(service, "POST", "/write", key="ingest", data=vcpu_line(1).encode())
    await service.rated()
    key = await service.new_key(Scope.READ, projects=("alpha",))
    tags = "project_id=another,project_name=alpha,location_id=1"
    line = f"project_vcpu_usage,{tags} value=1 {time.time_ns()}"
    await ask(service, "POST", "/write", key="ingest", data=line.encode())

    status, _, answer = await ask(service, "GET", "/api/v1/projects", key=key)

    assert status == 200
    assert [one["external_id"] for one in answer["projects"]] == ["id-alpha"]


@pytest.mark.parametrize("spoofed", [{}, {"X-Forwarded-For": "10.1.2.3"}])
async def test_an_open_network_is_judged_by_the_peer_alone(
    database_url: str, spoofed: dict[str, str]
) -> None:
    elsewhere = settings_for(
        database_url, open_ingest_networks="10.0.0.0/8", open_read_networks="10.0.0.0/8"
    )
    async with running(elsewhere) as service:
        for method, path in (("POST", "/write"), ("GET", "/metrics"), ("GET", "/api/v1/projects")):
            assert (await ask(service, method, path, headers=spoofed))[0] == 401


async def test_open_networks_open_what_they_name_and_no_more(database_url: str) -> None:
    here = "127.0.0.0/8,::1/128"
    opened = {
        "open_ingest_networks": {("POST", "/write")},
        "open_read_networks": {("GET", "/api/v1/projects"), ("GET", "/metrics")},
        "open_compat_networks": {("GET", "/metrics"), ("GET", "/api/metrics")},
    }
    asked = {("GET", "/stats"), ("GET", "/logconfig"), *set().union(*opened.values())}
    for setting, paths in opened.items():
        async with running(settings_for(database_url, **{setting: here})) as service:
            for method, path in asked:
                status, _, _ = await ask(service, method, path)
                may = (method, path) in paths or (
                    setting == "open_read_networks" and path == "/api/metrics"
                )
                assert (status == 401) is not may, (setting, path)


async def test_in_an_open_network_a_wrong_key_does_no_harm(database_url: str) -> None:
    settings = settings_for(database_url, open_ingest_networks="127.0.0.1/32")
    async with running(settings) as service:
        status, _, _ = await ask(
            service, "POST", "/write", data=vcpu_line(1).encode(), headers={"X-API-Key": "old"}
        )

        assert status == 204
