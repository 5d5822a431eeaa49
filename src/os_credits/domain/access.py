"""What a caller may do: the scopes of a key or a person, and what these are limited to."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

KEY_PREFIX = "osc_"
# As we write it: `#007` is not 7, neither here nor where a single project is asked for.
_OUR_NUMBER = re.compile(r"#(0|[1-9][0-9]{0,17})")


class Scope(StrEnum):
    """What a key was made for; `admin` includes the other two."""

    INGEST = "ingest"
    """Hand in samples."""
    READ = "read"
    """Read projects, their history and prices."""
    ADMIN = "admin"
    """Change prices, grants, keys and log levels, read everything."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, and what they may: `None` for projects, sites or meters means all of them.

    `key_id` is our number of the key, `login_id` that of the person's login; 0 for callers
    without one. A person's `projects` and `managed` are our numbers (`#17`): of the managed ones
    the people and lines may be changed too. `organisations` are those that a person manages, with
    all beneath; `beneath` are the projects that hang there now, and `above` all organisations
    beneath which any of these is, was or will be.
    """

    name: str
    scopes: frozenset[Scope]
    projects: frozenset[str] | None = None
    sites: frozenset[str] | None = None
    meters: frozenset[str] | None = None
    key_id: int = 0
    login_id: int = 0
    email: str = ""
    managed: frozenset[str] | None = frozenset()
    organisations: frozenset[int] | None = frozenset()
    beneath: frozenset[str] = frozenset()
    above: frozenset[int] = frozenset()

    @property
    def is_person(self) -> bool:
        """Tell whether somebody asks who has logged in."""
        return self.login_id > 0

    def may_manage(self, project_id: int) -> bool:
        """Tell whether people and lines of a project may be changed."""
        if self.has(Scope.ADMIN):
            return True
        return self.managed is None or f"#{project_id}" in self.managed

    def may_manage_organisation(self, organisation_id: int) -> bool:
        """Tell whether people and lines of an organisation may be changed."""
        if self.has(Scope.ADMIN):
            return True
        return self.organisations is None or organisation_id in self.organisations

    def has(self, scope: Scope) -> bool:
        """Tell whether this access includes the scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def may_feed(self, site: str, meter: str) -> bool:
        """Tell whether samples of this site and meter may be handed in."""
        return (self.sites is None or site in self.sites) and (
            self.meters is None or meter in self.meters
        )


def key_digest(key: str) -> bytes:
    """Hash a key for storing and finding it; 256 random bits need no slow hash."""
    return hashlib.sha256(key.encode()).digest()


@dataclass(frozen=True, slots=True)
class Named:
    """How projects are named: our numbers, which rise, and names or cloud ids."""

    numbers: tuple[int, ...]
    names: tuple[str, ...]


@lru_cache(maxsize=64)
def named(among: frozenset[str]) -> Named:
    """Sort out what an access is limited to; of a person's thousands of projects it is kept."""
    found = [(_OUR_NUMBER.fullmatch(one), one) for one in among]
    return Named(
        tuple(sorted(int(number[1]) for number, _ in found if number)),
        tuple(sorted(one for number, one in found if not number)),
    )
