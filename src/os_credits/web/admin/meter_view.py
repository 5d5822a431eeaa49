"""Meters as their pages show them: what each label means, and what of usage waits; pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from os_credits.domain.usage import UsageKind
from os_credits.rating.charge import units_of
from os_credits.web.language import N_

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from os_credits.domain.meter import MeterDefinition, MeterVersion
    from os_credits.domain.project import Project
    from os_credits.flows.settle import Unsettled
    from os_credits.store.meters import Said
    from os_credits.store.usage_reads import Unpriced

KINDS = {
    "gauge": N_("level over time"),
    "counter": N_("running total"),
    "delta": N_("amounts"),
}
USAGE_KINDS = {
    UsageKind.SUSPECT: N_("suspect"),
    UsageKind.UNMETERED: N_("unmetered"),
}
# What a field of a meter's definition names a label for.
LABELS = {
    "project_id": N_("Project id"),
    "project_name": N_("Project name"),
    "domain": N_("Domain"),
    "site": N_("Site"),
    "resource": N_("Resource"),
    "flavor": N_("Flavor"),
    "host": N_("Compute node"),
    "region": N_("Region"),
    "provider": N_("Provider"),
    "identity": N_("Also tells one thing from another"),
}
_OTHERS = frozenset(
    {"name", "metric", "kind", "unit", "description", "value", "steps_per_unit", "match",
     "max_gap_seconds", "on_reset", "max_rate"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MeterLine:
    """A meter in the list: its definition of now, since when that holds, and what comes."""

    definition: MeterDefinition
    since: datetime
    coming: datetime | None
    version_count: int


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A version of a meter, who let it hold, and what its labels mean, by that."""

    version: MeterVersion
    said: Said
    is_now: bool
    labels: tuple[tuple[str, tuple[str, ...]], ...]
    match: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class UnpricedLine:
    """Usage of a meter and flavor without a price, in the meter's priced units."""

    sums: Unpriced
    meter: str
    flavor: str
    quantity: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class WaitingLine:
    """Usage that waits for a verdict, with its project and names."""

    usage: Unsettled
    project: Project
    meter: str
    flavor: str
    quantity: Decimal
    unit: str

    @property
    def kind(self) -> str:
        """Name the kind as an address does."""
        return self.usage.kind.name.lower()


def meter_lines(versions: Sequence[MeterVersion], now: datetime) -> list[MeterLine]:
    """Give each meter by its name, with the version of now (else its first one)."""
    by_meter: dict[int, list[MeterVersion]] = {}
    for one in versions:
        by_meter.setdefault(one.meter_id, []).append(one)
    lines = []
    for own in by_meter.values():
        held = [one for one in own if one.valid_from <= now] or own[:1]
        later = [one.valid_from for one in own if one.valid_from > held[-1].valid_from]
        lines.append(
            MeterLine(
                held[-1].definition, held[-1].valid_from, later[0] if later else None, len(own)
            )
        )
    return sorted(lines, key=lambda one: one.definition.name)


def version_lines(
    versions: Sequence[MeterVersion], said: Mapping[int, Said], now: datetime
) -> list[VersionLine]:
    """Give the versions of one meter, the newest first."""
    return [
        VersionLine(
            version=one,
            said=said[one.id],
            is_now=one.valid_from <= now and (one.valid_until is None or now < one.valid_until),
            labels=tuple(_labels(one.definition)),
            match=tuple(sorted(one.definition.match.items())),
        )
        for one in sorted(versions, key=lambda one: one.valid_from, reverse=True)
    ]


def _labels(definition: MeterDefinition) -> list[tuple[str, tuple[str, ...]]]:
    """Give what each label that the definition names means, the usual meanings first."""
    found = []
    fields = [*LABELS, *(one for one in type(definition).model_fields if one not in LABELS)]
    for field in fields:
        value = getattr(definition, field, None)
        if field in _OTHERS or not value:
            continue
        names = (value,) if isinstance(value, str) else tuple(value)
        found.append((LABELS.get(field, field), tuple(map(str, names))))
    return found


def unpriced_lines(
    found: Sequence[Unpriced],
    meters: Mapping[int, MeterDefinition],
    flavors: Mapping[int, str],
) -> list[UnpricedLine]:
    """Name usage without a price, by meter and flavor."""
    return [
        UnpricedLine(
            sums=one,
            meter=meters[one.meter_id].name,
            flavor=flavors[one.flavor_id],
            quantity=Decimal(units_of(one.quantity, meters[one.meter_id])),
            unit=meters[one.meter_id].priced_unit,
        )
        for one in found
    ]


def waiting_line(
    one: Unsettled,
    project: Project,
    meters: Mapping[int, MeterDefinition],
    flavors: Mapping[int, str],
) -> WaitingLine:
    """Name usage that waits for a verdict."""
    return WaitingLine(
        usage=one,
        project=project,
        meter=meters[one.meter_id].name,
        flavor=flavors[one.flavor_id],
        quantity=Decimal(units_of(one.quantity, meters[one.meter_id])),
        unit=meters[one.meter_id].priced_unit,
    )
