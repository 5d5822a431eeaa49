"""How many digits a credit has, and the one place where an amount is rounded.

An amount of credits is a `Decimal` with exactly six digits after the point, made by
`credits_of` or `from_micro`; floats are refused. Division happens in `divide_half_even`, and in
its twin for columns, only (`docs/rating-rules.md`, rules 6 and 11).
"""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, NewType

import numpy as np

from os_credits.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

Credits = NewType("Credits", Decimal)

MICRO_PER_CREDIT = 10**6
# One amount stays below this, so that sums of a great many fit a Decimal's 28 digits.
CREDITS_MAX = Decimal(10) ** 18
_SCALE = Decimal(1).scaleb(-6)
# Decimal rounds to 28 digits by itself: moving the point of a larger number must not.
_EXACT = Context(prec=100)


def credits_of(value: Decimal | int | str, *, where: str = "amount") -> Credits:
    """Make an amount of credits; text goes to Decimal directly.

    Raises InvalidInput for a float, for text that is no plain number, for more than six
    digits after the point, and for amounts beyond `CREDITS_MAX`.
    """
    if isinstance(value, bool | float):
        raise InvalidInput("a float is no amount of credits, send a string", where=where)
    amount = number_of(value, where=where)
    if not amount.is_finite() or amount.copy_abs() >= CREDITS_MAX:
        raise InvalidInput("must be a finite number below 10^18", where=where)
    if amount != amount.quantize(_SCALE):
        raise InvalidInput("at most six digits after the point", where=where)
    return Credits(amount.quantize(_SCALE))


def number_of(value: Decimal | int | str, *, where: str) -> Decimal:
    """Read a number as people write it: ASCII digits, no digit groups. Raises InvalidInput."""
    problem = InvalidInput(f"{str(value)[:80]!r} is no number", where=where)
    if isinstance(value, str) and ("_" in value or not value.isascii()):
        raise problem
    try:
        return Decimal(value)
    except InvalidOperation:
        raise problem from None


def from_micro(micro: int) -> Credits:
    """Turn a whole number of millionths of a credit into an amount, exactly."""
    return Credits(_EXACT.scaleb(Decimal(micro), -6))


def added(*amounts: Decimal) -> Credits:
    """Add amounts of credits exactly, however large they are."""
    return from_micro(sum(map(to_micro, amounts)))


def to_micro(amount: Decimal) -> int:
    """Turn an amount into a whole number of millionths; the inverse of `from_micro`."""
    return int(_EXACT.scaleb(amount, 6))


def divide_half_even(numerator: int, denominator: int) -> int:
    """Divide two whole numbers (denominator > 0) and round to even at exactly one half."""
    quotient, remainder = divmod(numerator, denominator)
    doubled = 2 * remainder
    if doubled > denominator or (doubled == denominator and quotient % 2 == 1):
        return quotient + 1
    return quotient


def divide_each_half_even(numerators: NDArray[np.int64], denominator: int) -> NDArray[np.int64]:
    """Divide each as `divide_half_even` does; twice the denominator (> 0) must fit int64."""
    quotients, remainders = np.divmod(numerators, denominator)
    doubled = 2 * remainders
    up = (doubled > denominator) | ((doubled == denominator) & (quotients % 2 == 1))
    rounded: NDArray[np.int64] = quotients + up
    return rounded
