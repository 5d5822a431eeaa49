"""What credits must be by `docs/rating-rules.md`, written again, without the product's code.

Works on the whole set, with fractions. Times are ms, hours count from the epoch, charges are 1e-6.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

HOUR, WINDOW, LAST_HOUR, STALE = 3_600_000, 35 * 24 * 3_600_000, 10**9, "stale"
BILLED, SUSPECT, UNMETERED = 0, 1, 2


@dataclass(frozen=True)
class Meter:
    kind: str
    value: str = "value"
    steps: int = 10**6
    match: str | None = None
    max_gap: int = HOUR
    on_reset: str = "absorb"
    max_rate: Fraction | None = None
    prices: Sequence[tuple[str | None, int, Fraction | None]] = ()  # flavor, first hour, amount
    later: Sequence[tuple[int, "Meter"]] = ()  # versions from an hour on, oldest first
    counts: Callable[[str, int, int], bool] = lambda _series, _hour, kind: kind == BILLED


class Sample(NamedTuple):
    series: str
    time: int
    value: float | str
    flavor: str = ""
    status: str = ""


def credits(meter: Meter, samples: Sequence[Sample]) -> dict[tuple[str, int], int]:
    """Give charges by flavor and hour; usage without a price costs nothing."""
    result: dict[tuple[str, int], int] = defaultdict(int)
    for (series, flavor, hour, kind), quantity in usage(meter, samples).items():
        if meter.counts(series, hour, kind):
            units = Fraction(quantity, meter.steps * (HOUR if meter.kind == "gauge" else 1))
            charge = round(units * price_at(meter, flavor, hour) * 10**6)
            result[flavor, hour] += charge if charge <= 10**21 else 0  # more cannot be true
    return {place: charge for place, charge in result.items() if charge}


def price_at(meter: Meter, flavor: str, hour: int) -> Fraction:
    """Find the flavor's price, else the meter's own; of two from one hour the later set counts."""
    for name in (flavor, None):
        dated = {start: price for of, start, price in meter.prices if of == name and start <= hour}
        if dated and (price := dated[max(dated)]) is not None:
            return price
    return Fraction(0)


def usage(meter: Meter, samples: Sequence[Sample]) -> dict[tuple[str, str, int, int], int]:
    """Give steps (of gauges: step x ms) by series, flavor, hour and kind of usage."""
    result: dict[tuple[str, str, int, int], int] = defaultdict(int)
    for (since, version), (until, _) in pairwise([(0, meter), *meter.later, (LAST_HOUR, meter)]):
        for series, flavor, kind, start, end, amount in intervals(version, samples):
            for hour in range(max(start // HOUR, since), min((end - 1) // HOUR + 1, until)):
                edges = max(start, hour * HOUR), min(end, (hour + 1) * HOUR)
                first, last = (amount * (edge - start) // (end - start) for edge in edges)
                result[series, flavor, hour, kind] += last - first
    return result


def intervals(meter: Meter, samples: Sequence[Sample]) -> Iterator[tuple[Any, ...]]:
    """Give series, flavor, kind, start, end and amount of what was used between neighbours."""
    best: dict[tuple[str, int], tuple[bool, float, str]] = {}
    for one in samples:
        fits = one.value != STALE and meter.match in {None, one.status}
        number = 0.0 if one.value == STALE else float(one.value)
        in_range = meter.value == "one" or 0 <= number * meter.steps < 2**62
        if in_range and not math.isnan(number) and (fits or meter.kind == "gauge"):
            best[one[:2]] = max((fits, number, one.flavor), best.get(one[:2], (False, 0.0, "")))
    limit = math.inf if meter.max_rate is None else meter.max_rate * meter.steps
    known: dict[str, list[Any]] = defaultdict(list)
    for (series, time), (fits, number, flavor) in sorted(best.items()):
        now = meter.steps if meter.value == "one" else round(number * meter.steps)
        past = known[series]
        if meter.kind == "delta":
            yield series, flavor, SUSPECT if now > limit else BILLED, time, time + 1, now
        elif past:
            before, held_fits, level, held = past[-1]
            gap, start = time - before, max(before, time - WINDOW)
            if meter.kind == "gauge" and held_fits:
                kind = UNMETERED if gap > meter.max_gap else SUSPECT if level > limit else BILLED
                yield series, held, kind, start, time, level * (time - start)
            elif meter.kind == "counter":
                grown = max(0, now - max(one[2] for one in past))
                if meter.on_reset == "restart":
                    grown = now if now < level else now - level
                kind = SUSPECT if Fraction(grown * HOUR, gap) > limit else BILLED
                yield series, flavor, kind, start, time, grown
        known[series] = [*past[-1:], (time, fits, now, flavor)]
