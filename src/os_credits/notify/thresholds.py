"""Who must hear: one step of a project's lines, from what was told to what is told now.

`docs/thresholds.md` is the rule, with worked examples. Pure, and exact: what a balance is
compared with is worked out in whole numbers, nothing is divided or rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.amount import CREDITS_MAX, divide_half_even, from_micro, to_micro
from os_credits.domain.threshold import Line, LineKind, Told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.balance import Balance
    from os_credits.domain.forecast import StoredForecast
    from os_credits.domain.threshold import Lines

# A forecast that is older is told to nobody, and held against no line.
FORECAST_AGE_MAX = timedelta(hours=3)
# `ok` has a date, `out` says that credits are used up, the others that they last. In any other
# state a forecast knows too little.
_KNOWING_STATES = ("ok", "out", "idle", "beyond")
# Estimates waver: a line of days or burn is armed again once the value is this far from it.
ESTIMATE_HYSTERESIS_PERCENT = 25
NEVER = Decimal("Infinity")
# A hundred per cent in thousandths: in this scale balances are compared.
_WHOLE = 100_000
_ORDER = (LineKind.PERCENT, LineKind.CREDITS, LineKind.DAYS, LineKind.BURN)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Facts:
    """What lines are held against: credits, days until they run out, credits per day.

    `granted` sums the grants that are valid now. `days` None: nobody knows; NEVER: as far as
    one can see, they do not run out.
    """

    balance: Decimal
    granted: Decimal
    days: Decimal | None = None
    burn_per_day: Decimal | None = None


@dataclass(frozen=True, slots=True)
class NoticeDraft:
    """What a notice says of its line.

    `from_line` is the gravest line of the same kind that was told before, `also` are the other
    lines that this notice tells.
    """

    line: Line
    from_line: Decimal | None
    value: Decimal | None
    also: tuple[Line, ...]


def facts_of(balance: Balance, forecast: StoredForecast | None, now: datetime) -> Facts | None:
    """Give the facts of an account; None for one in which nothing ever happened.

    The forecast is a young one, see `young_forecast`.
    """
    if not (balance.credited or balance.booked or balance.tally):
        return None
    known = forecast if forecast and forecast.state in _KNOWING_STATES else None
    if known is None:
        return Facts(balance.current, balance.granted_now)
    if known.state == "out":
        return Facts(balance.current, balance.granted_now, days=Decimal(0))
    days = NEVER if known.p50 is None else days_between(now, known.p50)
    return Facts(balance.current, balance.granted_now, days, known.burn_per_day)


def young_forecast(forecast: StoredForecast | None, now: datetime) -> StoredForecast | None:
    """Give a forecast unless it is too old to tell anybody."""
    if forecast is None or now - forecast.computed_at > FORECAST_AGE_MAX:
        return None
    return forecast


def days_between(now: datetime, moment: datetime) -> Decimal:
    """Give the days until a moment, rounded down to six digits; 0 once it has passed."""
    return from_micro(max(0, (moment - now) // _MICROSECOND * 10**6 // (_DAY // _MICROSECOND)))


def step(
    lines: Lines,
    facts: Facts,
    told: Mapping[Line, Told],
    now: datetime,
    *,
    lifted: bool = False,
) -> tuple[dict[Line, Told], NoticeDraft | None]:
    """Give what is told after this moment, and the notice to write, if there is one.

    `lifted`: a grant or an adjustment has just raised the balance. Such a step only arms
    lines; the check before it has told what was to be told, and the next one goes on.
    """
    after = {line: _armed(line, state, lines, facts, now, lifted) for line, state in told.items()}
    if lifted:
        return after, None
    crossed = _crossed(lines, facts)
    news = [line for line in crossed if not _is_quiet(line, after, now, lines.cool_down)]
    if not news:
        return after, None
    named = min(news, key=lambda line: _gravity(line, facts))
    also = [line for line in crossed if line != named and not _is_told(after.get(line))]
    notice = NoticeDraft(named, _gravest_told(named, after), _value(named, facts), tuple(also))
    return after | {line: Told(now) for line in crossed}, notice


def settled(
    lines: Lines, facts: Facts, told: Mapping[Line, Told], now: datetime
) -> dict[Line, Told]:
    """Give what is told of an account that is taken over: all that is crossed, without a word."""
    after, _ = step(lines, facts, told, now, lifted=True)
    known = {line for line, state in after.items() if _is_told(state)}
    return after | {line: Told(now) for line in _crossed(lines, facts) if line not in known}


def alarm_of(lines: Lines, granted: Decimal, told: Mapping[Line, Told]) -> int | None:
    """Give the balance (millionths) above which a check of balances has nothing to tell.

    It changes with the grants and with what is told; None: there is nothing to tell at all.
    """
    facts = Facts(Decimal(0), granted)
    levels = [
        _standing(line, facts) // _WHOLE
        for line in lines.all()
        if not _is_told(told.get(line))
        and (line.kind is LineKind.CREDITS or (line.kind is LineKind.PERCENT and granted > 0))
    ]
    return max(levels, default=None)


def _crossed(lines: Lines, facts: Facts) -> list[Line]:
    return [line for line in lines.all() if _is_crossed(line, facts)]


def _is_crossed(line: Line, facts: Facts) -> bool:
    match line.kind:
        case LineKind.PERCENT if facts.granted <= 0:
            return False
        case LineKind.PERCENT | LineKind.CREDITS:
            return to_micro(facts.balance) * _WHOLE <= _standing(line, facts)
        case LineKind.DAYS:
            return facts.days is not None and facts.days <= line.value
        case LineKind.BURN:
            return facts.burn_per_day is not None and facts.burn_per_day >= line.value


def _standing(line: Line, facts: Facts) -> int:
    """Give the balance for which a line of per cent or credits stands, in the common scale."""
    if line.kind is LineKind.PERCENT:
        return _thousandths(line.value) * to_micro(facts.granted)
    return to_micro(line.value) * _WHOLE


def _thousandths(value: Decimal) -> int:
    return to_micro(value) // 1000


def _armed(
    line: Line, state: Told, lines: Lines, facts: Facts, now: datetime, lifted: bool
) -> Told:
    """Arm a told line if the facts have left it far enough."""
    if not _is_told(state):
        return state
    if line.kind in (LineKind.PERCENT, LineKind.CREDITS):
        has_left = lifted and _is_lifted_above(line, lines, facts)
    else:
        has_left = _estimate_has_left(line, lines, facts)
    return Told(state.told_at, now) if has_left else state


def _is_lifted_above(line: Line, lines: Lines, facts: Facts) -> bool:
    """Compare with the line and the hysteresis, at most half of the way up to all grants."""
    if line.kind is LineKind.PERCENT and facts.granted <= 0:
        return False
    standing, granted = _standing(line, facts), to_micro(facts.granted)
    room = granted * _WHOLE - standing
    doubled = max(0, min(2 * _thousandths(lines.hysteresis_percent) * granted, room))
    return 2 * to_micro(facts.balance) * _WHOLE > 2 * standing + doubled


def _estimate_has_left(line: Line, lines: Lines, facts: Facts) -> bool:
    percent = max(lines.hysteresis_percent, Decimal(ESTIMATE_HYSTERESIS_PERCENT))
    margin, standing = _thousandths(percent), to_micro(line.value)
    if line.kind is LineKind.BURN:
        burn = facts.burn_per_day
        return burn is not None and to_micro(burn) * _WHOLE < standing * (_WHOLE - margin)
    if facts.days is None or facts.days == NEVER:
        return facts.days is not None
    return to_micro(facts.days) * _WHOLE > standing * (_WHOLE + margin)


def _is_told(state: Told | None) -> bool:
    return state is not None and state.rearmed_at is None


def _is_quiet(line: Line, told: Mapping[Line, Told], now: datetime, cool_down: timedelta) -> bool:
    """Tell whether the line, or a graver one of its kind, is told or cools down."""
    return any(
        _is_told(state) or now < state.told_at + cool_down
        for other, state in told.items()
        if other.is_as_grave_as(line)
    )


def _gravity(line: Line, facts: Facts) -> tuple[int, int | Decimal, int]:
    """Order lines of all kinds: balances by what they stand for, then days, then burn."""
    place = _ORDER.index(line.kind)
    if line.kind in (LineKind.PERCENT, LineKind.CREDITS):
        return 0, _standing(line, facts), place
    return place, line.weight, place


def _gravest_told(line: Line, told: Mapping[Line, Told]) -> Decimal | None:
    of_kind: Sequence[Line] = [
        other for other, state in told.items() if other.kind is line.kind and _is_told(state)
    ]
    return min(of_kind, key=lambda other: other.weight).value if of_kind else None


def _value(line: Line, facts: Facts) -> Decimal | None:
    """Give what was held against a crossed line, for people; per cent are rounded half-even."""
    match line.kind:
        case LineKind.PERCENT:
            hundredfold = to_micro(facts.balance) * 100 * 10**6
            value = from_micro(divide_half_even(hundredfold, to_micro(facts.granted)))
            return value if value.copy_abs() < CREDITS_MAX else None
        case LineKind.CREDITS:
            return facts.balance
        case LineKind.DAYS:
            return facts.days
        case LineKind.BURN:
            return facts.burn_per_day
