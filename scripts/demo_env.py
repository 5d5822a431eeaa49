"""`demo.env` in the data folder: what a script sources to speak to the running service."""

import secrets
import shlex
from pathlib import Path

from scripts import places

NAME = "demo.env"
KEY = "OS_CREDITS_KEY"
PASSWORD = "OS_CREDITS_DEMO_PASSWORD"  # noqa: S105 - the name of one
# Without those that look alike.
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class EnvFile:
    """The file of one run; only its owner may read it."""

    def __init__(self, folder: Path, url: str, database_url: str, owner_url: str) -> None:
        self.path = folder / NAME
        self._url = url
        self._database_url = database_url
        self._owner_url = owner_url

    def write(self, key: str, password: str) -> None:
        """Write the file anew; the password is of the simulated cloud's people."""
        values = {
            "OS_CREDITS_URL": self._url,
            KEY: key,
            PASSWORD: password,
            "OS_CREDITS_DATABASE_URL": self._database_url,
            "OS_CREDITS_OWNER_DATABASE_URL": self._owner_url,
        }
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in values.items()]
        places.write_secret(self.path, "".join(lines))


def read(folder: Path, name: str) -> str | None:
    """Return what an earlier run wrote under a name, None if there is nothing."""
    path = folder / NAME
    if not path.exists():
        return None
    for word in shlex.split(path.read_text()):
        known, _, value = word.partition("=")
        if known == name and value:
            return value
    return None


def new_password() -> str:
    """Make a password that is quickly typed, of 60 random bits."""
    words = ["".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3)]
    return "-".join(words)
