"""An invitation: a link by which a person chooses a password, good once and for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

# How long a link of each purpose is good.
INVITATION_LASTS = timedelta(days=7)
RESET_LASTS = timedelta(hours=1)


class Purpose(StrEnum):
    """Why a person is sent a link."""

    INVITATION = "invitation"
    """Somebody let the person in."""
    RESET = "reset"
    """The person has forgotten the password, or somebody said so."""

    @property
    def lasts(self) -> timedelta:
        """Give how long a link is good from when it was made."""
        return INVITATION_LASTS if self is Purpose.INVITATION else RESET_LASTS


class InvitationState(StrEnum):
    """What became of a link."""

    SHOWN = "shown"
    """It was given to whoever asked for it, to be handed over."""
    PENDING = "pending"
    """It is to be mailed."""
    SENT = "sent"
    """A mail server took it."""
    REFUSED = "refused"
    """It could not be mailed, or a newer link has its place."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link as people see it in a list; never the token."""

    id: int
    login_id: int
    purpose: Purpose
    state: InvitationState
    author: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    last_error: str


@dataclass(frozen=True, slots=True)
class DueInvitation:
    """A link that is to be mailed now; `attempt_count` includes the attempt about to be made."""

    id: int
    purpose: Purpose
    email: str
    name: str
    language: str
    created_at: datetime
    expires_at: datetime
    attempt_count: int


def link_path(token: str) -> str:
    """Give the path, below the public address, at which a token's password is chosen."""
    return f"/password/{token}"
