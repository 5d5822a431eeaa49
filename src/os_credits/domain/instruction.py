"""What a person, or a portal, tells an account to do, once for each idempotency key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from os_credits.domain.period import full_hour
from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.amount import Credits

# Between the parts of a content; no text may hold it.
_BETWEEN = "\x1f"


class Instruction(Protocol):
    """What every instruction says of itself."""

    @property
    def action(self) -> str:
        """Name what is to be done."""

    @property
    def project_id(self) -> int:
        """Name whose account it is."""

    @property
    def reason(self) -> str:
        """Say why."""

    @property
    def author(self) -> str:
        """Say who."""

    @property
    def idempotency_key(self) -> str:
        """Give the key under which it is carried out once."""

    def content(self) -> tuple[str, ...]:
        """Give all else that the key stands for."""


def digest_of(action: str, about: int, content: tuple[str, ...]) -> bytes:
    """SHA-256 over what an idempotency key stands for: action, project (or node), content.

    The migration that made the table has done the same for the grants before it. Raises
    InvalidInput for a text that would make two contents one.
    """
    if any(_BETWEEN in part for part in content):
        raise InvalidInput("must hold no control characters", where="reason")
    return hashlib.sha256(_BETWEEN.join((action, str(about), *content)).encode()).digest()


@dataclass(frozen=True, slots=True)
class TopUp:
    """More credits on the terms of a grant that stands; valid from now on."""

    action: ClassVar[str] = "top up"

    project_id: int
    grant_id: int
    amount: Credits
    reason: str
    author: str
    idempotency_key: str

    def content(self) -> tuple[str, ...]:
        """Give what the key stands for."""
        return str(self.grant_id), str(self.amount), self.reason


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change by a person, of either sign, with a reason; in the hour in which it is made."""

    action: ClassVar[str] = "adjust"

    project_id: int
    amount: Credits
    reason: str
    author: str
    idempotency_key: str

    def content(self) -> tuple[str, ...]:
        """Give what the key stands for."""
        return str(self.amount), self.reason


@dataclass(frozen=True, slots=True)
class Transfer:
    """Credits moved to another project, where they are a lot with an expiry of its own."""

    action: ClassVar[str] = "transfer"

    project_id: int
    to_project_id: int
    amount: Credits
    expires_at: datetime | None
    reason: str
    author: str
    idempotency_key: str

    def __post_init__(self) -> None:
        """Refuse a transfer to itself, and an expiry within an hour."""
        if self.project_id == self.to_project_id:
            raise InvalidInput("is the same project", where="to")
        if self.expires_at is not None:
            moment = full_hour(self.expires_at, where="expires_at")
            object.__setattr__(self, "expires_at", moment)

    def content(self) -> tuple[str, ...]:
        """Give what the key stands for."""
        expires = self.expires_at.isoformat() if self.expires_at else "never"
        return str(self.to_project_id), str(self.amount), expires, self.reason


@dataclass(frozen=True, slots=True)
class Void:
    """Takes back a grant of which nothing is burned."""

    action: ClassVar[str] = "void"

    project_id: int
    grant_id: int
    reason: str
    author: str
    idempotency_key: str

    def content(self) -> tuple[str, ...]:
        """Give what the key stands for."""
        return str(self.grant_id), self.reason
