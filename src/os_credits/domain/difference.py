"""What was found when everything was recomputed: where stored and recomputed are not the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Layer(StrEnum):
    """What is recomputed from what, from the samples up to the seals."""

    BLOCKS = "blocks"
    """Whole, of one day, in order and none over another: how samples are stored."""
    SAMPLES = "samples"
    """Each is of a series that exists, and none is excluded."""
    USAGE = "usage"
    """Quantities, from samples and meters."""
    CREDITS = "credits"
    """What usage costs, from quantities, prices, whitelist and settlements."""
    DAYS = "days"
    """What a series used on a day, from its hours: no money, but pages tell costs by it."""
    CHARGES = "charges"
    """What is charged per project, hour, meter and flavor, from the credits of usage."""
    LOTS = "lots"
    """What expired of each lot, from lots and charges."""
    BOOKINGS = "bookings"
    """What is booked of a charge or an expiry, from its entries; grants, from theirs."""
    ENTRIES = "entries"
    """Number, balance and hash of each entry, from the entry before it."""
    BALANCES = "balances"
    """What the service answers, from all signed entries less what is not booked yet."""
    SEALS = "seals"
    """The global chain, from the heads of the projects' chains."""
    GUARDS = "guards"
    """The constraints and triggers without which the rest could be gone round."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that does not hold; `where` names it: project, meter, hour (ms), entry ..."""

    layer: Layer
    what: str
    where: Mapping[str, int | str]
    stored: str
    recomputed: str


@dataclass(slots=True)
class Findings:
    """The first difference of each layer, how many there are, and what was looked at."""

    first: dict[Layer, Difference] = field(default_factory=dict)
    difference_counts: Counter[Layer] = field(default_factory=Counter)
    checked_counts: Counter[str] = field(default_factory=Counter)

    def compare(
        self, layer: Layer, what: str, where: Mapping[str, int | str], stored: object, new: object
    ) -> None:
        """Note a difference unless both are equal."""
        if stored != new:
            self.note(layer, what, where, stored, new)

    def note(
        self, layer: Layer, what: str, where: Mapping[str, int | str], stored: object, new: object
    ) -> None:
        """Count a difference; keep it if it is the first of its layer."""
        self.difference_counts[layer] += 1
        if layer not in self.first:
            self.first[layer] = Difference(layer, what, where, _shown(stored), _shown(new))


def _shown(value: object) -> str:
    match value:
        case None:
            return "none"
        case bytes():
            return value.hex() or "empty"
        case _:
            return str(value)
