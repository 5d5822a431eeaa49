"""An outage of the database, and how long one lasts in the tests with real senders."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests import database

# `make senders` makes it a minute.
OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "8"))


@contextmanager
def cut_off(url: str) -> Iterator[None]:
    """Refuse new sessions to a database and end the ones there are, for a while."""
    name = database.name_of(url)
    with psycopg.connect(database.server_url(), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND pg_has_role(usesysid, 'USAGE')",
            [name],
        )
        try:
            yield
        finally:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
