"""What an earlier `make run` in this data folder knows about a database.

The simulated cloud may push only into a database that was new when it first came, so never among
somebody's real usage; and a key is good only for the database it was made in.
"""

import hashlib
from pathlib import Path

from scripts import databases, demo_env


class Known:
    """The memory of one data folder about one database; look before the migrations run."""

    def __init__(self, folder: Path, database_url: str, *, is_private: bool, demo: bool) -> None:
        # The private database moves from port to port and stays the same.
        name = "private" if is_private else hashlib.sha256(database_url.encode()).hexdigest()[:16]
        self._key_made = folder / f".key-made-{name}"
        self._demo_began = folder / f".demo-began-{name}"
        if databases.is_new(database_url):
            self._key_made.unlink(missing_ok=True)
            self._demo_began.unlink(missing_ok=True)
            if demo:
                self._demo_began.touch()
        self.with_demo = demo and self._demo_began.exists()
        made = self._key_made.exists()
        self.key = demo_env.read(folder, demo_env.KEY) if made else None
        self.password = demo_env.read(folder, demo_env.PASSWORD) if made else None

    def remember_key(self) -> None:
        """Note that the key in demo.env is one of this database."""
        self._key_made.touch()
