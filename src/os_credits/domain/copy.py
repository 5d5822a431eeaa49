"""A copy of the service: one running process, and how its jobs fare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Copy:
    """What a copy last said of itself; `jobs` are those of its clock, as `Job.describe` has them.

    `started_at` and `seen_at` are of the database's clock.
    """

    id: UUID
    host: str
    process_id: int
    version: str
    started_at: datetime
    seen_at: datetime
    jobs: Sequence[Mapping[str, Any]]
