"""The two roles of `make run` in a database that somebody else named and runs.

The named role owns the tables. The service works as another one, which is made where the named
role may do that: so a server with one role, a superuser perhaps, is enough to try the service.
"""

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from scripts import databases, places
from scripts.progress import StepError


@dataclass(frozen=True)
class Urls:
    """How the service opens its database, and how the owner of the tables does."""

    service: str = field(repr=False)
    owner: str = field(repr=False)


def of_named(url: str, folder: Path) -> Urls:
    """Return both URLs of the database that OS_CREDITS_DATABASE_URL names."""
    owner_url = os.environ.get("OS_CREDITS_OWNER_DATABASE_URL")
    if owner_url:
        return Urls(url, owner_url)
    try:
        if not databases.may_make_roles(url):
            raise StepError(
                "The role of OS_CREDITS_DATABASE_URL owns the tables, so the service may not work "
                "as it, and it may not create another. Let OS_CREDITS_OWNER_DATABASE_URL name "
                "it, and OS_CREDITS_DATABASE_URL one that owns nothing (CREATE ROLE ... LOGIN)."
            )
        role = _name_of(url, folder)
        password = _password(folder / f".{role}")
        databases.make_role(url, role, password, may_create=False)
    except psycopg.OperationalError as error:
        raise StepError(f"The database of OS_CREDITS_DATABASE_URL: {error}") from error
    return Urls(databases.as_role(url, role, password), url)


def _name_of(url: str, folder: Path) -> str:
    """Name the role of one data folder: two of them on one server do not meet."""
    words = f"{folder} {urlsplit(url).netloc.rpartition('@')[2]}"
    return f"os_credits_{hashlib.sha256(words.encode()).hexdigest()[:12]}"


def _password(path: Path) -> str:
    """Return the password in a file of the data folder, and make it up first if there is none."""
    if not path.exists():
        places.write_secret(path, secrets.token_urlsafe())
    return path.read_text()
