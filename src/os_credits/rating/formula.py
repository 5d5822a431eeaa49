"""Writes what was rated as calculations that a person can repeat by hand.

Numbers are exact: whole steps, or decimals of units (a unit is a power of ten of steps). Where
a figure had to be cut for reading it is marked by `≈`, and an exact one stands beside it.
Symbols: `×`, `/`, `−`, `max(a, b)` and `⌊x⌋` (the largest whole number that is not above x).
"""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from os_credits.domain.amount import MICRO_PER_CREDIT
from os_credits.domain.explanation import Contribution, Cost, Formula
from os_credits.domain.meter import MeterDefinition, MeterKind, MeterValue, OnReset
from os_credits.domain.period import HOUR_MS
from os_credits.domain.usage import UsageKind
from os_credits.rating.charge import units_of

if TYPE_CHECKING:
    from os_credits.domain.amount import Credits
    from os_credits.domain.explanation import Pair

# How many digits after the point are written of a number that has no end.
CUT_DIGITS = 12
STEPS = "steps"
SECOND_MS = 1000
DAY_MS = 24 * HOUR_MS
# Moving the point must not round, however many digits there are.
_EXACT = Context(prec=400)


def number(value: int | Decimal) -> str:
    """Write an exact number with its thousands apart: 1 800 000.25."""
    # Never `f"{value:f}"` of an int: Python would make a float of it.
    text = str(value) if isinstance(value, int) else f"{value:f}"
    sign = "−" if text.startswith("-") else ""
    whole, point, part = text.removeprefix("-").partition(".")
    part = part.rstrip("0")
    return f"{sign}{int(whole):,}".replace(",", " ") + (f"{point}{part}" if part else "")


def over(numerator: int, power_of_ten: int) -> str:
    """Write a whole number divided by a power of ten, exactly."""
    return number(_EXACT.scaleb(Decimal(numerator), 1 - len(str(power_of_ten))))


def seconds(ms: int) -> str:
    """Write a length of time in seconds, exactly."""
    return f"{over(ms, SECOND_MS)} s"


def quantity_text(quantity: int, definition: MeterDefinition) -> str:
    """Write a quantity in priced units, marked where it had to be cut."""
    text = units_of(quantity, definition)
    is_exact = Fraction(text) * definition.quantity_per_unit == quantity
    return number(Decimal(text)) if is_exact else f"≈ {number(Decimal(text))}"


def total_of(quantity: int, definition: MeterDefinition) -> Formula:
    """Turn the sum of what pairs bring into priced units."""
    if definition.kind is MeterKind.GAUGE:
        expression = f"{_level_time(quantity, definition)} / {seconds(HOUR_MS)}"
    else:
        expression = over(quantity, definition.steps_per_unit)
    return Formula(expression, quantity_text(quantity, definition), definition.priced_unit)


def cost_of(
    quantity: int, credits_per_unit: Decimal, definition: MeterDefinition, charge: Credits
) -> Cost:
    """Write what a quantity costs: as people say it, exactly in steps, and the rounding."""
    steps = "step·ms" if definition.kind is MeterKind.GAUGE else STEPS
    price = number(credits_per_unit)
    exact = Fraction(quantity, definition.quantity_per_unit) * Fraction(credits_per_unit)
    rounding = ""
    if exact * MICRO_PER_CREDIT != Fraction(charge) * MICRO_PER_CREDIT:
        rounding = f"{_decimal(exact)} rounds half-even to {charge:f}"
    return Cost(
        in_units=f"{quantity_text(quantity, definition)} {definition.priced_unit} × {price}",
        exactly=f"{number(quantity)} {steps} / {number(definition.quantity_per_unit)} × {price}",
        rounding=rounding,
    )


def contribution_of(pair: Pair, definition: MeterDefinition) -> Contribution:
    """Write what a pair brings, with a remark where something is out of the ordinary."""
    if pair.silence is not None:
        return Contribution(pair, None, pair.silence.value)
    if definition.kind is MeterKind.GAUGE:
        formula = _of_gauge(pair, definition)
    elif definition.kind is MeterKind.COUNTER:
        formula = _of_counter(pair, definition)
    else:
        amount = over(pair.quantity, definition.steps_per_unit)
        formula = Formula(amount, amount, definition.unit)
    return Contribution(pair, formula, "; ".join(_remarks(pair, definition, formula)))


def _of_gauge(pair: Pair, definition: MeterDefinition) -> Formula:
    assert pair.earlier is not None  # noqa: S101 - only a delta has none
    level = over(pair.earlier.steps, definition.steps_per_unit)
    return Formula(
        expression=f"{level} × {seconds(pair.end_ms - pair.start_ms)}",
        result=_level_time(pair.quantity, definition),
        unit=f"{definition.unit}·s",
    )


def _of_counter(pair: Pair, definition: MeterDefinition) -> Formula:
    per_unit = definition.steps_per_unit
    start, end, origin = pair.start_ms, pair.end_ms, pair.spread_from_ms
    length = pair.later.time_ms - origin
    growth = _growth(pair, definition)
    if end - start == length:
        return Formula(growth, over(pair.quantity, per_unit), definition.unit)
    if pair.grown * (start - origin) % length == pair.grown * (end - origin) % length == 0:
        whole = f"({growth})" if " " in growth else growth
        return Formula(
            expression=f"{whole} × {seconds(end - start)} / {seconds(length)}",
            result=over(pair.quantity, per_unit),
            unit=definition.unit,
        )
    parts = [
        f"⌊{number(pair.grown)} × {number(until - origin)} / {number(length)}⌋"
        for until in (end, start)
        if until > origin
    ]
    return Formula(" − ".join(parts), number(pair.quantity), STEPS)


def _growth(pair: Pair, definition: MeterDefinition) -> str:
    assert pair.earlier is not None  # noqa: S101 - only a delta has none
    per_unit = definition.steps_per_unit
    later, earlier = over(pair.later.steps, per_unit), over(pair.earlier.steps, per_unit)
    if _restarted(pair, definition):
        return later
    if pair.before is not None and pair.before.steps > pair.earlier.steps:
        return f"{later} − max({over(pair.before.steps, per_unit)}, {earlier})"
    return f"{later} − {earlier}"


def _restarted(pair: Pair, definition: MeterDefinition) -> bool:
    return (
        definition.on_reset is OnReset.RESTART
        and pair.earlier is not None
        and pair.later.steps < pair.earlier.steps
    )


def _remarks(pair: Pair, definition: MeterDefinition, formula: Formula) -> list[str]:
    remarks = []
    if pair.pair_count > 1:
        remarks.append(f"{pair.pair_count} pairs of neighbours")
    if pair.kind is UsageKind.UNMETERED and pair.earlier is not None:
        gap, allowed = pair.later.time_ms - pair.earlier.time_ms, definition.max_gap_seconds
        remarks.append(f"a gap of {seconds(gap)}, longer than {number(allowed)} s")
    if pair.kind is UsageKind.SUSPECT and definition.max_rate is not None:
        per = "" if definition.kind is MeterKind.GAUGE else " per hour"
        remarks.append(f"more than {number(definition.max_rate)} {definition.unit}{per}")
    if definition.kind is MeterKind.COUNTER:
        if _restarted(pair, definition):
            remarks.append("it fell: counted from zero")
        if formula.unit == STEPS:
            remarks.append(f"{number(pair.grown)} steps are {_growth(pair, definition)}")
        if pair.earlier is not None and pair.spread_from_ms > pair.earlier.time_ms:
            days = over((pair.later.time_ms - pair.spread_from_ms) * 10**6 // DAY_MS, 10**6)
            remarks.append(f"counted for the {days} days before the later sample only")
    deciding = pair.earlier if definition.kind is MeterKind.GAUGE else pair.later
    if deciding is not None and definition.value is MeterValue.VALUE:
        per_unit = definition.steps_per_unit
        if _EXACT.multiply(Decimal(deciding.value), per_unit) != deciding.steps:
            remarks.append(f"{deciding.value} counts as {over(deciding.steps, per_unit)}")
    return remarks


def _level_time(quantity: int, definition: MeterDefinition) -> str:
    """Write step·ms as unit·s, exactly."""
    return over(quantity, definition.steps_per_unit * SECOND_MS)


def _decimal(value: Fraction) -> str:
    """Write a fraction as a decimal, with an ellipsis where it had to be cut."""
    scaled, rest = divmod(abs(value.numerator) * 10**CUT_DIGITS, value.denominator)
    text = over(scaled, 10**CUT_DIGITS)
    return f"{text}…" if rest else text
