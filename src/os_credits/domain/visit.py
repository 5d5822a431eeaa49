"""One visit: who asks, from where, and what pages and cookies need to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import timedelta

    from os_credits.domain.access import Access

SESSION_COOKIE = "os_credits_session"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request's caller, and the way by which the request came.

    `token` is the session's secret and `csrf` what forms must bring along, both '' without a
    session. `base` is the path below which a proxy shows the service, '' without one. `address`
    is the caller's, behind proxies too.
    """

    access: Access
    address: str
    base: str = ""
    is_secure: bool = False
    token: str = ""
    csrf: str = ""
    session_id: int = 0
    name: str = ""
    language: str = ""

    @property
    def is_person(self) -> bool:
        """Tell whether somebody asks who has logged in."""
        return self.session_id > 0

    def cookie(self, length: timedelta) -> dict[str, Any]:
        """Give the attributes of a session's cookie; scripts and other sites never see it."""
        return {
            "max_age": int(length.total_seconds()),
            "path": self.base or "/",
            "secure": self.is_secure,
            "httponly": True,
            "samesite": "Lax",
        }
