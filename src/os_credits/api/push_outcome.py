"""What a sender is told about a push: how much was kept, and what was refused and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from os_credits.domain.sample import Push, Rejected
from os_credits.flows.ingest import Receipt

REASONS_NAMED_MAX = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts of samples: `kept` are stored, set aside or of unknown metrics, all in order."""

    kept: int
    refused: int
    reasons: str

    @property
    def is_partial(self) -> bool:
        """Tell whether a part was kept and a part refused."""
        return self.kept > 0 and self.refused > 0


def outcome_of(push: Push, receipt: Receipt) -> Outcome:
    """Sum up a receipt; what could not even be read is in no column of the push."""
    unreadable = sum(rejected.sample_count for rejected in push.rejected)
    refused = sum(rejected.sample_count for rejected in receipt.rejected)
    kept = max(len(push) - (refused - unreadable), 0)
    return Outcome(kept, refused, _reasons(receipt.rejected))


def _reasons(rejected: Sequence[Rejected]) -> str:
    """Name the first refused places; whoever sent a thousand bad lines needs no more."""
    named = [f"{one.where}: {one.reason}" for one in rejected[:REASONS_NAMED_MAX]]
    rest = sum(one.sample_count for one in rejected[REASONS_NAMED_MAX:])
    return "; ".join([*named, f"and {rest} more"] if rest else named)
