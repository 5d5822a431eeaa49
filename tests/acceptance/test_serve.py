"""The process: it says where it serves, ends well when asked, and refuses to start with reasons."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import psycopg
import pytest

from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.senders import vcpu_line

SERVE = (
    "import sys; from os_credits.server import serve; from os_credits.settings import Settings; "
)
SERVE += "sys.exit(serve(Settings(_env_file=None)))"


async def start(database_url: str, **settings: str) -> asyncio.subprocess.Process:
    environment = {
        **os.environ,
        "OS_CREDITS_DATABASE_URL": database_url,
        "OS_CREDITS_PORT": "0",
        "OS_CREDITS_ALLOW_UNSAFE_DATABASE": "true",
        "OS_CREDITS_OPEN_INGEST_NETWORKS": "127.0.0.1",
        **settings,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SERVE,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def served(database_url: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    process = await start(database_url)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("os_credits ")
        yield process, line.split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_service_after_the_requests_under_way(
    database_url: str, number: signal.Signals
) -> None:
    gate = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield vcpu_line(1).encode()
        await gate.wait()

    async with served(database_url) as (process, url), aiohttp.ClientSession() as session:
        pending = asyncio.create_task(_push(session, url, slow()))
        status = await _push(session, url, vcpu_line(1).encode())
        process.send_signal(number)
        # What is still coming in is not waited for: its sender is asked to come again.
        async with asyncio.timeout(10):
            assert await pending == 503
            assert await process.wait() == os.EX_OK

    assert status == 204


async def _push(session: aiohttp.ClientSession, url: str, body: object) -> int:
    async with session.post(f"{url}/write", data=body) as response:
        return response.status


async def test_a_port_that_is_taken_is_named(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = await start(database_url, OS_CREDITS_PORT=port)
        _, error = await process.communicate()

    assert process.returncode == os.EX_OSERR
    assert f"cannot listen on 127.0.0.1:{port}" in error.decode()


async def test_a_meter_file_that_is_missing_is_named(database_url: str) -> None:
    process = await start(database_url, OS_CREDITS_METER_FILE="/nowhere/meters.toml")
    _, error = await process.communicate()

    assert process.returncode == os.EX_CONFIG
    assert "/nowhere/meters.toml" in error.decode()


async def test_connections_that_only_wait_make_room_for_honest_ones(database_url: str) -> None:
    async with (
        running(settings_for(database_url, connections_max=20)) as service,
        half_sent(service, 30, b"POST /write HTTP/1.1\r\nHost:") as silent,
    ):
        for _ in range(3):
            async with aiohttp.ClientSession() as session:
                honest = Service(service.url, service.settings, session, service.keys)
                assert await pushed(honest) == 204

        assert 10 < await cut_off(silent) < 20
        assert not silent[-1].at_eof()  # the oldest go first


async def test_where_all_connections_are_at_work_one_more_is_told_to_come_again(
    database_url: str, owner_database_url: str
) -> None:
    settings = settings_for(database_url, connections_max=3, database_connections_max=8)
    async with running(settings) as service:
        with psycopg.connect(owner_database_url) as blocker:
            # Beside the loop: a job of the service may hold the table, and has to get on.
            await asyncio.to_thread(blocker.execute, "LOCK TABLE batch IN ACCESS EXCLUSIVE MODE")
            held = [asyncio.create_task(pushed(service, vcpu_line(1))) for _ in range(3)]
            await asyncio.sleep(0.5)
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{service.url}/healthz") as response,
            ):
                assert (response.status, response.headers["Retry-After"]) == (503, "2")
                assert (await response.json())["code"] == "unavailable"

        assert await asyncio.gather(*held) == [204] * 3


async def test_a_new_connection_that_sends_no_request_is_closed_in_time(database_url: str) -> None:
    async with (
        running(settings_for(database_url, head_timeout_seconds=0.5)) as service,
        half_sent(service, 1, b"POST /write HT") as half,
        half_sent(service, 1) as none,
    ):
        assert await pushed(service) == 204
        async with asyncio.timeout(5):
            while await cut_off([*half, *none]) < 2:
                await asyncio.sleep(0.05)
        assert await pushed(service) == 204


@asynccontextmanager
async def half_sent(
    service: Service, count: int, head: bytes = b""
) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open connections that send the beginning of a request and no more."""
    host, port = service.url.removeprefix("http://").split(":")
    opened = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head)
        opened.append((reader, writer))
    try:
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def pushed(service: Service, line: str = "") -> int:
    async with service.request("POST", "/write", key="ingest", data=line.encode()) as response:
        return response.status


async def cut_off(readers: list[asyncio.StreamReader]) -> int:
    """Count the connections that the service has ended."""
    await asyncio.sleep(0.05)
    return sum(reader.at_eof() or reader.exception() is not None for reader in readers)
