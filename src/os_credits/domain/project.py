"""Who is charged: a project, keyed by site and id, or by site, domain and name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

# Parts of a path that are no names.
_STEPS = (".", "..")


def digest(*parts: str) -> bytes:
    """Make a short key of several texts, so that no text can play two of them (16 bytes)."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class ProjectKey:
    """What a sample says of its project.

    `external_id` is the cloud's own project id; it is '' where the source knows none, and
    then domain and name are the key. The name is otherwise an attribute.
    """

    site: str
    external_id: str
    domain: str
    name: str

    def digest(self) -> bytes:
        """Give the stored key: equal for two samples of one project, else different."""
        if self.external_id:
            return digest("id", self.site, self.external_id)
        return digest("name", self.site, self.domain, self.name)


@dataclass(frozen=True, slots=True)
class Project:
    """A project as it is stored; its name is the one that its latest sample gave."""

    id: int
    site: str
    external_id: str
    domain: str
    name: str

    def in_path(self, name: str) -> str:
        """Give what stands for the project in a URL's path: this name of it, or our number.

        Browsers take some names for a step through folders, even quoted.
        """
        return f"#{self.id}" if name in _STEPS else name
