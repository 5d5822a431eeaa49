"""A project with its balance as pages show it: how much is left, and how serious that is."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from os_credits.web.text import date_text

if TYPE_CHECKING:
    from os_credits.domain.balance import Balance
    from os_credits.domain.forecast import StoredForecast
    from os_credits.domain.project import Project

Level = Literal["none", "good", "low", "critical", "debt"]
LOW_PERCENT = 50
CRITICAL_PERCENT = 20


@dataclass(frozen=True, slots=True)
class Account:
    """A project, its balance in one snapshot, the address of its page, and its forecast."""

    project: Project
    balance: Balance
    href: str
    forecast: StoredForecast | None = None

    @property
    def percent(self) -> Decimal | None:
        """Give what is left in per cent of the grants that are valid; None if there are none."""
        if self.balance.granted_now <= 0:
            return None
        return 100 * self.balance.current / self.balance.granted_now

    @property
    def ends(self) -> str:
        """Write the day on which credits may run out, '' if none is in sight."""
        if self.forecast is None or self.balance.current <= 0:
            return ""
        return (
            ""
            if self.forecast.p50 is None
            else date_text(self.forecast.p50.replace(hour=0, minute=0))
        )

    @property
    def filled(self) -> Decimal:
        """Give how far the bar is filled, from 0 to 100."""
        return round(min(max(self.percent or Decimal(0), Decimal(0)), Decimal(100)), 2)

    @property
    def level(self) -> Level:
        """Say how serious it is, by the usual lines of notices."""
        percent = self.percent
        if self.balance.current < 0 or (percent is not None and percent <= 0):
            return "debt"
        if percent is None:
            return "none"
        if percent < CRITICAL_PERCENT:
            return "critical"
        return "low" if percent < LOW_PERCENT else "good"
