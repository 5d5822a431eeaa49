"""Where a resource is, and in which state: what the labels of its samples say of it."""

from __future__ import annotations

from typing import NamedTuple


class Whereabouts(NamedTuple):
    """A compute node, its region and provider, and the resource's state; '' where unknown."""

    host: str = ""
    region: str = ""
    provider: str = ""
    state: str = ""


NOWHERE = Whereabouts()
