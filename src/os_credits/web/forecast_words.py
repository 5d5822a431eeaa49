"""A forecast in words, for pages and the command line."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from os_credits.domain.forecast import StoredForecast

# Nearer than this, a date is told with its time.
_NEAR = timedelta(days=2)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def words_of(forecast: StoredForecast) -> str:
    """Say when credits run out: about 12 March 2027 (between 5 March and 30 March)."""
    if forecast.p50 is not None:
        day = _day(forecast.p50, 0)
        when = f"{day}, {forecast.p50:%H:%M} UTC" if _is_near(forecast) else day
        return f"about {when}{_in_brackets(band_of(forecast))}"
    match forecast.state:
        case "short":
            days = forecast.needs_days
            return f"needs {days} more day{'' if days == 1 else 's'} of usage"
        case "out":
            return "nothing is left"
        case "idle":
            return "does not run out: nothing was used for a week"
        case "beyond":
            return f"does not run out within two years{_in_brackets(band_of(forecast))}"
        case _:
            return "could not be worked out"


def band_of(forecast: StoredForecast) -> str:
    """Write the dates around the middle one, with years where they differ from its own."""
    p10, p50, p90 = forecast.p10, forecast.p50, forecast.p90
    year = p50.year if p50 is not None else 0
    if p10 is None:
        return ""
    if p90 is None:
        return f"{_day(p10, year)} at the earliest"
    if _is_near(forecast) and p10.date() == p90.date():
        return f"between {p10:%H:%M} and {p90:%H:%M}"
    if p10.date() == p90.date():
        return ""
    # Both years or none: a band over New Year would be hard to read else.
    year = year if p10.year == p90.year == year else 0
    return f"between {_day(p10, year)} and {_day(p90, year)}"


def gain_of(without: Mapping[str, Any]) -> str:
    """Say how much longer credits last without some resources."""
    days = without["days"]
    if days is None:
        return "more than two years"
    return f"{days} day" if days == "+1" else f"{days} days"


def _is_near(forecast: StoredForecast) -> bool:
    return forecast.p50 is not None and forecast.p50 - forecast.computed_at < _NEAR


def _day(moment: datetime, year: int) -> str:
    day = f"{moment.day} {_MONTHS[moment.month - 1]}"
    return day if moment.year == year else f"{day} {moment.year}"


def _in_brackets(words: str) -> str:
    return f" ({words})" if words else ""
