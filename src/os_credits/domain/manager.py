"""A manager: a person who sees, and changes people and lines of, all beneath an organisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

# How many people manage one organisation, without those above it.
MANAGERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Manager:
    """Who manages an organisation, and who said so."""

    email: str
    name: str
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ManagedOrganisation:
    """An organisation that an address manages, as an export shows it."""

    id: int
    organisation: str
    name: str
    created_at: datetime
