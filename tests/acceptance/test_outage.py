"""The database goes away, comes back, was never there: senders are asked to come again."""

import asyncio
import json
from typing import Any

import psycopg
import pytest

from os_credits.errors import Misconfigured
from tests import database
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.outage import cut_off
from tests.acceptance.senders import SAMPLES, V1, V2, vcpu_line, vcpu_v1, vcpu_v2


async def execute(url: str, statement: str) -> None:
    """Run a statement as the owner while the service, in this very event loop, goes on."""
    url = database.as_owner(url)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(statement)


async def ask(service: Service, method: str, path: str, **more: Any) -> tuple[int, Any, Any]:
    async with service.request(method, path, **more) as response:
        text = await response.text()
        is_json = response.content_type == "application/json"
        return response.status, response.headers, json.loads(text) if is_json and text else text


PUSHES = [
    pytest.param("/api/v1/write", vcpu_v1(1, 2), V1, id="remote write 1.0"),
    pytest.param("/api/v1/write", vcpu_v2(1, 2), V2, id="remote write 2.0"),
    pytest.param("/write?db=x", vcpu_line(1).encode(), {}, id="line protocol"),
    pytest.param("/api/v2/write", vcpu_line(1).encode(), {}, id="line protocol 2"),
]


@pytest.mark.parametrize("path,body,headers", PUSHES)
async def test_while_the_database_is_away_every_push_is_503_and_then_taken(
    service: Service, path: str, body: bytes, headers: dict[str, str]
) -> None:
    def push(key: str) -> Any:
        return ask(service, "POST", path, key=key, data=body, headers=headers)

    await push("ingest")  # this key is remembered for a moment, the other is not
    with cut_off(service.settings.database_url):
        for key in ("ingest", "admin"):
            status, replied, answer = await push(key)

            assert (status, replied["Retry-After"]) == (503, "15" if "v2" in path else "2")
            assert answer == {
                "error": "temporarily unavailable",
                "code": "unavailable",
                "message": "temporarily unavailable",
            }
            assert replied.get(SAMPLES) == ("0" if headers is V2 else None)
    # Each connection of before may be met once more before its end is noticed, and each only once.
    statuses = [
        (await push("ingest"))[0] for _ in range(service.settings.database_connections_max + 1)
    ]

    assert {503, 204} >= set(statuses)
    assert statuses[-1] == 204


async def test_a_key_that_cannot_be_looked_up_is_never_a_refusal(service: Service) -> None:
    with cut_off(service.settings.database_url):
        for method, path in (("POST", "/write"), ("GET", "/stats"), ("GET", "/metrics")):
            status, _, _ = await ask(service, method, path, key="osc_unknown")
            assert status == 503


async def test_liveness_goes_on_and_readiness_says_what_is_missing(service: Service) -> None:
    with cut_off(service.settings.database_url):
        assert (await ask(service, "GET", "/healthz"))[0] == 200
        assert (await ask(service, "GET", "/ping"))[0] == 200
        status, headers, answer = await ask(service, "GET", "/readyz")

        assert (status, headers["Retry-After"], answer["ready"]) == (503, "2", False)
        assert "database" in answer["problem"]
    async with asyncio.timeout(10):
        while (await ask(service, "GET", "/readyz"))[0] != 200:
            await asyncio.sleep(0.05)


async def test_the_service_starts_without_its_database_and_waits_for_it(
    database_url: str,
) -> None:
    with cut_off(database_url):
        async with running(settings_for(database_url), ready=False) as service:
            assert (await ask(service, "GET", "/healthz"))[0] == 200
            assert (await ask(service, "GET", "/readyz"))[0] == 503
            assert (await ask(service, "GET", "/health"))[2]["status"] == "fail"
            status, headers, _ = await ask(service, "POST", "/write", key="osc_any", data=b"x")
            assert (status, headers["Retry-After"]) == (503, "2")

            await execute(
                database.server_url(),
                f"ALTER DATABASE {database.name_of(database_url)} ALLOW_CONNECTIONS true",
            )
            async with asyncio.timeout(15):
                while (await ask(service, "GET", "/readyz"))[0] != 200:
                    await asyncio.sleep(0.05)
            status, _, _ = await ask(service, "POST", "/write", key="osc_any", data=b"x")
            assert status == 401


async def test_the_service_waits_for_a_schema_that_is_not_there_yet(
    empty_database_url: str,
) -> None:
    from os_credits.store.migrate import migrate

    async with running(settings_for(empty_database_url), ready=False) as service:
        status, _, answer = await ask(service, "GET", "/readyz")
        assert status == 503
        assert "os-credits migrate" in answer["problem"]
        assert (await ask(service, "POST", "/write", data=b""))[0] == 503

        await asyncio.to_thread(migrate, empty_database_url)
        async with asyncio.timeout(15):
            while (await ask(service, "GET", "/readyz"))[0] != 200:
                await asyncio.sleep(0.05)


async def test_an_error_nobody_foresaw_is_503_on_a_push_and_500_elsewhere(
    service: Service,
) -> None:
    await execute(service.settings.database_url, "ALTER TABLE batch RENAME TO elsewhere")

    status, headers, answer = await ask(
        service, "POST", "/write", key="ingest", data=vcpu_line(1).encode()
    )
    assert (status, headers["Retry-After"]) == (503, "2")
    assert answer["message"] == "temporarily unavailable"

    status, _, answer = await ask(service, "GET", "/stats", key="admin")
    assert status == 500
    assert answer == {
        "error": "internal error",
        "message": "internal error, see the service's log",
    }


async def test_no_free_connection_is_503(database_url: str, owner_database_url: str) -> None:
    settings = settings_for(database_url, database_connections_max=1, endpoints_only=True)
    async with running(settings) as service:
        with psycopg.connect(owner_database_url) as blocker:
            # Beside the loop: a job of the service may hold the table, and has to get on.
            await asyncio.to_thread(blocker.execute, "LOCK TABLE batch IN ACCESS EXCLUSIVE MODE")
            first, second = (
                asyncio.create_task(
                    ask(service, "POST", "/write", key="ingest", data=vcpu_line(1).encode())
                )
                for _ in range(2)
            )
            await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        answers = await asyncio.gather(first, second)

    assert sorted(status for status, _, _ in answers) == [204, 503]


async def test_a_database_that_could_lose_commits_is_refused_by_name(database_url: str) -> None:
    name = database.name_of(database_url)
    await execute(database_url, f"ALTER DATABASE {name} SET synchronous_commit = off")

    with pytest.raises(Misconfigured, match="synchronous_commit is off"):
        async with running(settings_for(database_url, allow_unsafe_database=False)):
            pass
    async with running(settings_for(database_url, allow_unsafe_database=True)) as service:
        assert (await ask(service, "GET", "/readyz"))[0] == 200


async def test_a_database_without_timescaledb_is_refused(empty_database_url: str) -> None:
    await execute(empty_database_url, "DROP EXTENSION timescaledb CASCADE")

    with pytest.raises(Misconfigured, match="CREATE EXTENSION timescaledb"):
        async with running(settings_for(empty_database_url)):
            pass
