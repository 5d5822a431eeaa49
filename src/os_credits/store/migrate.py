"""Brings the schema to this version, by Alembic over psycopg 3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from os_credits.errors import Misconfigured

if TYPE_CHECKING:
    from alembic.config import Config

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
    """Upgrade the database to the newest revision; harmless when it is there already."""
    from alembic import command

    command.upgrade(configuration(database_url), "head")
