"""A database whose clock stands still at a chosen moment, for every session that opens later."""

from datetime import datetime

import psycopg
from psycopg import sql

from tests.database import as_owner, name_of


def freeze(database_url: str, moment: datetime) -> None:
    """Let `now()` and `clock_timestamp()` give this moment from now on.

    Functions of these names stand before PostgreSQL's own on the path on which names are
    looked for. Defaults of columns keep the true clock.
    """
    with psycopg.connect(as_owner(database_url), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS frozen")
        connection.execute("GRANT USAGE ON SCHEMA frozen TO PUBLIC")
        for name in ("now", "clock_timestamp"):
            connection.execute(
                sql.SQL(
                    "CREATE OR REPLACE FUNCTION frozen.{}() RETURNS timestamptz"
                    " LANGUAGE sql STABLE AS {}"
                ).format(
                    sql.Identifier(name),
                    sql.Literal(f"SELECT '{moment.isoformat()}'::timestamptz"),
                )
            )
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET search_path = frozen, public, pg_catalog").format(
                sql.Identifier(name_of(database_url))
            )
        )
