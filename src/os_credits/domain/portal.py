"""A portal outside that says how many credits a project is granted in all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from os_credits.domain.amount import added
from os_credits.domain.grant import GrantRequest
from os_credits.domain.instruction import Adjustment

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.amount import Credits

AUTHOR = "portal"


@dataclass(frozen=True, slots=True)
class PortalAccount:
    """What the portal has said of a project so far, and what came of it, in credits.

    `granted` sums the `change_count` changes that were made of its answers, `opening` what was
    taken over from an older service, which asked the same portal. `failure_count` counts
    questions in a row that brought no number; `is_ambiguous` says that the name could as well
    mean another project, so that it must not be asked.
    """

    project_id: int
    name: str
    granted: Credits
    opening: Credits
    change_count: int
    failure_count: int
    is_ambiguous: bool

    @property
    def change_key(self) -> str:
        """Give the idempotency key of the next change: two copies make it once."""
        return f"{AUTHOR}:{self.project_id}:{self.change_count}"

    def change_to(self, answer: Credits) -> GrantRequest | Adjustment | None:
        """Make the instruction that brings what is granted to an answer; None if it is so."""
        before = added(self.granted, self.opening)
        difference = added(answer, before.copy_negate())
        if difference == 0:
            return None
        reason = f"the portal grants {answer:f} in all, after {before:f}"
        make = GrantRequest if difference > 0 else Adjustment
        return make(self.project_id, difference, reason, AUTHOR, self.change_key)

    def after(self, change: Credits) -> PortalAccount:
        """Give what is known once the next change is counted."""
        granted = added(self.granted, change)
        return replace(self, granted=granted, change_count=self.change_count + 1)


@dataclass(frozen=True, slots=True)
class PortalHealth:
    """How many projects a portal has answered for, how many lately failed, and one reason."""

    answered_count: int
    failing_count: int
    example: str
    last_answer_at: datetime | None
