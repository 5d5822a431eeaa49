"""Roles and databases of a server, by the little SQL that comes before the migrations."""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit

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
        # What a role may do is said once: to say it again takes more rights.
        words = "CREATEDB CREATEROLE" if may_create and not known else ""
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN {} PASSWORD {}").format(
                sql.SQL("ALTER" if known else "CREATE"),
                sql.Identifier(role),
                sql.SQL(words),
                sql.Literal(password),
            )
        )


def join_role(url: str, role: str, member: str | None = None) -> None:
    """Let a role, by default the one of the URL, do what another may: end its sessions, say."""
    with psycopg.connect(url, autocommit=True) as connection:
        who = sql.Identifier(member) if member else sql.SQL("CURRENT_USER")
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), who))


def as_role(url: str, role: str, password: str) -> str:
    """Return the URL with which another role opens the same database."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    options = [
        one for one in parse_qsl(parts.query) if one[0] not in ("user", "password", "passfile")
    ]
    return parts._replace(
        netloc=f"{quote(role)}:{quote(password)}@{place}", query=urlencode(options)
    ).geturl()


def drop_role(url: str, role: str) -> None:
    """Drop a role that owns nothing and has no rights in any database any more."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


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


def hand_over(url: str, before: str, owner: str) -> None:
    """Give the database of the URL, and all in it that one role owns, to another role."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("REASSIGN OWNED BY {} TO {}").format(
                sql.Identifier(before), sql.Identifier(owner)
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


def may_make_roles(url: str) -> bool:
    """Tell whether the role of the URL may create roles."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    return row is not None and bool(row[0])


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
        may_make = may_make_roles(url)
    except psycopg.OperationalError as error:
        return f"it does not answer ({error})"
    if not may_create or not may_create[0]:
        return "its user may not create databases (ALTER ROLE ... CREATEDB)"
    if not may_make:
        return "its user may not create the role that the service works as (... CREATEROLE)"
    if has_extension is None:
        return "it has no TimescaleDB"
    return None
