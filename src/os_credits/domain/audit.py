"""The audit log: who changed what, when, and by which way; written by the database itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One change; `subject` is the kind of thing that was changed, `details` are its fields.

    A change of something has `changed` in its details: for each field what it was and what it is.
    """

    id: int
    made_at: datetime
    actor: str
    via: str
    login_id: int | None
    subject: str
    action: str
    project_id: int | None
    organisation_id: int | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which lines are looked for; None filters nothing. Lines come newest first."""

    project_id: int | None = None
    organisation_id: int | None = None
    subject: str | None = None
    actor: str | None = None
    login_id: int | None = None
    since: datetime | None = None
    before_id: int | None = None
