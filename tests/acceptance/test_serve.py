"""The process: it says where it serves, ends well when asked, and refuses to start with reasons."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from os_credits import app as application
from tests.acceptance.conftest import Service, running, settings_for
from tests.acceptance.senders import vcpu_line

SERVE = "import sys; from os_credits.app import serve; from os_credits.settings import Settings; "
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


async def test_one_connection_too_many_is_sent_away_and_told_to_come_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "CONNECTIONS_MAX", 20)
    async with running(settings_for(database_url)) as service:
        host, port = service.url.removeprefix("http://").split(":")
        idle = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
        async with aiohttp.ClientSession() as session:
            turned = Service(service.url, service.settings, session)
            async with turned.request("GET", "/healthz") as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "2")
            for _, writer in idle:
                writer.close()
                await writer.wait_closed()
            async with turned.request("GET", "/healthz") as response:
                assert response.status == 200
