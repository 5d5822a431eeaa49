"""How numbers, moments and names are written on pages: for reading, nothing is computed with it.

Numbers and moments are written in the language that holds (`language.py`). The names of days and
months stand here, since a page may have thousands of moments.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from os_credits.domain.mail import Language
from os_credits.domain.text import legible
from os_credits.web.language import current

if TYPE_CHECKING:
    from datetime import datetime

MINUS = "\u2212"
# Wide enough for every amount that the database can hold.
_WIDE = Context(prec=80)
_WHOLE_FROM = 10
NAME_LENGTH_MAX = 80
# Days from Monday, months from January, short and long.
_DAYS = {
    Language.ENGLISH: ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    Language.GERMAN: ("Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So."),
}
MONTHS = {
    Language.ENGLISH: (
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ),
    Language.GERMAN: (
        "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.",
        "Dez.",
    ),
}  # fmt: skip
_LONG_MONTHS = {
    Language.ENGLISH: (
        "January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December",
    ),
    Language.GERMAN: (
        "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September",
        "Oktober", "November", "Dezember",
    ),
}  # fmt: skip
_GERMAN_NUMBER = str.maketrans({",": ".", ".": ","})


def credits_text(amount: Decimal, digits: int) -> str:
    """Write an amount with this many digits, 1,234.50; what is smaller than shown is not 0."""
    rounded = _rounded(amount, digits)
    if rounded or not amount:
        return _grouped(rounded)
    sign = MINUS if amount < 0 else ""
    return f"{sign}<{_grouped(Decimal(1).scaleb(-digits))}"


def quantity_text(quantity: Decimal) -> str:
    """Write a quantity with up to three digits after the point, without needless zeros."""
    shorter = _rounded(quantity, 3).normalize(_WIDE)
    is_whole = shorter == shorter.to_integral_value()
    return _grouped(_rounded(shorter, 0) if is_whole else shorter)


def percent_text(percent: Decimal) -> str:
    """Write a percentage: whole from 10 on, else with one digit, never 0 for more than that."""
    if 0 < abs(percent) < Decimal("0.1"):
        return f"{MINUS if percent < 0 else ''}<{_grouped(Decimal('0.1'))} %"
    return f"{_grouped(_rounded(percent, 0 if abs(percent) >= _WHOLE_FROM else 1))} %"


def day_text(moment: datetime) -> str:
    """Write a day: Sun 22 Nov 2026."""
    return f"{_weekday(moment)}{calendar_day(moment)} {moment.year}"


def hour_text(moment: datetime) -> str:
    """Write an hour of a day: Sun 22 Nov, 14:00."""
    return f"{_weekday(moment)}{calendar_day(moment)}, {moment:%H:%M}"


def minute_text(moment: datetime) -> str:
    """Write a moment to the minute: 22 Nov 2026, 14:07 UTC."""
    return f"{calendar_day(moment)} {moment.year}, {moment:%H:%M} UTC"


def month_text(moment: datetime) -> str:
    """Write a month: Nov 2026."""
    return f"{MONTHS[current()][moment.month - 1]} {moment.year}"


def date_text(moment: datetime) -> str:
    """Write a full hour, or only its day if the day begins with it: 22 Nov 2026, 14:00."""
    text = f"{calendar_day(moment)} {moment.year}"
    return f"{text}, {moment:%H:%M}" if moment.hour or moment.minute else text


def calendar_day(moment: datetime, *, is_long: bool = False) -> str:
    """Write a day without its year: 22 Nov, or 22 November."""
    language = current()
    months = _LONG_MONTHS if is_long else MONTHS
    point = "." if language is Language.GERMAN else ""
    return f"{moment.day}{point} {months[language][moment.month - 1]}"


def _weekday(moment: datetime) -> str:
    language = current()
    comma = "," if language is Language.GERMAN else ""
    return f"{_DAYS[language][moment.weekday()]}{comma} "


def _rounded(number: Decimal, digits: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN, _WIDE)


def _grouped(number: Decimal) -> str:
    text = f"{number:,f}".replace("-", MINUS)
    return text.translate(_GERMAN_NUMBER) if current() is Language.GERMAN else text


def shortened(name: str) -> str:
    """Cut a name that would push others out of sight; its own page has all of it."""
    return name if len(name) <= NAME_LENGTH_MAX else f"{name[: NAME_LENGTH_MAX - 1]}…"


def isolated(name: str) -> Markup:
    """Write a name so that its direction of writing moves nothing beside it."""
    return Markup(f"<bdi>{escape(legible(name))}</bdi>")  # noqa: S704 - the name is escaped


def breakable(name: str) -> Markup:
    """Isolate a long name, and let it break after its underscores, which browsers do not do."""
    parts = escape(legible(name)).split("_")
    return Markup(f"<bdi>{'_<wbr>'.join(parts)}</bdi>")  # noqa: S704 - the name is escaped


def written(value: object) -> object:
    """Let every text that a template writes be legible; what is markup already stays."""
    return legible(value) if type(value) is str else value
