"""How often the band holds the truth, and how far P50 and the straight line are from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.backtest.cases import Outcome

# A date that is further off, or was not told, counts as this much (300 %), for both methods.
ERROR_MAX = 3.0
TOLD_DAYS_MIN = 0.1


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of some cases: shares, and errors relative to the true days."""

    cases: int
    censored: int
    before_p10: float
    after_p90: float
    median: float
    mean: float
    straight_median: float
    straight_mean: float
    log: float
    straight_log: float

    @property
    def coverage(self) -> float:
        """Give the share of truths between P10 and P90."""
        return 1 - self.before_p10 - self.after_p90


def score(outcomes: Sequence[Outcome]) -> Score:
    """Judge outcomes; what lies behind the last known day is treated as docs/forecast.md says."""
    before = [each for each in outcomes if each.truth < each.p10]
    before_asked = [each for each in outcomes if each.p10 < each.known or each.truth < each.p10]
    after = [each for each in outcomes if each.truth > each.p90 and each.p90 < each.known]
    after_asked = [each for each in outcomes if each.p90 < each.known]
    error = np.array([_error(each, each.p50) for each in outcomes])
    straight = np.array([_error(each, each.straight) for each in outcomes])
    return Score(
        cases=len(outcomes),
        censored=sum(each.truth > each.known for each in outcomes),
        before_p10=len(before) / max(len(before_asked), 1),
        after_p90=len(after) / max(len(after_asked), 1),
        median=float(np.median(error)),
        mean=float(error.mean()),
        straight_median=float(np.median(straight)),
        straight_mean=float(straight.mean()),
        log=float(np.mean([_log_error(each, each.p50) for each in outcomes])),
        straight_log=float(np.mean([_log_error(each, each.straight) for each in outcomes])),
    )


def _error(outcome: Outcome, told: float) -> float:
    """Give the share by which a date is wrong, both cut at the last day that is known."""
    truth = min(outcome.truth, outcome.known)
    return min(abs(min(told, outcome.known) - truth) / truth, ERROR_MAX)


def _log_error(outcome: Outcome, told: float) -> float:
    """Give the logarithm of the factor by which a date is wrong: twice is as bad as half."""
    truth = min(outcome.truth, outcome.known)
    told = max(min(told, outcome.known), TOLD_DAYS_MIN)
    return abs(float(np.log(told / truth)))
