"""The form of a project's own lines: read into a rule, and filled from one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from os_credits.domain.amount import number_of
from os_credits.domain.threshold import LineRule
from os_credits.errors import InvalidInput
from os_credits.web.language import N_, gettext, told
from os_credits.web.text import quantity_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from os_credits.store.threshold_rules import StoredRule
    from os_credits.web.admin.form import Form

# What stands in a field for: no lines of this kind.
NONE = "none"
LISTS = ("percents", "credits", "days", "burn_per_day")
LABELS = {
    "percents": N_("Per cent of the valid grants that are left"),
    "credits": N_("Credits that are left"),
    "days": N_("Days until credits run out"),
    "burn_per_day": N_("Credits used per day"),
    "hysteresis_percent": N_("How far above a line credits must be lifted before it is told again"),
    "cool_down_hours": N_("Hours within which a line is told once"),
}
NO_LINES = N_("Please write numbers, divided by spaces or semicolons, or none.")
_DIVIDED = re.compile(r"[\s;]+")


def rule_in(form: Form) -> LineRule | None:
    """Read the rule that a form asks for; None if it says nothing, or is wrong."""
    values: dict[str, Any] = {}
    for name in LISTS:
        numbers = _numbers(form, name)
        if numbers is not None:
            values[name] = numbers
    for name in ("hysteresis_percent", "cool_down_hours"):
        number = _number(form, name)
        if number is not None:
            values[name] = number
    if not form.is_good or not values:
        return None
    try:
        return LineRule(**values)
    except InvalidInput as error:
        form.wrong(error.where or "percents", told(error.message))
        return None


def _numbers(form: Form, name: str) -> tuple[Decimal, ...] | None:
    text = form.value(name).strip()
    if not text:
        return None
    if text.lower() in (NONE, gettext(NONE)):
        return ()
    try:
        # A comma divides in no language: it may stand before a fraction.
        written = (one.replace(",", ".") for one in _DIVIDED.split(text) if one)
        return tuple(number_of(one, where=name) for one in written)
    except InvalidInput:
        form.wrong(name, gettext(NO_LINES))
        return None


def _number(form: Form, name: str) -> Decimal | int | None:
    text = form.value(name).strip().replace(",", ".")
    if not text:
        return None
    try:
        number = number_of(text, where=name)
        return int(number) if name == "cool_down_hours" and number == int(number) else number
    except (InvalidInput, ArithmeticError, ValueError):
        form.wrong(name, gettext("This is no number."))
        return None


def filled_with(rule: LineRule | None) -> dict[str, str]:
    """Give what the fields of the form hold for a rule."""
    named: Mapping[str, Any] = {} if rule is None else rule.named()
    return {name: _typed(value) for name, value in named.items()}


def _typed(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(plain(one) for one in value) or gettext(NONE)
    return plain(value)


def plain(number: Decimal | int) -> str:
    """Write a number as a form takes it."""
    text = f"{number:f}" if not isinstance(number, int) else str(number)
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(value: Any) -> str:
    """Write lines for reading."""
    if isinstance(value, tuple):
        return "; ".join(quantity_text(one) for one in value) or gettext(NONE)
    return plain(value)


def source_words(stored: StoredRule | None) -> str:
    """Say where a field of lines comes from."""
    if stored is None:
        return gettext("the service")
    if stored.organisation is None:
        return gettext("this project")
    return gettext("organisation %(name)s", name=stored.organisation)
