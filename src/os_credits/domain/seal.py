"""What binds the accounts of all projects together: a link of the one chain over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class SealedHead:
    """The last entry of a project's account when it was sealed: its number and its hash."""

    project_id: int
    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """A link of the global chain; `hash` covers `previous_hash`, the moment and the heads.

    Whoever keeps `id` and `hash` somewhere else can show later that no entry before
    `sealed_at` was changed or taken away.
    """

    id: int
    sealed_at: datetime
    head_count: int
    previous_hash: bytes
    hash: bytes
