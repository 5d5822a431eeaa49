"""Brings the schema to this version, by Alembic over psycopg 3, and grants the rights in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from os_credits.errors import Misconfigured, Unavailable
from os_credits.store import rights

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.exc import DBAPIError

CONNECT_SECONDS_MAX = 10
_PACKAGE = Path(__file__).resolve().parent.parent


def migrations_folder() -> Path:
    """Find `migrations/`: inside an installed wheel, else at the top of the checkout."""
    for folder in (_PACKAGE / "migrations", _PACKAGE.parent.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    message = "the folder migrations/ is missing from this installation"
    raise Misconfigured(message)


def configuration(database_url: str) -> Config:
    """Tell Alembic where the migrations lie and which database to change."""
    from alembic.config import Config  # the service itself needs no SQLAlchemy

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    scheme, _, rest = database_url.partition("://")
    if scheme not in ("postgresql", "postgres"):
        message = "OS_CREDITS_DATABASE_URL must start with postgresql://"
        raise Misconfigured(message)
    config.set_main_option("sqlalchemy.url", f"postgresql+psycopg://{rest}".replace("%", "%%"))
    return config


def migrate(owner_url: str, service_url: str | None = None) -> None:
    """Upgrade to the newest revision and grant the service its rights; harmless to repeat.

    `owner_url` names the role that owns the tables, `service_url` the one that the service works
    as; None, or the same role, leaves it to one that may do everything. Raises Unavailable if the
    database is away or another migration does not end, Misconfigured if it refuses something.
    """
    from alembic import command
    from sqlalchemy.exc import DBAPIError, OperationalError

    service_role = _role_of(service_url) if service_url not in (None, owner_url) else None
    try:
        command.upgrade(configuration(owner_url), "head")
    except OperationalError as error:
        raise Unavailable(f"cannot migrate: {_first_line(error)}") from error
    except DBAPIError as error:
        raise Misconfigured(f"cannot migrate: {_first_line(error)}") from error
    _grant(owner_url, service_role)


def _role_of(service_url: str) -> str:
    """Ask the database whom it takes the service for: before anything is changed in it."""
    import psycopg

    try:
        with psycopg.connect(service_url, connect_timeout=CONNECT_SECONDS_MAX) as conn:
            return rights.current_role(conn)
    except psycopg.OperationalError as error:
        message = (
            f"cannot migrate: OS_CREDITS_DATABASE_URL, whose role is to be granted its rights, "
            f"does not let us in: {_line_of(error)}"
        )
        raise Unavailable(message) from error


def _grant(owner_url: str, service_role: str | None) -> None:
    import psycopg

    try:
        with psycopg.connect(
            owner_url, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX
        ) as conn:
            if service_role not in (None, rights.current_role(conn)):
                rights.grant_rights(conn, service_role)
    except psycopg.OperationalError as error:
        raise Unavailable(f"cannot grant rights: {_line_of(error)}") from error
    except psycopg.Error as error:
        raise Misconfigured(f"cannot grant rights: {_line_of(error)}") from error


def _first_line(error: DBAPIError) -> str:
    return _line_of(error.orig or error)


def _line_of(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
