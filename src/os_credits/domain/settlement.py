"""What people decided about usage that is only shown: suspect, or unmetered for a while."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from os_credits.domain.period import to_ms

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from os_credits.domain.usage import UsageKind


class Verdict(StrEnum):
    """What is to become of suspect or unmetered usage."""

    BILL = "bill"
    """It was true: charge it at the price of its hour."""
    WAIVE = "waive"
    """It costs nothing, and needs nobody's attention any more."""
    REOPEN = "reopen"
    """As if nothing had been decided."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """A verdict on one kind of usage of a project, for the hours from the first up to the end.

    `meter_id` and `series_id` narrow it where given. The latest settlement that concerns a row
    of usage decides, so a verdict holds for usage that is found later in its hours too.
    """

    id: int
    project_id: int
    meter_id: int | None
    series_id: int | None
    kind: UsageKind
    first_hour: datetime
    end_hour: datetime
    verdict: Verdict
    reason: str
    author: str


class Settlements:
    """All settlements, for finding the verdict on a row of usage."""

    def __init__(self, settlements: Iterable[Settlement] = ()) -> None:
        """Sort them by project, the latest first."""
        self._of_project: dict[int, list[Settlement]] = defaultdict(list)
        for one in sorted(settlements, key=lambda one: -one.id):
            self._of_project[one.project_id].append(one)

    def find(
        self, *, project_id: int, meter_id: int, series_id: int, kind: int, hour_ms: int
    ) -> Settlement | None:
        """Give the settlement that decides about this usage, if there is one that settles it."""
        for one in self._of_project.get(project_id, ()):
            if (
                one.kind == kind
                and one.meter_id in (None, meter_id)
                and one.series_id in (None, series_id)
                and to_ms(one.first_hour) <= hour_ms < to_ms(one.end_hour)
            ):
                return None if one.verdict is Verdict.REOPEN else one
        return None
