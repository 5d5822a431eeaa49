"""Runs the application in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import TextIO, cast

import structlog
from aiohttp import web

from os_credits import __version__
from os_credits.api.context import CONTEXT
from os_credits.api.logs import configure_logs
from os_credits.app import create_app
from os_credits.errors import Misconfigured
from os_credits.settings import Settings

# Longer than any answer that is under way should take, shorter than most supervisors wait.
SHUTDOWN_SECONDS = 8.0
# Connections that the kernel keeps for us until we accept them.
BACKLOG = 256
# What a process opens besides the connections of its callers and those to its database.
OTHER_FILES_MAX = 100
# After so many new objects (and so many turns of the generation below) Python looks for cycles.
# Little of ours is in cycles, and a look at everything takes a tenth of a second of all callers.
GARBAGE_THRESHOLDS = (50_000, 20, 50)

log = structlog.stdlib.get_logger(__name__)


async def run(settings: Settings, stop: asyncio.Event, listening: Callable[[str], None]) -> None:
    """Serve until `stop` is set; calls `listening` with the URL once requests can come.

    Requests under way are finished; the clock and the pool are closed last.
    """
    app = create_app(settings)
    runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_SECONDS)
    # The address is taken before anything is done to the database, and listened at afterwards.
    listener = await asyncio.get_running_loop().create_server(
        lambda: app[CONTEXT].connections.accept(cast("web.Server", runner.server)),
        settings.host or None,
        settings.port,
        backlog=BACKLOG,
        start_serving=False,
    )
    try:
        await runner.setup()
        await listener.start_serving()
        host, port = listener.sockets[0].getsockname()[:2]
        listening(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        await stop.wait()
    finally:
        listener.close()
        await runner.cleanup()


async def _run_until_signal(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)  # the second one ends the process at once

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)

    def listening(url: str) -> None:
        _look_for_garbage_seldom()
        _say(sys.stdout, f"{__version__} serves {url}")

    await run(settings, stop, listening)


def serve(settings: Settings) -> int:
    """Run the service until SIGTERM or SIGINT; gives the exit code for the shell."""
    configure_logs(settings.log_level, settings.log_format)
    _allow_files(settings.connections_max + settings.database_connections_max + OTHER_FILES_MAX)
    try:
        asyncio.run(_run_until_signal(settings))
    except Misconfigured as error:
        _say(sys.stderr, f"cannot start: {error}")
        return os.EX_CONFIG
    except OSError as error:
        _say(sys.stderr, f"cannot listen on {settings.host}:{settings.port}: {error}")
        return os.EX_OSERR
    return os.EX_OK


def _allow_files(count: int) -> None:
    """Let this process open so many files, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(allowed, soft), hard))
    if allowed < count:
        log.warning(
            "fewer open files are allowed than OS_CREDITS_CONNECTIONS_MAX needs",
            action="start",
            allowed=allowed,
            needed=count,
        )


def _look_for_garbage_seldom() -> None:
    """Leave alone what was loaded to start with, which lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def _say(to: TextIO, sentence: str) -> None:
    to.write(f"os_credits {sentence}\n")
    to.flush()
