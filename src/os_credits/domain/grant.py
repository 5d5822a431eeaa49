"""Credits given to a project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os_credits.domain.amount import Credits


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """A grant as asked for; the same `idempotency_key` is granted once."""

    project_id: int
    amount: Credits
    reason: str
    author: str
    idempotency_key: str
