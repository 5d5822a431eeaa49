"""A forecast in words, for pages and the command line."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from os_credits.web.language import gettext as _
from os_credits.web.language import ngettext
from os_credits.web.text import calendar_day

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from os_credits.domain.forecast import StoredForecast

# Nearer than this, a date is told with its time.
_NEAR = timedelta(days=2)


def words_of(forecast: StoredForecast) -> str:
    """Say when credits run out: about 12 March 2027 (between 5 March and 30 March)."""
    if forecast.p50 is not None:
        day = _day(forecast.p50, 0)
        when = f"{day}, {forecast.p50:%H:%M} UTC" if _is_near(forecast) else day
        about = _("about %(when)s", when=when)
        return f"{about}{_in_brackets(band_of(forecast))}"
    match forecast.state:
        case "short":
            return ngettext(
                "needs %(num)s more day of usage",
                "needs %(num)s more days of usage",
                forecast.needs_days,
            )
        case "out":
            return _("nothing is left")
        case "idle":
            return _("does not run out: nothing was used for a week")
        case "beyond":
            beyond = _("does not run out within two years")
            return f"{beyond}{_in_brackets(band_of(forecast))}"
        case _:
            return _("could not be worked out")


def band_of(forecast: StoredForecast) -> str:
    """Write the dates around the middle one, with years where they differ from its own."""
    p10, p50, p90 = forecast.p10, forecast.p50, forecast.p90
    year = p50.year if p50 is not None else 0
    if p10 is None:
        return ""
    if p90 is None:
        return _("%(day)s at the earliest", day=_day(p10, year))
    if _is_near(forecast) and p10.date() == p90.date():
        return _("between %(first)s and %(last)s", first=f"{p10:%H:%M}", last=f"{p90:%H:%M}")
    if p10.date() == p90.date():
        return ""
    # Both years or none: a band over New Year would be hard to read else.
    year = year if p10.year == p90.year == year else 0
    return _("between %(first)s and %(last)s", first=_day(p10, year), last=_day(p90, year))


def gain_of(without: Mapping[str, Any]) -> str:
    """Say how much longer credits last without some resources."""
    days = without["days"]
    if days is None:
        return _("more than two years")
    return ngettext("%(days)s day", "%(days)s days", int(days), days=days)


def _is_near(forecast: StoredForecast) -> bool:
    return forecast.p50 is not None and forecast.p50 - forecast.computed_at < _NEAR


def _day(moment: datetime, year: int) -> str:
    day = calendar_day(moment, is_long=True)
    return day if moment.year == year else f"{day} {moment.year}"


def _in_brackets(words: str) -> str:
    return f" ({words})" if words else ""
