"""What of a project's facts its page shows: items with their share, and rows of time; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.amount import Credits
from os_credits.web.language import N_, gettext
from os_credits.web.steps import NOTHING, ItemKey, Row, merged, steps_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from os_credits.web.history import PageFacts

# Columns and colours for meters and flavors; beyond, the last one sums up the rest.
COLUMNS_MAX = 7
OTHERS = N_("others")


@dataclass(frozen=True, slots=True)
class Item:
    """A meter and flavor over the whole span.

    `color` counts from 0; it is None for what `OTHERS` sums up. `quantity` is in `unit` (None:
    no longer kept), `waiting` the part of it that is not charged, for want of a price mostly.
    """

    label: str
    meter: str
    description: str
    unit: str
    quantity: Decimal | None
    waiting: Decimal
    credits: Credits
    percent: Decimal
    color: int | None


@dataclass(frozen=True, slots=True)
class HistoryView:
    """A project's page.

    `labels` name the columns of items. `steps` are the chart's, the oldest first, and `opening`
    is what was left before them (None before any credits were given); `rows` are the table's,
    the latest first.
    """

    items: tuple[Item, ...]
    labels: tuple[str, ...]
    opening: Credits | None
    steps: tuple[Row, ...]
    rows: tuple[Row, ...]


def view_of(facts: PageFacts) -> HistoryView:
    """Arrange a project's facts for its page; items that cost more come first."""
    totals: dict[ItemKey, Credits] = {
        (metered.meter_id, metered.flavor_id): NOTHING for metered in facts.metered
    }
    for spent in facts.charges:
        key = (spent.meter_id, spent.flavor_id)
        totals[key] = Credits(totals.get(key, NOTHING) + spent.credits)
    order = sorted(totals, key=lambda key: (-totals[key], key))
    own_columns = COLUMNS_MAX if len(order) <= COLUMNS_MAX else COLUMNS_MAX - 1
    labels = _labels(facts, order)[:own_columns]
    if len(order) > own_columns:
        labels.append(gettext(OTHERS))
    place = {key: min(number, own_columns) for number, key in enumerate(order)}
    opening, steps = steps_of(facts, place, len(labels))
    return HistoryView(
        items=tuple(
            _item(facts, key, totals, place[key] if place[key] < own_columns else None)
            for key in order
        ),
        labels=tuple(labels),
        opening=opening,
        steps=tuple(steps),
        rows=tuple(reversed(merged(steps, facts.span.row_step))),
    )


def _labels(facts: PageFacts, order: Sequence[ItemKey]) -> list[str]:
    """Call each item by its flavor, else by its meter; by both where flavors coincide."""
    counted = Counter(_label(facts, key) for key in order)
    return [
        f"{label} ({facts.meters[key[0]].name})" if counted[label] > 1 else label
        for key in order
        for label in [_label(facts, key)]
    ]


def _label(facts: PageFacts, key: ItemKey) -> str:
    meter_id, flavor_id = key
    return facts.flavors.get(flavor_id, "") or facts.meters[meter_id].name


def _item(
    facts: PageFacts, key: ItemKey, totals: Mapping[ItemKey, Credits], color: int | None
) -> Item:
    definition = facts.meters[key[0]]
    metered = next((one for one in facts.metered if (one.meter_id, one.flavor_id) == key), None)
    per_unit = definition.quantity_per_unit
    used = sum(totals.values())
    return Item(
        label=_label(facts, key),
        meter=definition.name,
        description=definition.description,
        unit=definition.priced_unit,
        quantity=None if metered is None else Decimal(metered.quantity) / per_unit,
        waiting=Decimal(0) if metered is None else Decimal(metered.unpriced) / per_unit,
        credits=totals[key],
        percent=100 * totals[key] / used if used else Decimal(0),
        color=color,
    )
