"""What the JSON of resources, and of where credits went, looks like."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from os_credits.api.shapes import CreditsText, NumberText, PeriodShape, ProjectShape, Shape
from os_credits.flows.resources import ResourceState


class ResourceSpecShape(Shape):
    """What a flavor is made of; null where nobody said."""

    vcpus: NumberText | None
    ram_gib: NumberText | None
    disk_gib: NumberText | None


class ResourcePlaceShape(Shape):
    """Where a resource runs, or ran last, as its samples say; '' where they do not."""

    provider: str
    region: str
    host: str
    state: str = Field(description="The state that the cloud itself tells")


class MeteredResourceShape(Shape):
    """A server, volume ... as one meter measures it.

    `credits` is what it cost to date, `recent` in the last 30 UTC days, today among them.
    """

    series_id: int
    meter: str
    resource: str
    identity: dict[str, str]
    state: ResourceState
    flavor: str | None
    spec: ResourceSpecShape
    place: ResourcePlaceShape
    first_seen: datetime
    last_seen: datetime
    credits: CreditsText
    recent: CreditsText


class StateCounts(Shape):
    """How many resources a project has in each state."""

    running: int
    stopped: int
    gone: int


class ResourcePage(Shape):
    """A part of a project's resources; the sums are of all, or of all of the meter asked for."""

    project: ProjectShape
    counts: StateCounts
    shown: int
    credits: CreditsText
    recent: CreditsText
    resources: list[MeteredResourceShape]
    next: int | None = Field(description="The value of `after` for what follows")
    as_of: datetime


class ResourceStepShape(Shape):
    """What a resource used and cost in one hour or UTC day; `waiting` is not charged (yet)."""

    start: datetime
    flavor: str | None
    quantity: NumberText
    waiting: NumberText
    credits: CreditsText


class FlavorTimeShape(Shape):
    """A flavor that a resource has had, from its first to its last hour (or day) with it."""

    flavor: str | None
    first: datetime
    last: datetime
    quantity: NumberText
    credits: CreditsText


class LabelsShape(Shape):
    """One form of the labels that feed a resource; without `counts` its samples bring nothing."""

    id: int
    flavor: str | None
    counts: bool
    labels: dict[str, str]
    first_stored_at: datetime


class ResourceDetailShape(Shape):
    """A resource, and what it used in a period; quantities are in `unit`."""

    project: ProjectShape
    resource: MeteredResourceShape
    period: PeriodShape
    by: Literal["hour", "day"]
    unit: str
    steps: list[ResourceStepShape]
    flavors: list[FlavorTimeShape]
    label_sets: list[LabelsShape]
    as_of: datetime


class SpentItemShape(Shape):
    """What a meter and flavor cost."""

    meter: str
    flavor: str | None
    credits: CreditsText


class SpentStepShape(Shape):
    """What one hour, UTC day or month cost."""

    start: datetime
    credits: CreditsText
    items: list[SpentItemShape]


class SpentResourceShape(Shape):
    """What a resource cost."""

    series_id: int
    meter: str
    resource: str
    identity: dict[str, str]
    credits: CreditsText


class UnchargedShape(Shape):
    """What was measured and is not charged: `billed` lacks a price, the others a verdict."""

    meter: str
    flavor: str | None
    kind: Literal["billed", "suspect", "unmetered"]
    quantity: NumberText
    unit: str


class SpentShape(Shape):
    """Where a project's credits went: by step, by item and by resource, with the same sum.

    `opened` is what an older service had charged: no resource of ours, but part of the sum.
    """

    project: ProjectShape
    period: PeriodShape
    by: Literal["hour", "day", "month"]
    credits: CreditsText
    steps: list[SpentStepShape]
    items: list[SpentItemShape]
    resources: list[SpentResourceShape]
    opened: CreditsText
    uncharged: list[UnchargedShape]
