"""Projects of a quarter whose hours are easy to reckon with, as seen on a Wednesday at noon."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np

from os_credits.domain.lot import Lot
from os_credits.domain.period import HOUR
from os_credits.forecast.credit import Credit
from os_credits.forecast.history import Floats, History
from os_credits.forecast.run_out import Forecast, forecast

END = datetime(2026, 11, 18, 12, tzinfo=UTC)
NOW = END + timedelta(minutes=20)
HOURS = 90 * 24
DAY = timedelta(days=1)


def flat(credits_per_hour: float = 10.0) -> Floats:
    return np.full(HOURS, float(credits_per_hour))


def office(credits_per_hour: float = 20.0) -> Floats:
    """Use on workdays from 8 to 18 only."""
    hours = [END - (HOURS - place) * HOUR for place in range(HOURS)]
    return np.array([credits_per_hour * (h.weekday() < 5 and 8 <= h.hour < 18) for h in hours])


def lot(
    number: int, amount: int, *, start: float = -30, end: float | None = None, priority: int = 0
) -> Lot:
    """Give credits from some days after `END` to others."""
    expires_at = None if end is None else END + end * DAY
    return Lot(number, amount * 10**6, END + start * DAY, expires_at, priority)


def told(hourly: Floats, balance: int | str, *lots: Lot) -> Forecast:
    return forecast(History(END, hourly), Credit(Decimal(balance), lots), NOW)


def days(moment: datetime | None) -> float:
    assert moment is not None
    return (moment - NOW) / DAY
