"""Reads what a notice holds beside its figures: what burned most, when credits run out, and more.

Facts are plain JSON in a row that is never changed, perhaps of an older or a newer version of
the service: what is missing or has another form is left out, and the mail goes out without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from os_credits.domain.notice import NoticeKind

SHOWN_MAX = 5
# No line is as high: what is can only be a mistake, and would be as long a text.
LINE_MAX = Decimal("1e15")
_KINDS_OF_LINES = {
    kind.value: kind
    for kind in (NoticeKind.PERCENT, NoticeKind.CREDITS, NoticeKind.DAYS, NoticeKind.BURN)
}


@dataclass(frozen=True, slots=True)
class BurnedMost:
    """What one resource used in the week before the notice, in credits."""

    resource: str
    meter: str
    flavor: str
    credits: Decimal


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One sum of a closed project's account, in credits; `entry` is its kind."""

    entry: str
    meter: str
    flavor: str
    credits: Decimal


@dataclass(frozen=True, slots=True)
class AlsoReached:
    """Another line that the same notice told, in the unit of its kind."""

    kind: NoticeKind
    line: Decimal


@dataclass(frozen=True, slots=True)
class RunOut:
    """When credits were expected to run out: early, middle and late end of the band.

    `state` is one of room `forecast`'s; `short` needs `needs_days` more days of usage.
    `burn_per_day` is in credits; None where nothing can be told.
    """

    state: str
    needs_days: int
    early: datetime | None
    middle: datetime | None
    late: datetime | None
    burn_per_day: Decimal | None


def burned_most(facts: Mapping[str, Any]) -> list[BurnedMost]:
    """Give the resources that used most, the largest first."""
    burned = facts.get("burned")
    found = []
    for each in burned if isinstance(burned, list) else []:
        amount = read_decimal(each.get("credits")) if isinstance(each, Mapping) else None
        if amount is not None and amount > 0:
            resource, meter, flavor = _texts(each, "resource", "meter", "flavor")
            found.append(BurnedMost(resource, meter, flavor, amount))
    return sorted(found, key=lambda one: -one.credits)[:SHOWN_MAX]


def statement_lines(facts: Mapping[str, Any]) -> list[StatementLine]:
    """Give the lines of a final statement, or what came after it."""
    lines = facts.get("lines", facts.get("after"))
    found = []
    for each in lines if isinstance(lines, list) else []:
        amount = read_decimal(each.get("credits")) if isinstance(each, Mapping) else None
        if amount is not None:
            entry, meter, flavor = _texts(each, "kind", "meter", "flavor")
            found.append(StatementLine(entry, meter, flavor, amount))
    return found


def also_reached(facts: Mapping[str, Any]) -> list[AlsoReached]:
    """Give the other lines that the notice told, in its order."""
    also = facts.get("also")
    found = []
    for each in also if isinstance(also, list) else []:
        if not isinstance(each, Mapping):
            continue
        kind, line = _KINDS_OF_LINES.get(_text(each.get("kind"))), read_decimal(each.get("line"))
        if kind is not None and line is not None and 0 <= line <= LINE_MAX:
            found.append(AlsoReached(kind, line))
    return found


def run_out(facts: Mapping[str, Any]) -> RunOut | None:
    """Give the forecast that the notice was written with, if there was one."""
    forecast = facts.get("forecast")
    if not isinstance(forecast, Mapping):
        return None
    days = forecast.get("needs_days")
    early, middle, late = (read_time(forecast.get(key)) for key in ("p10", "p50", "p90"))
    return RunOut(
        state=_text(forecast.get("state")),
        needs_days=days if isinstance(days, int) else 0,
        early=early,
        middle=middle,
        late=late,
        burn_per_day=read_decimal(forecast.get("burn_per_day")),
    )


def read_decimal(value: object) -> Decimal | None:
    """Read an amount as JSON holds it: a text, or a whole number."""
    try:
        amount = Decimal(value) if isinstance(value, str | int) else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() else None


def read_time(value: object) -> datetime | None:
    """Read a time in ISO 8601; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _texts(each: Mapping[str, Any], *names: str) -> list[str]:
    return [_text(each.get(name)) for name in names]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
