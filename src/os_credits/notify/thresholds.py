"""Who must hear: which per cent line of what is granted a balance has reached.

A line of p per cent is crossed while the balance is at most p per cent of the grants. The
graver a line, the smaller its p. Pure, and exact: nothing is divided or rounded.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import TYPE_CHECKING

from os_credits.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from os_credits.domain.balance import Balance

PERCENT_MAX = Decimal(100)
# As many digits after the point as the table `threshold_state` keeps.
PERCENT_DIGITS_MAX = 3
# Wide enough for every product below; a rounded one raises instead of telling the wrong people.
_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation])


def checked_percents(percents: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """Give the lines gravest first, each once.

    Raises Misconfigured for a line that is not within 0 and 100, or that has more than three
    digits after the point: its state could not be stored, and it would be told again for ever.
    """
    for percent in percents:
        if not percent.is_finite() or not 0 <= percent <= PERCENT_MAX:
            raise Misconfigured(f"a notice line must lie within 0 and 100 per cent, not {percent}")
        if percent != round(percent, PERCENT_DIGITS_MAX):
            raise Misconfigured(f"a notice line has at most three decimals, not {percent}")
    return tuple(sorted(set(percents)))


def crossing(
    balance: Balance, percents: Sequence[Decimal], lowest_percent: Decimal | None
) -> Decimal | None:
    """Give the gravest line that is crossed, if it is graver than the one already told."""
    gravest = _gravest(balance, percents)
    if gravest is None or (lowest_percent is not None and gravest >= lowest_percent):
        return None
    return gravest


def rearmed(
    balance: Balance, percents: Sequence[Decimal], lowest_percent: Decimal | None
) -> Decimal | None:
    """Give the state after a grant or an adjustment: the gravest line that is still crossed.

    Lines above the new balance are armed again. The state never becomes graver: what a grant
    did not lift and nobody was told of is told by the next `crossing`.
    """
    if lowest_percent is None or balance.granted <= 0:
        return lowest_percent
    gravest = _gravest(balance, percents)
    return None if gravest is None else max(gravest, lowest_percent)


def settled(balance: Balance, percents: Sequence[Decimal]) -> Decimal | None:
    """Give the state of a project that is taken over: nothing of its past is told any more."""
    return _gravest(balance, percents)


def _gravest(balance: Balance, percents: Sequence[Decimal]) -> Decimal | None:
    if balance.granted <= 0:
        return None
    hundredfold = _EXACT.multiply(balance.current, Decimal(100))
    return min(
        (line for line in percents if hundredfold <= _EXACT.multiply(line, balance.granted)),
        default=None,
    )
