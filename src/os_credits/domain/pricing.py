"""Everything by which a quantity of one hour becomes credits, as of one moment."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from os_credits.domain.period import to_ms
from os_credits.domain.settlement import Settlements

if TYPE_CHECKING:
    from datetime import datetime

    from os_credits.domain.meter import MeterDefinition, MeterVersion
    from os_credits.domain.price import PriceList


class Whitelist:
    """Which projects are billed, by name or cloud id, from which full hour on (rule 7)."""

    def __init__(self, revisions: list[tuple[datetime, frozenset[str] | None]]) -> None:
        """Take the revisions by start, later ones of one start last; None bills everyone."""
        by_start = {to_ms(start): names for start, names in revisions}
        self._starts = sorted(by_start)
        self._names = [by_start[start] for start in self._starts]

    @property
    def limits_anyone(self) -> bool:
        """Tell whether any project was ever left out."""
        return any(names is not None for names in self._names)

    def bills(self, names: tuple[str, ...], hour_ms: int) -> bool:
        """Tell whether a project of these names (name, cloud id) is billed in this hour."""
        index = bisect_right(self._starts, hour_ms) - 1
        allowed = self._names[index] if index >= 0 else None
        return allowed is None or any(name in allowed for name in names if name)


class Meters:
    """All versions of all meters, for finding the definition of an hour."""

    def __init__(self, versions: list[MeterVersion]) -> None:
        """Take the versions sorted by meter and start."""
        self._versions: dict[int, list[MeterVersion]] = {}
        for version in versions:
            self._versions.setdefault(version.meter_id, []).append(version)

    def versions_of(self, meter_id: int) -> list[MeterVersion]:
        """Give a meter's versions, oldest first."""
        return self._versions[meter_id]

    def find(self, name: str) -> int | None:
        """Give the id of the meter with this name."""
        for meter_id, versions in self._versions.items():
            if versions[-1].definition.name == name:
                return meter_id
        return None

    def latest(self, meter_id: int) -> MeterDefinition:
        """Give the newest definition; unit and steps are the same in all."""
        return self._versions[meter_id][-1].definition

    @property
    def place_labels(self) -> dict[int, tuple[str | None, ...]]:
        """Name the labels that tell places, by meter, of those meters that have any."""
        by_meter = {one: self.latest(one).place_labels for one in self._versions}
        return {one: names for one, names in by_meter.items() if any(names)}


@dataclass(frozen=True, slots=True)
class Pricing:
    """Meters, prices, whitelist and settlements together."""

    meters: Meters
    prices: PriceList
    whitelist: Whitelist
    settlements: Settlements = field(default_factory=Settlements)
