"""Writes amounts and times for people, in their language. Pure."""

from __future__ import annotations

from datetime import UTC
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from os_credits.domain.mail import Language

if TYPE_CHECKING:
    from datetime import datetime

MONTHS = {
    Language.ENGLISH: "January February March April May June July August September October"
    " November December",
    Language.GERMAN: "Januar Februar März April Mai Juni Juli August September Oktober"
    " November Dezember",
}
_GERMAN_SIGNS = str.maketrans(",.", ".,")
_DAY_POINT = {Language.ENGLISH: "", Language.GERMAN: "."}


def shown_credits(amount: Decimal, precision: int, language: Language = Language.ENGLISH) -> str:
    """Give an amount for reading: thousands separated, rounded, no zeros at the end."""
    whole, point, fraction = f"{amount:,.{precision}f}".partition(".")
    fraction = fraction.rstrip("0")
    text = f"{whole}{point}{fraction}" if fraction else whole
    text = "0" if text == "-0" else text
    return text.translate(_GERMAN_SIGNS) if language is Language.GERMAN else text


def shown_whole(amount: Decimal, language: Language) -> str:
    """Give a number of days without a fraction, rounded as people do."""
    return shown_credits(amount.quantize(Decimal(1), ROUND_HALF_UP), 0, language)


def shown_date(moment: datetime, language: Language) -> str:
    """Give the day of a time in UTC, as `4 May 2026`."""
    day = moment.astimezone(UTC)
    month = MONTHS[language].split()[day.month - 1]
    return f"{day.day}{_DAY_POINT[language]} {month} {day.year}"


def shown_time(moment: datetime, language: Language) -> str:
    """Give a time in UTC to the minute, with its day."""
    return f"{shown_date(moment, language)}, {moment.astimezone(UTC):%H:%M} UTC"
