"""A forecast in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from os_credits.web.forecast_words import band_of, gain_of, words_of
from tests.unit.web.facts import NOW, forecast


def at(*date: int) -> datetime:
    return datetime(*date, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    "state,more,words",
    [
        ("ok", {"p10": at(2027, 3, 5), "p50": at(2027, 3, 12), "p90": at(2027, 3, 30)},
         "about 12 March 2027 (between 5 March and 30 March)"),
        ("ok", {"p10": at(2026, 12, 20), "p50": at(2026, 12, 28), "p90": at(2027, 1, 3)},
         "about 28 December 2026 (between 20 December 2026 and 3 January 2027)"),
        ("ok", {"p10": at(2027, 3, 5), "p50": at(2027, 3, 12), "p90": None},
         "about 12 March 2027 (5 March at the earliest)"),
        ("ok", {"p10": at(2027, 3, 12, 1), "p50": at(2027, 3, 12, 4), "p90": at(2027, 3, 12, 9)},
         "about 12 March 2027"),
        ("ok", {"p10": at(2026, 3, 11, 1), "p50": at(2026, 3, 11, 4, 24),
                "p90": at(2026, 3, 11, 9, 5)},
         "about 11 March 2026, 04:24 UTC (between 01:00 and 09:05)"),
        ("short", {"needs_days": 3}, "needs 3 more days of usage"),
        ("short", {"needs_days": 1}, "needs 1 more day of usage"),
        ("idle", {}, "does not run out: nothing was used for a week"),
        ("beyond", {}, "does not run out within two years"),
        ("beyond", {"p10": at(2027, 11, 5)},
         "does not run out within two years (5 November 2027 at the earliest)"),
        ("out", {}, "nothing is left"),
        ("failed", {}, "could not be worked out"),
    ],
)  # fmt: skip
def test_a_forecast_says_when_credits_run_out(state: str, more: dict[str, Any], words: str) -> None:
    assert words_of(forecast(state, **more)) == words


def test_a_band_within_a_day_that_is_far_says_nothing_more() -> None:
    far = NOW + timedelta(days=30)

    assert band_of(forecast("ok", p10=far, p50=far, p90=far)) == ""


@pytest.mark.parametrize(
    "days,words", [("+1", "+1 day"), ("+11", "+11 days"), (None, "more than two years")]
)
def test_what_leaving_out_resources_brings_is_told_in_days(days: str | None, words: str) -> None:
    assert gain_of({"days": days}) == words
