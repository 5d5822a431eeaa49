"""`demo.env` in the data folder: what a script sources to speak to the running service."""

import shlex
from pathlib import Path

from scripts import places

NAME = "demo.env"


class EnvFile:
    """The file of one run; only its owner may read it."""

    def __init__(self, folder: Path, url: str, database_url: str, owner_url: str) -> None:
        self.path = folder / NAME
        self._url = url
        self._database_url = database_url
        self._owner_url = owner_url

    def write(self, key: str) -> None:
        """Write the file anew."""
        values = {
            "OS_CREDITS_URL": self._url,
            "OS_CREDITS_KEY": key,
            "OS_CREDITS_DATABASE_URL": self._database_url,
            "OS_CREDITS_OWNER_DATABASE_URL": self._owner_url,
        }
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in values.items()]
        places.write_secret(self.path, "".join(lines))


def key_of(folder: Path) -> str | None:
    """Return the key that an earlier run wrote, None if there is none."""
    path = folder / NAME
    if not path.exists():
        return None
    for word in shlex.split(path.read_text()):
        name, _, value = word.partition("=")
        if name == "OS_CREDITS_KEY" and value:
            return value
    return None
