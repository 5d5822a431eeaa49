"""What came of a long run, told while it goes on, and the databases that it takes."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from os_credits.store.migrate import migrate
from tests import database

PROGRESS_SECONDS = 15


@dataclass
class Tally:
    """What came of the sets so far."""

    sets: int = 0
    mismatches: int = 0
    started: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def count(self) -> None:
        """Count a set, and tell now and then how far it has come."""
        self.sets += 1
        if time.monotonic() > self.told + PROGRESS_SECONDS:
            self.told = time.monotonic()
            say(f"  {self}, {self.rate:.1f} sets/s")

    def __str__(self) -> str:
        """Write the last line of a run."""
        return f"sets {self.sets}, mismatches {self.mismatches}"

    @property
    def rate(self) -> float:
        """Give sets per second."""
        return self.sets / (time.monotonic() - self.started)


def say(text: str) -> None:
    """Tell whoever watches."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def template() -> Iterator[str]:
    """Give the name of a migrated database that is only cloned."""
    with database.database(database.server_url(), as_template=True) as url:
        migrate(url, database.as_service(url))
        database.close_to_sessions(url)
        yield database.name_of(url)
