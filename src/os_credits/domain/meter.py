"""What is tracked: a meter, its kind, its unit, and which labels mean what.

A meter is immutable but for its description; a change is a new version from a full hour on
(`docs/rating-rules.md`, rule 7). What can never change, since stored quantities would lose
their meaning, is listed in `FIXED_FOR_LIFE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from os_credits.domain.period import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# Whole steps of a value stay below this, so that sums of a few of them still fit int64.
STEPS_MAX = 2**62
# Up to 10^9 steps for a unit.
STEPS_DIGITS_MAX = 10
# What may change for hours that have passed: how neighbours become usage, not what labels mean.
RATING_FIELDS = ("max_gap_seconds", "max_rate", "on_reset")
FIXED_FOR_LIFE = ("metric", "kind", "unit", "value", "steps_per_unit")
# What says nothing about credits, and holds at once.
UNDATED = ("description", "host", "region", "provider", "state")


class MeterKind(StrEnum):
    """How two neighbouring samples become usage."""

    GAUGE = "gauge"
    """A level that holds until the next sample; usage is level times time."""
    COUNTER = "counter"
    """A running total; usage is what it grew by."""
    DELTA = "delta"
    """An amount of its own; usage is the value itself."""


class MeterValue(StrEnum):
    """What of a sample counts."""

    VALUE = "value"
    """The sample's value."""
    ONE = "one"
    """The sample's presence: every sample counts as 1, whatever its value."""


class OnReset(StrEnum):
    """What a counter that falls means."""

    ABSORB = "absorb"
    """Noise or replicas: measured against the larger of the two values before."""
    RESTART = "restart"
    """One source that truly starts again at zero."""


def _as_list(value: object) -> object:
    return (value,) if isinstance(value, str) else value


LabelName = Annotated[str, Field(min_length=1, max_length=200)]
OneOf = Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]


class MeterDefinition(BaseModel):
    """One version of a meter, as the meter file writes it.

    `project_id`, `project_name`, `domain`, `site`, `resource`, `flavor` and `identity` name
    labels; so do `host`, `region`, `provider` and `state`, which say where a resource runs and
    never what it costs. `match` maps a label to the values under which a sample counts.
    `max_rate` is in units per hour. A price of a gauge is per unit and hour, of the others per
    unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
    metric: Annotated[str, Field(min_length=1, max_length=200)]
    kind: MeterKind
    unit: Annotated[str, Field(min_length=1, max_length=40)]
    description: str = ""
    value: MeterValue = MeterValue.VALUE
    steps_per_unit: int = 10**6
    project_id: LabelName | None = None
    project_name: LabelName | None = None
    domain: LabelName | None = None
    site: LabelName | None = None
    resource: LabelName | None = None
    flavor: LabelName | None = None
    host: LabelName | None = None
    region: LabelName | None = None
    provider: LabelName | None = None
    state: LabelName | None = None
    identity: tuple[LabelName, ...] = ()
    match: dict[LabelName, OneOf] = Field(default_factory=dict)
    max_gap_seconds: Annotated[int, Field(gt=0, le=35 * 86400)] = 3600
    on_reset: OnReset = OnReset.ABSORB
    max_rate: Annotated[Decimal, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.project_id is None and self.project_name is None:
            raise ValueError("name a label for project_id, project_name or both")
        if any("\0" in text for text in self._texts()):
            raise ValueError("the character NUL cannot be kept")
        digits = str(self.steps_per_unit)
        if self.steps_per_unit < 1 or digits.strip("0") != "1" or len(digits) > STEPS_DIGITS_MAX:
            raise ValueError("steps_per_unit must be a power of ten from 1 to 10^9")
        if self.value is MeterValue.ONE and self.kind is not MeterKind.GAUGE:
            raise ValueError('value = "one" (presence) fits gauges only')
        return self

    def _texts(self) -> list[str]:
        of_project = (self.project_id, self.project_name, self.domain, self.site)
        roles = (*of_project, self.resource, self.flavor, *self.place_labels)
        allowed = [value for values in self.match.values() for value in values]
        labels = [*filter(None, roles), *self.identity, *self.match, *allowed]
        return [self.metric, self.unit, self.description, *labels]

    @property
    def quantity_per_unit(self) -> int:
        """How many of the smallest steps make one priced unit (gauges: step x millisecond)."""
        if self.kind is MeterKind.GAUGE:
            return self.steps_per_unit * HOUR_MS
        return self.steps_per_unit

    @property
    def priced_unit(self) -> str:
        """What a price of this meter is for, for people."""
        return f"{self.unit}-hour" if self.kind is MeterKind.GAUGE else self.unit

    @property
    def identity_labels(self) -> tuple[str, ...]:
        """Name the labels, besides project and resource, that tell one series from another."""
        return self.identity

    @property
    def place_labels(self) -> tuple[str | None, str | None, str | None, str | None]:
        """Name the labels of host, region, provider and state; None where there is none."""
        return self.host, self.region, self.provider, self.state

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a sample with these labels counts (`match`)."""
        return all(labels.get(name, "") in allowed for name, allowed in self.match.items())

    def dated_part(self) -> dict[str, Any]:
        """Give everything that only a new version may change (all that is not `UNDATED`)."""
        return self.model_dump(mode="json", exclude=set(UNDATED))


@dataclass(frozen=True, slots=True)
class MeterVersion:
    """A definition and the full hours in which it holds: `valid_from` up to `valid_until`."""

    id: int
    meter_id: int
    definition: MeterDefinition
    valid_from: datetime
    valid_until: datetime | None
