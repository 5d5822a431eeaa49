"""Who is told of which line, by `docs/thresholds.md` alone, without the product's code.

Works on one account and one step at a time; figures are fractions, times are hours.
"""

from collections.abc import Iterable
from fractions import Fraction
from math import inf
from typing import NamedTuple

BALANCE_KINDS = ("percent", "credits")


class Line(NamedTuple):
    """One line: its kind and its figure."""

    kind: str
    value: Fraction

    @property
    def gravity(self) -> Fraction:
        """The larger, the graver, among lines of one kind."""
        return self.value if self.kind == "burn" else -self.value


class Facts(NamedTuple):
    """An account at a moment; None: unknown, infinity: never."""

    balance: Fraction
    granted: Fraction
    days: Fraction | float | None = None
    burn: Fraction | None = None


class Told(NamedTuple):
    """When a line was told, and when it was armed again."""

    at: Fraction
    rearmed: bool = False


class Notice(NamedTuple):
    """The line that a notice names, and the others that it tells."""

    line: Line
    also: frozenset[Line]


class Account:
    """The lines of one account, and what was told of them."""

    def __init__(self, lines: Iterable[Line], hysteresis: int = 5, cool_down: int = 24) -> None:
        self.lines = list(lines)
        self.hysteresis, self.cool_down = Fraction(hysteresis), cool_down
        self.told: dict[Line, Told] = {}

    def check(self, now: Fraction, facts: Facts | None) -> Notice | None:
        """Give the notice that is written at this step, if there is one."""
        if facts is None:
            return None
        self._arm(facts, ("days", "burn"))
        crossed = [line for line in self.lines if _is_crossed(line, facts)]
        new = [line for line in crossed if not self._is_quiet(line, now)]
        if not new:
            return None
        named = min(new, key=lambda line: _rank(line, facts))
        also = frozenset(line for line in crossed if line != named and line not in self._told())
        for line in crossed:
            self.told[line] = Told(now)
        return Notice(named, also)

    def lift(self, facts: Facts) -> None:
        """Arm lines after credits were given that raised the balance."""
        self._arm(facts, ("percent", "credits", "days", "burn"))

    def _arm(self, facts: Facts, kinds: tuple[str, ...]) -> None:
        for line, told in self.told.items():
            if line.kind in kinds and self._has_left(line, facts):
                self.told[line] = told._replace(rearmed=True)

    def _has_left(self, line: Line, facts: Facts) -> bool:
        if line.kind in BALANCE_KINDS:
            if line.kind == "percent" and facts.granted <= 0:
                return False
            level = _level(line, facts)
            room = min(self.hysteresis * facts.granted / 100, (facts.granted - level) / 2)
            return facts.balance > level + max(Fraction(0), room)
        away = max(self.hysteresis, Fraction(25))
        if line.kind == "days":
            return facts.days is not None and facts.days > line.value * (100 + away) / 100
        return facts.burn is not None and facts.burn < line.value * (100 - away) / 100

    def _told(self) -> set[Line]:
        return {line for line, told in self.told.items() if not told.rearmed}

    def _is_quiet(self, line: Line, now: Fraction) -> bool:
        return any(
            other.kind == line.kind
            and other.gravity >= line.gravity
            and (not told.rearmed or now < told.at + self.cool_down)
            for other, told in self.told.items()
        )


def _level(line: Line, facts: Facts) -> Fraction:
    return line.value * facts.granted / 100 if line.kind == "percent" else line.value


def _is_crossed(line: Line, facts: Facts) -> bool:
    if line.kind == "percent":
        return facts.granted > 0 and facts.balance <= _level(line, facts)
    if line.kind == "credits":
        return facts.balance <= line.value
    if line.kind == "days":
        return facts.days is not None and facts.days <= line.value
    return facts.burn is not None and facts.burn >= line.value


def _rank(line: Line, facts: Facts) -> tuple[int, Fraction | float, int]:
    if line.kind in BALANCE_KINDS:
        return 0, _level(line, facts), BALANCE_KINDS.index(line.kind)
    return (1, -line.gravity, 0) if line.kind == "days" else (2, -line.gravity, 0)


NEVER = inf
