"""Roles and databases of a server, by the little SQL that comes before the migrations."""

import psycopg
from psycopg import sql


def answers(url: str) -> bool:
    """Tell whether the server lets us in."""
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def make_role(url: str, role: str, password: str, *, may_create: bool) -> None:
    """Make a role that is no superuser, or give it its password again."""
    with psycopg.connect(url, autocommit=True) as connection:
        statement = "SELECT FROM pg_roles WHERE rolname = %s"
        known = connection.execute(statement, [role]).fetchone() is not None
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN NOSUPERUSER {} PASSWORD {}").format(
                sql.SQL("ALTER" if known else "CREATE"),
                sql.Identifier(role),
                sql.SQL("CREATEDB CREATEROLE" if may_create else "NOCREATEDB NOCREATEROLE"),
                sql.Literal(password),
            )
        )


def make_database(url: str, name: str, owner: str) -> None:
    """Make a database unless it is there."""
    with psycopg.connect(url, autocommit=True) as connection:
        statement = "SELECT FROM pg_database WHERE datname = %s"
        if connection.execute(statement, [name]).fetchone() is None:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(
                    sql.Identifier(name), sql.Identifier(owner)
                )
            )


def make_extension(url: str) -> None:
    """Make TimescaleDB known to the database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")


def is_new(url: str) -> bool:
    """Tell whether a database holds no table of anybody's yet."""
    with psycopg.connect(url) as connection:
        statement = "SELECT FROM pg_tables WHERE schemaname = 'public' LIMIT 1"
        return connection.execute(statement).fetchone() is None


def why_unfit_for_tests(url: str) -> str | None:
    """Say what forbids making test databases with this URL, None if nothing does."""
    try:
        with psycopg.connect(url) as connection:
            may_create = connection.execute(
                "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
            has_extension = connection.execute(
                "SELECT FROM pg_available_extensions WHERE name = 'timescaledb'"
            ).fetchone()
    except psycopg.OperationalError as error:
        return f"it does not answer ({error})"
    if not may_create or not may_create[0]:
        return "its user may not create databases (ALTER ROLE ... CREATEDB)"
    if has_extension is None:
        return "it has no TimescaleDB"
    return None
