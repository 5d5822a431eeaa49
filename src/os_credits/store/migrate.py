"""Brings the schema to this version, by Alembic over psycopg 3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from os_credits.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.exc import DBAPIError

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


def migrate(database_url: str) -> None:
    """Upgrade the database to the newest revision; harmless when it is there already.

    Raises Unavailable if the database is away or another migration does not end, Misconfigured
    if the database refuses what a migration does.
    """
    from alembic import command
    from sqlalchemy.exc import DBAPIError, OperationalError

    try:
        command.upgrade(configuration(database_url), "head")
    except OperationalError as error:
        raise Unavailable(f"cannot migrate: {_first_line(error)}") from error
    except DBAPIError as error:
        raise Misconfigured(f"cannot migrate: {_first_line(error)}") from error


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).splitlines() or [type(error).__name__])[0]
