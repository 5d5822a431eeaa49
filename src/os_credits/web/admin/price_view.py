"""Prices as their pages show them: what holds, what comes, and how it came to that; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.flavor import NO_FLAVOR, FlavorSpec
from os_credits.domain.period import HOUR, to_ms
from os_credits.web.language import current
from os_credits.web.text import MINUS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from os_credits.domain.meter import MeterDefinition
    from os_credits.domain.price import Price
    from os_credits.rating.quote import PriceTable

# The chart's size in its own units, and how far the last step is drawn beyond its start.
CHART_WIDTH, CHART_HEIGHT = 600, 120
_AHEAD_SHARE = 12
_SECOND = timedelta(seconds=1)
# Languages that write a comma before the digits of a fraction.
_COMMA = ("de",)


def price_text(amount: Decimal) -> str:
    """Write a price with all of its digits and no needless zeros."""
    text = f"{amount:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace(".", ",") if current() in _COMMA else text


def exact_text(amount: Decimal) -> str:
    """Write a change of credits with its sign and all six digits."""
    text = f"{amount:+,f}" if amount else f"{amount:f}"
    if current() in _COMMA:
        text = text.translate(str.maketrans(",.", ".,"))
    return text.replace("-", MINUS)


def price_input(amount: Decimal | None) -> str:
    """Write a price as a form takes it."""
    if amount is None:
        return ""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True, slots=True)
class PriceRow:
    """The price of a meter for one flavor ('' for all others): the one now, and the next change.

    `price` is None where none holds now, `coming` where no change is in sight; `spec` is what
    the flavor is made of.
    """

    flavor: str
    price: Price | None
    coming: Price | None
    spec: FlavorSpec

    @property
    def amount(self) -> Decimal | None:
        """Give what a unit costs now; None: there is no price."""
        return None if self.price is None else self.price.credits_per_unit


@dataclass(frozen=True, slots=True)
class MeterPrices:
    """A meter with its own price and those of flavors."""

    definition: MeterDefinition
    rows: tuple[PriceRow, ...]


def meter_prices(table: PriceTable, now: datetime) -> list[MeterPrices]:
    """Give all meters by name, each with its own price first and then its flavors by name."""
    now_ms = to_ms(now)
    found = []
    for meter_id, definition in table.meters.items():
        named = sorted(
            (table.flavors[one], one)
            for one in table.prices.flavors_of(meter_id)
            if one is not None
        )
        rows = [
            PriceRow(
                name,
                table.prices.revision_at(meter_id, flavor_id, now_ms),
                table.prices.coming(meter_id, flavor_id, now_ms),
                table.specs.get(flavor_id or NO_FLAVOR, FlavorSpec()),
            )
            for name, flavor_id in [("", None), *named]
        ]
        found.append(MeterPrices(definition, tuple(rows)))
    return sorted(found, key=lambda one: one.definition.name)


@dataclass(frozen=True, slots=True)
class Revision:
    """A price as it was set; `until` is where the next one that counts begins (None: open).

    `state` is now, over, coming, or replaced by a later one for the same start.
    """

    price: Price
    until: datetime | None
    state: str


def revisions_of(
    table: PriceTable,
    stored: Sequence[Price],
    meter_id: int,
    flavor_id: int | None,
    now: datetime,
) -> list[Revision]:
    """Give every price that was ever set for exactly this meter and flavor, the newest first."""
    counting = table.prices.counting(meter_id, flavor_id)
    following = dict(zip((one.id for one in counting), counting[1:], strict=False))
    held = table.prices.revision_at(meter_id, flavor_id, to_ms(now))
    ids = {one.id for one in counting}
    found = []
    for one in stored:
        if (one.meter_id, one.flavor_id) != (meter_id, flavor_id):
            continue
        after = following.get(one.id)
        if one.id not in ids:
            state = "replaced"
        elif held is not None and held.id == one.id:
            state = "now"
        else:
            state = "coming" if one.valid_from > now else "over"
        found.append(Revision(one, None if after is None else after.valid_from, state))
    return sorted(found, key=lambda one: (one.price.valid_from, one.price.id), reverse=True)


@dataclass(frozen=True, slots=True)
class StepChart:
    """A line of steps: the points of each stretch with a price, and the marks of the axes.

    `now` is where the present lies, from the left, in units of `CHART_WIDTH`.
    """

    lines: tuple[str, ...]
    highest: Decimal
    first: datetime
    last: datetime
    now: str


def chart_of(counting: Sequence[Price], now: datetime) -> StepChart | None:
    """Draw prices over time, from the second one's start if the first holds since ever."""
    starts = [one.valid_from for one in counting]
    amounts = [one.credits_per_unit for one in counting if one.credits_per_unit is not None]
    if len(counting) < 2 or not amounts:  # noqa: PLR2004 - one price is no line of steps
        return None
    inner_first, inner_last = min(starts[1], now), max(starts[-1], now)
    margin = max((inner_last - inner_first) // _AHEAD_SHARE, HOUR)
    first, last = inner_first - margin, inner_last + margin
    highest = max(amounts) or Decimal(1)
    lines: list[str] = []
    points: list[str] = []
    for price, end in zip(counting, [*starts[1:], last], strict=True):
        if price.credits_per_unit is None:
            lines += [" ".join(points)] if points else []
            points = []
            continue
        height = _number(CHART_HEIGHT * (1 - price.credits_per_unit / highest))
        start_x = _across(max(price.valid_from, first), first, last)
        points += [f"{start_x},{height}", f"{_across(end, first, last)},{height}"]
    lines += [" ".join(points)] if points else []
    return StepChart(tuple(lines), highest, first, last, _across(now, first, last))


def _across(moment: datetime, first: datetime, last: datetime) -> str:
    seconds = (moment - first) // _SECOND
    return _number(Decimal(CHART_WIDTH * seconds) / max((last - first) // _SECOND, 1))


def _number(value: Decimal) -> str:
    return f"{value:.2f}"
