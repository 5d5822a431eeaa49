"""The lines at which owners are told: what they are held against, and which were told.

`docs/thresholds.md` says when a line is crossed, told and armed again; `notify/thresholds.py`
decides it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from os_credits.domain.amount import credits_of, number_of
from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PERCENT_MAX = 100
# Digits after the point of per cents and days.
DIGITS_MAX = 3
DAYS_MAX = 3650
COOL_DOWN_HOURS_MAX = 8760
# More lines of one kind would be a mail for every step.
LINES_PER_KIND_MAX = 20


class LineKind(StrEnum):
    """What a line is held against."""

    PERCENT = "percent"
    """The balance, in per cent of the grants that are valid; crossed at or below the line."""
    CREDITS = "credits"
    """The balance in credits; crossed at or below the line."""
    DAYS = "days"
    """Days until credits run out, by the middle forecast; crossed at or below the line."""
    BURN = "burn"
    """Credits used per day; crossed at or above the line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line, in the unit of its kind."""

    kind: LineKind
    value: Decimal

    @property
    def weight(self) -> Decimal:
        """Order the lines of one kind: the smaller, the graver."""
        return self.value.copy_negate() if self.kind is LineKind.BURN else self.value

    def is_as_grave_as(self, other: Line) -> bool:
        """Tell whether this is the other line, or a graver one of its kind."""
        return self.kind is other.kind and self.weight <= other.weight


@dataclass(frozen=True, slots=True)
class Told:
    """When a line was told last, and since when it is armed again; None: it is not."""

    told_at: datetime
    rearmed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """All lines of a project, each kind gravest first, and how far from them is far enough.

    `credits` and `burn_per_day` are in credits, `hysteresis_percent` in per cent of the valid
    grants (of the line, for days and burn). Raises InvalidInput for what cannot be a line.
    """

    percents: tuple[Decimal, ...] = ()
    credits: tuple[Decimal, ...] = ()
    days: tuple[Decimal, ...] = ()
    burn_per_day: tuple[Decimal, ...] = ()
    hysteresis_percent: Decimal = Decimal(5)
    cool_down_hours: int = 24

    def __post_init__(self) -> None:
        """Check every figure, and bring lines into their order, each once."""
        for name, checked in _CHECKED.items():
            object.__setattr__(self, name, checked(getattr(self, name), name))

    @property
    def cool_down(self) -> timedelta:
        """Give the time within which an armed line is not told again."""
        return timedelta(hours=self.cool_down_hours)

    def all(self) -> Iterator[Line]:
        """Give every line, by kind."""
        for kind, name in _KINDS.items():
            for value in getattr(self, name):
                yield Line(kind, value)


@dataclass(frozen=True, slots=True)
class LineRule:
    """What a project or an organisation wants otherwise; None: as it would be without.

    Raises InvalidInput as `Lines` does.
    """

    percents: tuple[Decimal, ...] | None = None
    credits: tuple[Decimal, ...] | None = None
    days: tuple[Decimal, ...] | None = None
    burn_per_day: tuple[Decimal, ...] | None = None
    hysteresis_percent: Decimal | None = None
    cool_down_hours: int | None = None

    def __post_init__(self) -> None:
        """Check what is named."""
        for name, value in self.named().items():
            object.__setattr__(self, name, _CHECKED[name](value, name))

    def named(self) -> dict[str, Any]:
        """Give what the rule says, by the names of `Lines`."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value is not None}

    def over(self, lines: Lines) -> Lines:
        """Give these lines with what the rule names in their place."""
        kept = {field.name: getattr(lines, field.name) for field in fields(lines)}
        return Lines(**kept | self.named())

    def definition(self) -> dict[str, Any]:
        """Write the rule as JSON; numbers are texts, since a JSON number is not exact."""
        return {
            name: [f"{one:f}" for one in value] if isinstance(value, tuple) else str(value)
            for name, value in self.named().items()
        }


def rule_of(definition: Mapping[str, Any]) -> LineRule:
    """Read a rule back from its JSON."""
    values: dict[str, Any] = {}
    for name, value in definition.items():
        if isinstance(value, list):
            values[name] = tuple(Decimal(one) for one in value)
        else:
            values[name] = int(value) if name == "cool_down_hours" else Decimal(value)
    return LineRule(**values)


def _in_thousandths(value: Decimal, low: int, high: int, where: str) -> Decimal:
    number = number_of(value, where=where)
    if not number.is_finite() or not low <= number <= high:
        raise InvalidInput(f"must lie within {low} and {high}, not {number}", where=where)
    if number != round(number, DIGITS_MAX):
        raise InvalidInput(f"at most three digits after the point, not {number}", where=where)
    return round(number, DIGITS_MAX)


def _sorted(values: Sequence[Decimal], where: str, *, largest_first: bool = False) -> Any:
    if len(set(values)) > LINES_PER_KIND_MAX:
        raise InvalidInput(f"at most {LINES_PER_KIND_MAX} lines", where=where)
    return tuple(sorted(set(values), reverse=largest_first))


def _percents(values: Sequence[Decimal], where: str) -> Any:
    return _sorted([_in_thousandths(one, 0, PERCENT_MAX, where) for one in values], where)


def _credits(values: Sequence[Decimal], where: str) -> Any:
    return _sorted([credits_of(one, where=where) for one in values], where)


def _days(values: Sequence[Decimal], where: str) -> Any:
    return _sorted([_in_thousandths(one, 0, DAYS_MAX, where) for one in values], where)


def _burns(values: Sequence[Decimal], where: str) -> Any:
    lines = [credits_of(one, where=where) for one in values]
    if any(one <= 0 for one in lines):
        raise InvalidInput("must be more than 0", where=where)
    return _sorted(lines, where, largest_first=True)


def _hysteresis(value: Decimal, where: str) -> Any:
    return _in_thousandths(value, 0, PERCENT_MAX, where)


def _cool_down(value: int, where: str) -> Any:
    if not 0 <= value <= COOL_DOWN_HOURS_MAX:
        raise InvalidInput(f"0 to {COOL_DOWN_HOURS_MAX} hours", where=where)
    return value


_KINDS = {
    LineKind.PERCENT: "percents",
    LineKind.CREDITS: "credits",
    LineKind.DAYS: "days",
    LineKind.BURN: "burn_per_day",
}
_CHECKED: Mapping[str, Callable[[Any, str], Any]] = {
    "percents": _percents,
    "credits": _credits,
    "days": _days,
    "burn_per_day": _burns,
    "hysteresis_percent": _hysteresis,
    "cool_down_hours": _cool_down,
}
