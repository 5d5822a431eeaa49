"""A group of projects and of smaller groups, and since when what belongs to which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.amount import Credits

# How many people manage one organisation, without those above it.
MANAGERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Organisation:
    """A group of projects and organisations, by its name."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class MembershipRequest:
    """Where a project belongs from the full hour `valid_from` on; None: to no organisation.

    It holds up to the next start; of two for the same start, the one that came later counts.
    """

    project_id: int
    organisation: str | None
    valid_from: datetime
    reason: str
    author: str


@dataclass(frozen=True, slots=True)
class Membership:
    """A revision of a project's place as it is stored."""

    id: int
    organisation: str | None
    valid_from: datetime
    reason: str
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PlaceRequest:
    """On which organisation another one hangs from `valid_from` on; None: on none.

    It holds as a membership does: from a full hour up to the next start.
    """

    organisation_id: int
    parent_id: int | None
    valid_from: datetime
    reason: str
    author: str


@dataclass(frozen=True, slots=True)
class Place:
    """A revision of an organisation's place as it is stored, with its parent's name."""

    id: int
    parent_id: int | None
    parent: str | None
    valid_from: datetime
    reason: str
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OrganisationSum:
    """What a project was charged of a meter in the hours in which it lay beneath.

    `part` is the organisation right beneath the one that is summed through which it did; None
    where the project hangs on that one itself.
    """

    part: int | None
    project_id: int
    meter_id: int
    credits: Credits


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
