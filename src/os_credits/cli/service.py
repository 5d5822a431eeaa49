"""Commands that run for long, and the one that comes before them: serve, demo, migrate."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import structlog
import typer

from os_credits.api.logs import configure_logs
from os_credits.cli.database import quiet_settings
from os_credits.cli.output import complain, examples, say
from os_credits.errors import InvalidInput, Misconfigured, Unavailable
from os_credits.settings import read_settings

log = structlog.stdlib.get_logger(__name__)


def add_to(program: typer.Typer) -> None:
    """Give the program these commands."""
    program.command(
        epilog=examples(
            "os-credits migrate && os-credits serve",
            "OS_CREDITS_PORT=9000 OS_CREDITS_LOG_FORMAT=json os-credits serve",
        )
    )(serve)
    program.command(
        epilog=examples(
            "os-credits migrate",
            "OS_CREDITS_OWNER_DATABASE_URL=postgresql://me@db/credits os-credits migrate",
        )
    )(migrate)
    program.command(
        epilog=examples(
            "os-credits demo --url http://127.0.0.1:8080 --key osc_...",
            "OS_CREDITS_KEY=osc_... os-credits demo --days 2 --interval 5",
        )
    )(demo)


def serve() -> None:
    """Run the service until Ctrl-C or SIGTERM.

    It waits for a database that is away, and refuses one that could lose what it acknowledged.
    Any number of copies may run on one database. Status 78 means that the configuration must be
    changed first, 71 that the port cannot be had.
    """
    from os_credits.server import serve as serve_until_stopped  # it takes a while to load

    try:
        settings, warnings = read_settings()
    except Misconfigured as error:
        complain(f"cannot start: {error}")
        raise typer.Exit(os.EX_CONFIG) from error
    configure_logs(settings.log_level, settings.log_format)
    for warning in warnings:
        log.warning(warning, action="settings")
    raise typer.Exit(serve_until_stopped(settings))


def migrate() -> None:
    """Bring the database's tables to what this version needs, and grant the service its rights.

    The tables belong to the role of OS_CREDITS_OWNER_DATABASE_URL; the one of
    OS_CREDITS_DATABASE_URL, as which the service works, gets what it needs and cannot change the
    ledger. Harmless when all is there already, and when several copies do it at once. TimescaleDB
    is created in the database if it is installed on the server and the role may do that.
    """
    from os_credits.store.migrate import migrate as upgrade  # serve does not need it
    from os_credits.store.server import expected_revisions

    settings = quiet_settings()
    upgrade(settings.owner_database_url or settings.database_url, settings.database_url)
    say(f"the schema is at {expected_revisions()[0]}")


def demo(
    key: Annotated[
        str,
        typer.Option(
            envvar="OS_CREDITS_KEY", help="An API key with the scope admin.", show_default=False
        ),
    ],
    url: Annotated[
        str, typer.Option(envvar="OS_CREDITS_URL", help="Where the service listens.")
    ] = "http://127.0.0.1:8080",
    days: Annotated[
        int, typer.Option(min=0, max=30, help="How long ago the made-up history begins.")
    ] = 14,
    interval: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds between two live pushes.")
    ] = 10,
    password: Annotated[
        str,
        typer.Option(
            envvar="OS_CREDITS_DEMO_PASSWORD",
            help="Let somebody of each role log in by this password; blank for nobody.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Push made-up usage of eleven projects to a running service, by its real doors.

    First the history, as fast as it is taken, then live until Ctrl-C. It creates the projects,
    their owners and grants: never point it at a service with real accounts.
    """
    from os_credits.demo.run import run  # only this command simulates a cloud

    try:
        asyncio.run(
            run(url, key, history_days=days, live_interval_seconds=interval, password=password)
        )
    except InvalidInput as error:  # the service's answer, not how this command was called
        raise Unavailable(str(error)) from error
