"""What a sender is told about a push: how much was kept, and what was refused and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from os_credits.domain.sample import Push, Rejected
from os_credits.flows.ingest import Receipt

_PLACE = re.compile(r"\w+ (\d+)")

REASONS_NAMED_MAX = 5
# So that what an answer says behind the reasons is never cut off.
REASONS_LENGTH_MAX = 1800


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts of samples: `kept` are stored, set aside or of unknown metrics, all in order.

    `first_refused` is the number of the first line, series or metric of which something was
    refused; None where nothing was.
    """

    kept: int
    refused: int
    reasons: str
    first_refused: int | None = None

    @property
    def is_partial(self) -> bool:
        """Tell whether a part was kept and a part refused."""
        return self.kept > 0 and self.refused > 0


def outcome_of(push: Push, receipt: Receipt) -> Outcome:
    """Sum up a receipt; what could not even be read is in no column of the push."""
    unreadable = sum(rejected.sample_count for rejected in push.rejected)
    kept = len(push) - (receipt.refused - unreadable)
    judged = receipt.rejected[len(push.rejected) :]
    first = _first([*push.rejected[:1], *judged])  # what is unreadable stands in its order
    return Outcome(kept, receipt.refused, _reasons(receipt.rejected), first)


def _reasons(rejected: Sequence[Rejected]) -> str:
    """Name the first refused places; whoever sent a thousand bad lines needs no more."""
    named = [f"{one.where}: {one.reason}" for one in rejected[:REASONS_NAMED_MAX]]
    while len(named) > 1 and len("; ".join(named)) > REASONS_LENGTH_MAX:
        named.pop()
    rest = sum(one.sample_count for one in rejected[len(named) :])
    return "; ".join([*named, f"and {rest} more"] if rest else named)


def _first(rejected: Sequence[Rejected]) -> int | None:
    places = (_PLACE.fullmatch(one.where) for one in rejected)
    return min((int(place[1]) for place in places if place), default=None)
