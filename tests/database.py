"""Databases for tests: one migrated template per run, one clone of it per test.

TimescaleDB starts background workers in databases, and a worker's session would forbid the
cloning. It spares templates and databases that refuse connections: so the template is declared
one before anything is created in it, and closed when it is complete.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg import sql

SERVER_VARIABLE = "OS_CREDITS_TEST_DATABASE_URL"
SERVICE_VARIABLE = "OS_CREDITS_TEST_SERVICE_DATABASE_URL"


class MissingServerError(Exception):
    """A test asked for a database, and no server was named."""


def server_url() -> str:
    """Return the URL of the server, with the role that creates databases and owns their tables."""
    return _named(SERVER_VARIABLE)


def as_service(url: str) -> str:
    """Return the URL with which the service's role opens the same database."""
    return with_database(_named(SERVICE_VARIABLE), name_of(url))


def as_owner(url: str) -> str:
    """Return the URL with which the owner of the tables opens the same database."""
    return with_database(_named(SERVER_VARIABLE), name_of(url))


def _named(variable: str) -> str:
    url = os.environ.get(variable)
    if not url:
        message = f'{variable} is not set: run this by make test ARGS="..."'
        raise MissingServerError(message)
    return url


def with_database(url: str, database: str) -> str:
    """Return the URL of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


@contextmanager
def database(url: str, *, template: str | None = None, as_template: bool = False) -> Iterator[str]:
    """Create a database with the extension, give its URL, and drop it afterwards."""
    name = f"os_credits_test_{uuid4().hex[:16]}"
    if template:
        _execute(url, "CREATE DATABASE {} TEMPLATE {}", name, template)
    else:
        flag = "true" if as_template else "false"
        _execute(url, f"CREATE DATABASE {{}} TEMPLATE template0 IS_TEMPLATE {flag}", name)
    try:
        if not template:
            _execute(with_database(url, name), "CREATE EXTENSION IF NOT EXISTS timescaledb")
        yield with_database(url, name)
    finally:
        _drop(url, name)


def close_to_sessions(url: str) -> None:
    """Refuse connections from now on: cloning an open template starts a worker in it."""
    server = server_url()
    _execute(server, "ALTER DATABASE {} ALLOW_CONNECTIONS false", name_of(url))


def name_of(url: str) -> str:
    """Return the name of the database in a URL."""
    return urlsplit(url).path.removeprefix("/")


def _drop(url: str, name: str) -> None:
    """Drop a database that forgotten sessions or a background worker may still hold.

    FORCE is not for us: an ordinary user may not end TimescaleDB's worker, only its own sessions
    and those of the service's role, which it is a member of. TimescaleDB stops it
    by itself on DROP DATABASE, and starts none where connections are refused.
    """
    _execute(url, "ALTER DATABASE {} IS_TEMPLATE false ALLOW_CONNECTIONS false", name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND pg_has_role(usesysid, 'USAGE')",
            [name],
        )
    _execute(url, "DROP DATABASE {}", name)


def _execute(url: str, statement: str, *names: str) -> None:
    """Run one statement outside a transaction, as CREATE DATABASE demands."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
