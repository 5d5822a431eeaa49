"""What credits must be, by the rules of `docs/rating-rules.md`, written a second time.

A plain program over the sorted set of samples, with fractions; it shares no code with the
product and knows nothing of arrival order, batches, or the database.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

HOUR = 3_600_000
WINDOW = 35 * 24 * HOUR
STALE = "stale"


@dataclass(frozen=True)
class Meter:
    """The part of a meter that the rules speak of; times in ms."""

    kind: str
    value: str = "value"
    steps: int = 10**6
    match: str | None = None
    max_gap: int = HOUR
    on_reset: str = "absorb"
    max_rate: Fraction | None = None
    prices: dict[str, Fraction] = field(default_factory=dict)
    price: Fraction | None = None


@dataclass(frozen=True)
class Sample:
    """One accepted sample; `value` is a float or STALE."""

    series: str
    time: int
    value: float | str
    flavor: str = ""
    status: str = ""


def half_even(number: Fraction) -> int:
    """Round a fraction to a whole number, to even at one half."""
    return round(number)


def usage(meter: Meter, samples: list[Sample]) -> dict[tuple[str, str, int], int]:
    """Give billed steps by series, flavor and hour."""
    result: dict[tuple[str, str, int], int] = defaultdict(int)
    for series in {sample.series for sample in samples}:
        kept = winners(meter, [sample for sample in samples if sample.series == series])
        for (flavor, hour), quantity in usage_of_series(meter, kept).items():
            result[series, flavor, hour] += quantity
    return {key: quantity for key, quantity in result.items() if quantity}


def fits(meter: Meter, sample: Sample) -> bool:
    """Tell whether a sample counts."""
    return sample.value != STALE and (meter.match is None or sample.status == meter.match)


def winners(meter: Meter, samples: list[Sample]) -> list[Sample]:
    """Give one sample for each time, sorted by time, without those that are set aside."""
    by_time: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        number = sample.value
        if number != STALE and meter.value != "one":
            assert isinstance(number, float)
            bad = math.isnan(number) or number < 0 or number * meter.steps >= 2**62
        else:
            bad = number != STALE and math.isnan(number)  # type: ignore[arg-type]
        if bad or (meter.kind != "gauge" and not fits(meter, sample)):
            continue
        by_time[sample.time].append(sample)
    return [
        max(
            by_time[time],
            key=lambda one: (
                fits(meter, one),
                -1.0 if one.value == STALE else one.value,
                one.flavor,
            ),
        )
        for time in sorted(by_time)
    ]


def steps(meter: Meter, sample: Sample) -> int:
    """Give whole steps; the product is IEEE double by the rule."""
    if meter.value == "one":
        return meter.steps
    assert isinstance(sample.value, float)
    return round(sample.value * float(meter.steps))


def usage_of_series(meter: Meter, samples: list[Sample]) -> dict[tuple[str, int], int]:
    """Rate one series."""
    result: dict[tuple[str, int], int] = defaultdict(int)
    if meter.kind == "delta":
        for sample in samples:
            amount = steps(meter, sample)
            if meter.max_rate is None or amount <= meter.max_rate * meter.steps:
                result[sample.flavor, sample.time // HOUR] += amount
        return result
    for index in range(1, len(samples)):
        a, b = samples[index - 1], samples[index]
        gap = b.time - a.time
        start = max(a.time, b.time - WINDOW)
        if meter.kind == "gauge":
            if not fits(meter, a) or gap > meter.max_gap:
                continue
            level = steps(meter, a)
            if meter.max_rate is not None and level > meter.max_rate * meter.steps:
                continue
            for hour in range(start // HOUR, (b.time - 1) // HOUR + 1):
                span = min(b.time, (hour + 1) * HOUR) - max(start, hour * HOUR)
                result[a.flavor, hour] += level * span
        else:
            low = steps(meter, a)
            now = steps(meter, b)
            if meter.on_reset == "restart":
                grown = now - low if now >= low else now
            else:
                if index >= 2:
                    low = max(low, steps(meter, samples[index - 2]))
                grown = max(0, now - low)
            if meter.max_rate is not None and (
                Fraction(grown, meter.steps) / Fraction(gap, HOUR) > meter.max_rate
            ):
                continue
            before = 0
            for hour in range(start // HOUR, (b.time - 1) // HOUR + 1):
                until = min(b.time, (hour + 1) * HOUR) - start
                total = math.floor(Fraction(grown * until, b.time - start))
                result[b.flavor, hour] += total - before
                before = total
    return result


def credits(meter: Meter, samples: list[Sample]) -> dict[tuple[str, int], int]:
    """Give millionths of a credit by flavor and hour; usage without a price costs nothing."""
    per_unit = meter.steps * (HOUR if meter.kind == "gauge" else 1)
    result: dict[tuple[str, int], int] = defaultdict(int)
    for (_, flavor, hour), quantity in usage(meter, samples).items():
        price = meter.prices.get(flavor, meter.price)
        if price is not None:
            result[flavor, hour] += half_even(Fraction(quantity, per_unit) * price * 10**6)
    return {key: micro for key, micro in result.items() if micro}
